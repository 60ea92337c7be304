"""Probability map in, text regions out: the post-processing of DBNet (arXiv:1911.08947).

    binarise -> contours -> rotated rectangles -> score -> grow back -> source pixels -> NMS -> reading order

Such a network is trained on text shrunk from all sides, so that neighbouring lines stay apart; what is found
is grown back by area x unclip_ratio / perimeter. A rectangle grown by d with round corners has a smallest
rectangle around it that is 2 d wider and higher, so no polygon needs to be offset.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ocrdet.values import TextRegion
from ocrdet.vision.bends import find_bends, measure_bends, shape_distances
from ocrdet.vision.edges import refine_edges, settle_tilts
from ocrdet.vision.geometry import order_quads, quad_angle, quads_as_values
from ocrdet.vision.nms import suppress_overlaps
from ocrdet.vision.outline import trace_outline
from ocrdet.vision.reading_order import sort_into_lines
from ocrdet.vision.shapes import find_shapes, fit_rectangles, mean_inside, rectangle_corners, unclip_distances

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from ocrdet.values import Placement, Polygon, ProbabilityMap, Thresholds

# The shorter side, in model pixels, that a region needs before and after it is grown back. The first is a
# hair below 3, so that rounding does not decide on bars of four pixels, whose outer centres are 3 apart.
MIN_SIDE_PX = 2.99
MIN_GROWN_SIDE_PX = 5.0

# Outlines grow as far as quads do, unless area and perimeter of the shape ask for less than this part of it:
# then the shape is curved, and its rectangle misjudges it.
CURVED_REACH = 0.75

# Finer than any model sees, short in JSON, and the noise of float32 stays out of the answers.
COORDINATE_DECIMALS = 2
ANGLE_DECIMALS = 2
# Rounded, the last angle before -90, which would be the direction opposite to 90.
LEAST_ANGLE = -89.99
SCORE_DECIMALS = 4


@dataclass(frozen=True, slots=True)
class FoundRegions:
    """The regions of one image.

    Attributes:
        regions: In reading order, points in the displayed frame.
        dropped: Regions that max_regions cut off, the worst scores first.
        candidates_cut: Shapes that max_candidates cut off, the smallest first.
    """

    regions: tuple[TextRegion, ...]
    dropped: int
    candidates_cut: int


def find_regions(
    probability: ProbabilityMap, thresholds: Thresholds, *, max_regions: int = 1000, polygons: bool = False
) -> FoundRegions:
    """The text regions in a probability map.

    Args:
        probability: The map, finite everywhere, and the place of the image in it; padding is never looked at.
        thresholds: Where to cut.
        max_regions: At most this many regions, best scores first.
        polygons: Also trace the outline of each region.

    Returns:
        The regions in reading order: always the same for the same map.
    """
    place = probability.placement
    padded = np.ascontiguousarray(probability.values)
    values = padded[: place.height, : place.width]
    text = values > thresholds.binary
    contours, areas, candidates_cut = find_shapes(text, thresholds.max_candidates)
    rects = fit_rectangles(contours)
    wide = np.flatnonzero(np.minimum(rects[:, 2], rects[:, 3]) >= MIN_SIDE_PX)
    contours, rects = [contours[i] for i in wide.tolist()], rects[wide]
    bent = find_bends(contours, areas[wide], rects)
    bends = [contours[i] for i in bent.tolist()]
    rects = settle_tilts(contours, rects)
    scores = mean_inside(padded, rects, values.shape)
    scores[bent] = np.maximum(scores[bent], measure_bends(values, text, bends))
    rects = refine_edges(values, rects, thresholds.binary)
    distances = unclip_distances(rects, thresholds.unclip_ratio)
    distances[bent] = shape_distances(bends, thresholds.unclip_ratio)
    rects[:, 2:4] += 2.0 * distances[:, None]
    large = np.minimum(rects[:, 2], rects[:, 3]) >= MIN_GROWN_SIDE_PX
    good = np.flatnonzero((scores >= thresholds.score) & large)

    quads = order_quads(_to_source(rectangle_corners(rects[good]), place))
    hollow = np.zeros(len(rects), bool)
    hollow[bent] = True
    best = suppress_overlaps(quads, scores[good], thresholds.iou, hollow[good])
    dropped = max(len(best) - max_regions, 0)
    order, lines = sort_into_lines(quads[best[:max_regions]])
    quads, good = quads[best[order]], good[best[order]]

    outlines: Iterable[Polygon | None] = itertools.repeat(None)
    if polygons:
        shapes = [contours[i] for i in good.tolist()]
        reach = shape_distances(shapes, thresholds.unclip_ratio)
        reach = np.where(reach < CURVED_REACH * distances[good], reach, distances[good])
        traces = [trace_outline(text, *shape) for shape in zip(shapes, reach.tolist(), strict=True)]
        outlines = _as_outlines(traces, quads[:, 0], place)
    return FoundRegions(_as_regions(quads, scores[good], lines, outlines), dropped, candidates_cut)


def _to_source(points: NDArray[np.float64], place: Placement) -> NDArray[np.float64]:
    """Pixel indices of the map as rounded points of the displayed frame: pixel 0 has its centre at 0.5."""
    source = place.to_source((points + 0.5).astype(np.float32))
    return source.astype(np.float64).round(COORDINATE_DECIMALS)


def _as_outlines(
    traces: list[NDArray[np.int32]], corners: NDArray[np.float64], place: Placement
) -> list[Polygon]:
    """Outlines as values, each from its point next to the first corner of its quad."""
    counts = [len(trace) for trace in traces]
    points = _to_source(np.concatenate([np.empty((0, 2)), *traces]), place)
    away = np.abs(points - np.repeat(corners, counts, axis=0)).sum(axis=1)
    pairs = list(zip(*points.T.tolist(), strict=True))
    outlines, end = [], 0
    for count in counts:
        start, end = end, end + count
        first = start + int(away[start:end].argmin())
        outlines.append((*pairs[first:end], *pairs[start:first]))
    return outlines


def _as_regions(
    quads: NDArray[np.float64],
    scores: NDArray[np.float64],
    lines: NDArray[np.intp],
    outlines: Iterable[Polygon | None],
) -> tuple[TextRegion, ...]:
    """Whole columns become lists of Python's own floats at once: far cheaper than number by number."""
    angles = quad_angle(quads).round(ANGLE_DECIMALS) + 0.0  # -0.0 becomes 0.0
    angles = np.maximum(angles, LEAST_ANGLE)
    # A model's own rounding may carry a probability a little beyond 1.
    rounded = np.minimum(scores, 1.0).round(SCORE_DECIMALS)
    columns = zip(
        quads_as_values(quads), rounded.tolist(), angles.tolist(), lines.tolist(), outlines, strict=False
    )
    return tuple(map(TextRegion._make, columns))
