"""The first bytes of every input decide all that is no body: map, options, detector and way in."""

from __future__ import annotations

from dataclasses import dataclass

from ocrdet.options import FITS, FRAMES, SCENES, DetectOptions

CONTROL_BYTES = 12
SCORES = (None, None, 0.0, 1.0, 0.5, 0.01, 1e-9, 0.999)
IOUS = (0.3, 0.0, 1.0, 0.5, 1e-9, 0.999)
MAX_REGIONS = (1000, 1, 2, 10_000)


@dataclass(frozen=True, slots=True)
class Choices:
    """What one control block chose.

    Attributes:
        options: For the detector.
        family: Kind of map.
        seed: Of that map.
        detector: Which of the detectors, to be taken modulo their number.
        way: How the body comes, to be taken modulo the number of ways.
        variant: Some further choice within that way.
        output: The same for the shape of the answer.
    """

    options: DetectOptions
    family: int
    seed: int
    detector: int
    way: int
    variant: int
    output: int


def read_choices(control: bytes) -> Choices:
    """The choices of a control block; one that is too short is filled up with zeros."""
    block = control[:CONTROL_BYTES].ljust(CONTROL_BYTES, b"\0")
    family, seed, low, score, iou, fit, most, flags, detector, way, variant, output = block
    options = DetectOptions(
        scene=(None, *SCENES)[flags >> 5 & 3],  # type: ignore[arg-type]
        score_threshold=SCORES[score % len(SCORES)],
        iou_threshold=IOUS[iou % len(IOUS)],
        fit=FITS[fit % len(FITS)],  # type: ignore[arg-type]
        max_regions=MAX_REGIONS[most % len(MAX_REGIONS)],
        polygons=bool(flags & 1),
        coordinates=FRAMES[flags >> 1 & 1],  # type: ignore[arg-type]
        normalized=bool(flags & 4),
        allow_truncated=bool(flags & 8),
    )
    return Choices(options, family, seed << 8 | low, detector, way, variant, output)
