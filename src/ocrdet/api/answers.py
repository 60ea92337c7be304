"""A Detection as the bytes that a client asked for.

Everything is serialised straight to bytes: a framework's encoder takes milliseconds for 300 regions.
"""

from __future__ import annotations

import dataclasses
from itertools import accumulate, chain
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic_core import SchemaSerializer, core_schema, to_json

from ocrdet.vision.draw import draw_regions, encode_image
from ocrdet.vision.geometry import displayed_to_stored, quad_angle, quads_as_values

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from ocrdet.options import DetectOptions
    from ocrdet.values import DecodedImage, Detection, ImageHeader, Polygon

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


# Told what regions are made of, the serialiser takes a fifth less time than when it finds out.
_NUMBER = core_schema.float_schema()
_QUAD = core_schema.tuple_schema([core_schema.tuple_schema([_NUMBER, _NUMBER])] * 4)
_COLUMNS = {"quad": _QUAD, "box": core_schema.list_schema(_NUMBER), "score": _NUMBER, "angle": _NUMBER}


def _record(fields: Mapping[str, core_schema.CoreSchema]) -> core_schema.TypedDictSchema:
    """A dictionary with these fields among others."""
    typed = {name: core_schema.typed_dict_field(field) for name, field in fields.items()}
    return core_schema.typed_dict_schema(typed, extra_behavior="allow")


_ANSWER = SchemaSerializer(_record({"regions": core_schema.list_schema(_record(_COLUMNS))}))


def detection_json(detection: Detection, options: DetectOptions, request_id: str) -> bytes:
    """The documented answer of `/detect`."""
    return _ANSWER.to_json(detection_dict(detection, options, request_id), warnings=False)


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
    # Columns for all regions at once: rounding number by number takes longer than everything else here.
    found, scores, angles, lines, _ = zip(*regions, strict=True)
    given = quads = _flat(found).reshape(-1, 4, 2)
    turns = np.array(angles)
    if options.coordinates == "stored":
        quads = _stored_quads(quads, detection.header)
        turns = quad_angle(quads)
    quads = _scaled(quads, detection.header, options)
    corners = np.ascontiguousarray(quads.transpose(1, 2, 0))
    boxes = np.concatenate([corners.min(axis=0), corners.max(axis=0)]).T
    turns = np.round(turns, ANGLE_DIGITS) + 0.0  # -0.0 becomes 0.0
    turns[turns == -HALF_TURN] = HALF_TURN  # the same direction
    if not np.array_equal(quads, given):  # else they are there already: a tenth of the answer's time
        found = tuple(quads_as_values(quads))
    columns = (found, boxes.tolist(), np.round(scores, SCORE_DIGITS).tolist(), turns.tolist(), lines)
    rows: list[dict[str, object]] = [
        {"quad": quad, "box": box, "score": score, "angle": angle, "line": line}
        for quad, box, score, angle, line in zip(*columns, strict=True)
    ]
    if options.polygons:
        for row, polygon in zip(rows, _polygons(detection, options), strict=True):
            row["polygon"] = polygon
    return rows


def _flat(outlines: Iterable[Polygon]) -> NDArray[np.float64]:
    """The coordinates of all points of outlines, one after the other."""
    return np.fromiter(chain.from_iterable(chain.from_iterable(outlines)), np.float64)


def _stored_quads(quads: NDArray[np.float64], header: ImageHeader) -> NDArray[np.float64]:
    """Quads as they lie in the file, clockwise, each beginning with the upper edge of its text.

    A mirror turns clockwise around: there the upper edge is told from its other end.
    """
    stored = displayed_to_stored(quads, header)
    return stored[:, [1, 0, 3, 2]] if header.orientation in MIRRORED else stored


def _polygons(detection: Detection, options: DetectOptions) -> list[list[list[float]]]:
    """The outline of each region, clockwise: its quad where it has none."""
    outlines = [region.polygon or region.quad for region in detection.regions]
    points, step = _flat(outlines).reshape(-1, 2), 1
    if options.coordinates == "stored":
        points = displayed_to_stored(points, detection.header)
        step = -1 if detection.header.orientation in MIRRORED else 1
    numbers = _scaled(points, detection.header, options).tolist()
    ends = accumulate(map(len, outlines))
    return [numbers[end - len(outline) : end][::step] for outline, end in zip(outlines, ends, strict=True)]


def _scaled(points: NDArray[np.float64], header: ImageHeader, options: DetectOptions) -> NDArray[np.float64]:
    if not options.normalized:
        return np.round(points, PIXEL_DIGITS)
    stored = options.coordinates == "stored"
    width = header.stored_width if stored else header.width
    height = header.stored_height if stored else header.height
    return np.round(points / [width, height], NORMALIZED_DIGITS)
