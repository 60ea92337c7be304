"""Steady rectangles: a common tilt where there is one, and edges that lie between pixels.

The smallest rectangle around a shape turns and jumps with single pixels: a short word on a level page may
stand askew, and an edge moves by a whole pixel of the map, several of the photo, when one probability crosses
the threshold. What reads the text next wants the same box for the same text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from ocrdet.vision.geometry import fold_quarter, median_tilt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cv2.typing import MatLike
    from numpy.typing import NDArray

# From this ratio of sides on the direction of a rectangle tells that of its text.
_TELLING_ASPECT = 3.0
# Half of the text within this of the median makes a page of one tilt; scenes of many directions have none.
_COMMON_DEGREES = 3.0
# A rectangle at the page's tilt is taken instead of the smallest one when it is at most this much larger.
_LEEWAY = 1.2

# On average the level is crossed this far outside the centres of the outermost pixels. Edges are put that
# much inward, so that regions are as large as without refinement, for which thresholds are published.
_USUAL_CROSSING_PX = 0.7
# Samples along an edge are two pixels apart (the network's own output is four), and no more than this.
_SAMPLE_PX = 2.0
_MAX_SAMPLES = 64

# OpenCV interpolates many points as an image of points, and no image whose sides are longer than this.
_REMAP_COLUMNS = 1024
_REMAP_LIMIT = 32_766


def settle_tilts(contours: Sequence[MatLike], rects: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rectangles turned to the tilt of the page wherever that costs next to nothing.

    Args:
        contours: Each (P, 1, 2) int32 pixel indices.
        rects: (N, 5) the smallest rectangle around each.

    Returns:
        (N, 5) rectangles around the same contours; the input's where the text has no common tilt.
    """
    tilt = _common_tilt(rects)
    if tilt is None or not contours:
        return rects
    counts = np.array([len(contour) for contour in contours])
    starts = np.cumsum(counts) - counts
    cos, sin = np.cos(np.radians(tilt)), np.sin(np.radians(tilt))
    points = np.concatenate(contours)[:, 0] @ np.array([[cos, -sin], [sin, cos]])
    low, high = np.minimum.reduceat(points, starts), np.maximum.reduceat(points, starts)
    middle = (low + high) / 2.0 @ np.array([[cos, sin], [-sin, cos]])
    turned = np.column_stack([middle, high - low, np.full(len(rects), tilt)])
    # Counted in whole pixels: between the centres of its pixels a thin shape has hardly any area.
    sizes, smallest = ((each[:, 2] + 1.0) * (each[:, 3] + 1.0) for each in (turned, rects))
    cheap = sizes <= _LEEWAY * smallest
    return np.where(cheap[:, None], turned, rects)


def refine_edges(
    values: NDArray[np.float32], rects: NDArray[np.float64], level: float
) -> NDArray[np.float64]:
    """Rectangles whose edges lie where the map, interpolated between pixels, falls to the level.

    The best probability along an edge and that one pixel further out say where; an edge beyond which another
    shape or the border of the map lies stays in its place.

    Args:
        values: (H, W) the map.
        rects: (N, 5) rectangles through the outermost pixels above the level.
        level: The binary threshold.

    Returns:
        (N, 5) rectangles, each edge moved by less than a pixel.
    """
    if len(rects) == 0 or max(values.shape) > _REMAP_LIMIT:
        return rects
    turns = np.radians(rects[:, 4])
    cos, sin = np.cos(turns), np.sin(turns)
    # The edges right, left, bottom and top of each rectangle, (4, N): where they look, how far they are from
    # its centre, and half of their length.
    ahead_x, ahead_y = np.array([cos, -cos, -sin, sin]), np.array([sin, -sin, cos, -cos])
    depth, half = rects.T[[2, 2, 3, 3]] / 2.0, rects.T[[3, 3, 2, 2]] / 2.0
    samples = np.minimum(np.maximum(half * (2.0 / _SAMPLE_PX), 2), _MAX_SAMPLES).astype(np.intp) + 1
    step = 2.0 * half / (samples - 1)
    middle_x, middle_y = rects[:, 0] + ahead_x * depth, rects[:, 1] + ahead_y * depth
    edges = np.array([middle_x, -ahead_y * step, middle_y, ahead_x * step, ahead_x, ahead_y], np.float32)
    on, beyond = _highest(values, edges.reshape(6, -1), samples.ravel()).reshape(2, 4, -1)
    crossed = (on > level) & (beyond <= level)
    crossing = np.divide(on - level, on - beyond, out=np.full(on.shape, _USUAL_CROSSING_PX), where=crossed)
    moved = crossing - _USUAL_CROSSING_PX
    refined = rects.copy()
    refined[:, 0] += (ahead_x * moved).sum(axis=0) / 2.0
    refined[:, 1] += (ahead_y * moved).sum(axis=0) / 2.0
    refined[:, 2:4] += (moved[0::2] + moved[1::2]).T
    return refined


def _common_tilt(rects: NDArray[np.float64]) -> float | None:
    """Degrees in [-45, 45) that most text is turned by, quarter turns aside; None where it has no such tilt.

    Without any long shape it is 0: short text stands upright unless something says otherwise.
    """
    longer, shorter = np.maximum(rects[:, 2], rects[:, 3]), np.minimum(rects[:, 2], rects[:, 3])
    telling = longer >= _TELLING_ASPECT * shorter
    if not telling.any():
        return 0.0
    angles, weights = rects[telling, 4], longer[telling]
    tilt = median_tilt(angles, weights)
    common = weights[np.abs(fold_quarter(angles - tilt)) <= _COMMON_DEGREES].sum()
    return tilt if common >= weights.sum() / 2.0 else None


def _highest(
    values: NDArray[np.float32], edges: NDArray[np.float32], samples: NDArray[np.intp]
) -> NDArray[np.float32]:
    """The highest of the bilinear values along edges, and a pixel further out: (2, E).

    Args:
        values: (H, W) the map; outside it counts what lies at its border.
        edges: (6, E) x, step in x, y, step in y, and the direction outward.
        samples: (E,) how many points of each edge to look at.
    """
    # OpenCV takes the points as an image. What is left of its last row becomes one more edge.
    counts = np.append(samples, _REMAP_COLUMNS - int(samples.sum()) % _REMAP_COLUMNS)
    starts = np.cumsum(counts) - counts
    number = np.arange(int(counts.sum())) - np.repeat(starts + (counts - 1) / 2.0, counts)
    edges = np.append(edges, np.zeros((6, 1), np.float32), axis=1)
    x, step_x, y, step_y, out_x, out_y = np.repeat(edges, counts, axis=1).reshape(6, -1, _REMAP_COLUMNS)
    number = number.reshape(x.shape)
    x += step_x * number
    y += step_y * number
    found = [cv2.remap(values, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)]
    x += out_x
    y += out_y
    found.append(cv2.remap(values, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))
    return np.stack([np.maximum.reduceat(image.ravel(), starts)[:-1] for image in found])
