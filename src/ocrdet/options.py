"""What a caller may choose for one image, checked where it is made."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from ocrdet.errors import InvalidParameter
from ocrdet.values import Scene

Fit = Literal["auto", "letterbox", "stretch", "tile"]
Frame = Literal["displayed", "stored"]

SCENES: tuple[str, ...] = get_args(Scene)
FITS: tuple[str, ...] = get_args(Fit)
FRAMES: tuple[str, ...] = get_args(Frame)
MAX_REGIONS_LIMIT = 10_000


@dataclass(frozen=True, slots=True)
class DetectOptions:
    """What a caller may choose for one image; every default is the documented one.

    Raises:
        InvalidParameter: A value is outside its range; the sentence names field and range.
    """

    scene: Scene | None = None
    score_threshold: float | None = None
    iou_threshold: float = 0.3
    fit: Fit = "auto"
    max_regions: int = 1000
    polygons: bool = False
    coordinates: Frame = "displayed"
    normalized: bool = False
    allow_truncated: bool = False

    def __post_init__(self) -> None:
        """Refuse what is out of range, so that no later stage has to ask."""
        if self.scene is not None:
            _require_choice("scene", self.scene, SCENES)
        _require_range("score_threshold", self.score_threshold or 0.0, 0.0, 1.0)
        _require_range("iou_threshold", self.iou_threshold, 0.0, 1.0)
        _require_choice("fit", self.fit, FITS)
        _require_range("max_regions", self.max_regions, 1, MAX_REGIONS_LIMIT)
        _require_choice("coordinates", self.coordinates, FRAMES)


def _require_choice(field: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise InvalidParameter(
            f"{field} must be one of {', '.join(choices)}.", field=field, allowed=list(choices)
        )


def _require_range(field: str, value: float, low: float, high: float) -> None:
    if not (math.isfinite(value) and low <= value <= high):
        raise InvalidParameter(
            f"{field} must be between {low:g} and {high:g}.", field=field, minimum=low, maximum=high
        )
