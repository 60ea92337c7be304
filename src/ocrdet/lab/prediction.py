"""What was found in one image, in a form to be judged; and a detector of this process that says it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ocrdet.api.answers import detection_dict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ocrdet.detector import Detector
    from ocrdet.lab.shapes import Points
    from ocrdet.options import DetectOptions


@dataclass(frozen=True, slots=True)
class Prediction:
    """What was found in one image, or why nothing could be.

    Attributes:
        outlines: (N, 2) polygon of each region where polygons were asked for, else its quad; stored pixels.
        scores: The score of each region.
        size: Width and height of the image as stored, pixels; None where there was a problem.
        ms: Milliseconds from the bytes to the regions; None where there was a problem.
        problem: What went wrong; None where nothing did.
    """

    outlines: tuple[Points, ...] = ()
    scores: tuple[float, ...] = ()
    size: tuple[int, int] | None = None
    ms: float | None = None
    problem: str | None = None

    @classmethod
    def from_answer(cls, answer: Mapping[str, Any]) -> Prediction:
        """The prediction in an answer of `POST /detect`, whose points are in stored pixels."""
        regions, image = answer["regions"], answer["image"]
        return cls(
            outlines=tuple(
                np.array(region.get("polygon") or region["quad"], np.float64) for region in regions
            ),
            scores=tuple(float(region["score"]) for region in regions),
            size=(image["width"], image["height"]),
            ms=float(answer["timings_ms"]["total"]),
        )


class Predictor(Protocol):
    """Whatever detects; called from several threads at once."""

    def model(self) -> dict[str, str]:
        """Name, version and execution provider of the model behind it."""

    def predict(self, data: bytes) -> Prediction:
        """What is found in the bytes of an image; a problem may be returned or raised."""


class InProcess:
    """A detector of this process as a predictor."""

    def __init__(self, detector: Detector, options: DetectOptions) -> None:
        """Ask this detector with these options, whose coordinates must be the stored ones."""
        self._detector = detector
        self._options = options

    def model(self) -> dict[str, str]:
        """Name, version and execution provider of the model."""
        identity = self._detector.identity
        return {"name": identity.name, "version": identity.version, "provider": identity.provider}

    def predict(self, data: bytes) -> Prediction:
        """What the detector finds.

        Raises:
            OcrdetError: The image cannot be read, or the model failed on it.
        """
        detection = self._detector.detect(data, self._options)
        return Prediction.from_answer(detection_dict(detection, self._options, ""))
