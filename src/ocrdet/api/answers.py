"""A Detection as the bytes that a client asked for.

Everything is serialised straight to bytes: a framework's encoder takes milliseconds for 300 regions.
"""

from __future__ import annotations

import dataclasses
from itertools import chain
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic_core import to_json

from ocrdet.vision.draw import draw_regions, encode_image
from ocrdet.vision.geometry import displayed_to_stored, quad_angle

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ocrdet.options import DetectOptions
    from ocrdet.values import DecodedImage, Detection, ImageHeader

JSON_MEDIA_TYPE = "application/json"
ImageFormat = Literal["png", "jpeg"]
# Hundredths of a pixel, ten-thousandths of a score: finer digits say nothing and double the answer's size.
PIXEL_DIGITS = 2
NORMALIZED_DIGITS = 6
SCORE_DIGITS = 4
ANGLE_DIGITS = 2
HALF_TURN = 180.0
# EXIF orientations that show the stored pixels in a mirror.
MIRRORED = frozenset({2, 4, 5, 7})


def detection_json(detection: Detection, options: DetectOptions, request_id: str) -> bytes:
    """The documented answer of `/detect`."""
    return to_json(detection_dict(detection, options, request_id))


def detection_dict(detection: Detection, options: DetectOptions, request_id: str) -> dict[str, object]:
    """The documented answer of `/detect` as plain values."""
    header = detection.header
    stored = options.coordinates == "stored"
    timings = dataclasses.asdict(detection.timings)
    thresholds = detection.thresholds
    return {
        "request_id": request_id,
        "model": dataclasses.asdict(detection.model),
        "image": {
            "width": header.stored_width if stored else header.width,
            "height": header.stored_height if stored else header.height,
            "format": header.format,
            "exif_orientation": header.orientation,
            "coordinates": options.coordinates,
            "normalized": options.normalized,
        },
        "fit": dataclasses.asdict(detection.fit),
        "regions": _regions(detection, options),
        "thresholds": {
            "score": thresholds.score,
            "binary": thresholds.binary,
            "iou": thresholds.iou,
            "scene": thresholds.scene,
        },
        "timings_ms": {stage: round(ms, 2) for stage, ms in timings.items()},
        "warnings": [dataclasses.asdict(warning) for warning in detection.warnings],
    }


def webui_json(detection: Detection, name: str) -> bytes:
    """The JSON of the older cv_resnet18 WebUI; its texts are empty, because nothing is recognised here."""
    regions = detection.regions
    corners = np.array([region.quad for region in regions], np.float64).reshape(-1, 8)
    return to_json(
        {
            "image_path": name,
            "texts": [[""] for _ in regions],
            "boxes": np.rint(corners).astype(int).tolist(),
            "scores": [round(region.score, SCORE_DIGITS) for region in regions],
            "success": True,
            "inference_time": round(detection.timings.total / 1e3, 3),
        }
    )


def drawn_image(decoded: DecodedImage, detection: Detection, image_format: ImageFormat) -> bytes:
    """The upright image with its regions drawn, as `png` or `jpeg`."""
    return encode_image(draw_regions(decoded.pixels, detection.regions), image_format)


def _regions(detection: Detection, options: DetectOptions) -> list[dict[str, object]]:
    regions = detection.regions
    if not regions:
        return []
    # Arrays for all regions at once: rounding number by number takes longer than everything else here.
    coordinates = chain.from_iterable(chain.from_iterable(region.quad for region in regions))
    quads = np.fromiter(coordinates, np.float64, 8 * len(regions)).reshape(-1, 4, 2)
    angles = np.array([region.angle for region in regions])
    if options.coordinates == "stored":
        quads = _stored_quads(quads, detection.header)
        angles = quad_angle(quads)
    quads = _scaled(quads, detection.header, options)
    first, second, third, fourth = quads.transpose(1, 0, 2)
    low = np.minimum(np.minimum(first, second), np.minimum(third, fourth))
    high = np.maximum(np.maximum(first, second), np.maximum(third, fourth))
    boxes = np.concatenate([low, high], axis=1)
    scores = np.round([region.score for region in regions], SCORE_DIGITS)
    angles = np.round(angles, ANGLE_DIGITS) + 0.0  # -0.0 becomes 0.0
    angles[angles == -HALF_TURN] = HALF_TURN  # the same direction
    columns = (quads.tolist(), boxes.tolist(), scores.tolist(), angles.tolist())
    rows: list[dict[str, object]] = [
        {"quad": quad, "box": box, "score": score, "angle": angle, "line": region.line}
        for region, quad, box, score, angle in zip(regions, *columns, strict=True)
    ]
    if options.polygons:
        for row, region in zip(rows, regions, strict=True):
            row["polygon"] = _polygon(np.array(region.polygon or region.quad, np.float64), detection, options)
    return rows


def _stored_quads(quads: NDArray[np.float64], header: ImageHeader) -> NDArray[np.float64]:
    """Quads as they lie in the file, clockwise, each beginning with the upper edge of its text.

    A mirror turns clockwise around: there the upper edge is told from its other end.
    """
    stored = displayed_to_stored(quads, header)
    return stored[:, [1, 0, 3, 2]] if header.orientation in MIRRORED else stored


def _polygon(points: NDArray[np.float64], detection: Detection, options: DetectOptions) -> list[list[float]]:
    if options.coordinates == "stored":
        points = displayed_to_stored(points, detection.header)
        if detection.header.orientation in MIRRORED:
            points = points[::-1]
    outline: list[list[float]] = _scaled(points, detection.header, options).tolist()
    return outline


def _scaled(points: NDArray[np.float64], header: ImageHeader, options: DetectOptions) -> NDArray[np.float64]:
    if not options.normalized:
        return np.round(points, PIXEL_DIGITS)
    stored = options.coordinates == "stored"
    width = header.stored_width if stored else header.width
    height = header.stored_height if stored else header.height
    return np.round(points / [width, height], NORMALIZED_DIGITS)
