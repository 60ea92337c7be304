"""Steady rectangles: a common tilt where there is one, and edges that lie between pixels.

The smallest rectangle around a shape turns and jumps with single pixels: a short word on a level page may
stand askew, and an edge moves by a whole pixel of the map, several of the photo, when one probability crosses
the threshold. What reads the text next wants the same box for the same text.
"""

from __future__ import annotations

import itertools
from functools import partial
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

# OpenCV interpolates no image whose sides are longer than this.
_REMAP_LIMIT = 32_766
# So many points of edges at a time: more would not stay inside the processor's cache, and where the system
# has to give memory for 40,000 at once, that alone takes longer than the work.
_BLOCK = 16_384


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
    counts = np.fromiter(map(len, contours), np.intp)
    starts = np.cumsum(counts) - counts
    cos, sin = np.cos(np.radians(tilt)), np.sin(np.radians(tilt))
    points = np.concatenate(contours)[:, 0] @ np.array([[cos, -sin], [sin, cos]])
    low, high = np.minimum.reduceat(points, starts), np.maximum.reduceat(points, starts)
    middle = (low + high) / 2.0 @ np.array([[cos, sin], [-sin, cos]])
    turned = np.empty_like(rects)
    turned[:, :2], turned[:, 2:4], turned[:, 4] = middle, high - low, tilt
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
    x, y, width, height, degrees = np.ascontiguousarray(rects.T)
    turns = np.radians(degrees)
    cos, sin = np.cos(turns), np.sin(turns)
    # Edges come in pairs, right with left and bottom with top, (2, N): where the first of each looks, how far
    # both are from the centre, and half of their length.
    out_x, out_y = np.array([cos, -sin]), np.array([sin, cos])
    depth, half = np.array([width, height]) / 2.0, np.array([height, width]) / 2.0
    samples = np.minimum(np.maximum(half * (2.0 / _SAMPLE_PX), 2), _MAX_SAMPLES).astype(np.intp) + 1
    step = 2.0 * half / (samples - 1)
    far_x, far_y = out_x * depth, out_y * depth
    pairs = np.array(
        [x + far_x, x - far_x, y + far_y, y - far_y, -out_y * step, out_x * step, out_x, out_y], np.float32
    )
    on, beyond = _highest(values, pairs.reshape(8, -1), samples.ravel())
    crossed = (on > level) & (beyond <= level)
    crossing = np.divide(on - level, on - beyond, out=np.full(on.shape, _USUAL_CROSSING_PX), where=crossed)
    moved = crossing - _USUAL_CROSSING_PX
    (right, bottom), (left, top) = moved.reshape(2, 2, -1)
    refined = rects.copy()
    refined[:, 0] += (cos * right - cos * left - sin * bottom + sin * top) / 2.0
    refined[:, 1] += (sin * right - sin * left + cos * bottom - cos * top) / 2.0
    refined[:, 2] += right + left
    refined[:, 3] += bottom + top
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
    values: NDArray[np.float32], pairs: NDArray[np.float32], samples: NDArray[np.intp]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The highest of the bilinear values along edges, and a pixel further out.

    Args:
        values: (H, W) the map; outside it counts what lies at its border.
        pairs: (8, P) pairs of parallel edges: x of the middle of both, y of both, the step in x and in y, and
            the direction outward of the first; that of the second is opposite.
        samples: (P,) how many points of each edge to look at.

    Returns:
        On the edges and beyond, each (2, P): of the first edges and the second.
    """
    ends = np.cumsum(samples)
    cuts = np.searchsorted(ends, np.arange(_BLOCK, ends[-1], _BLOCK)).tolist()
    on, beyond = np.empty((2, 2, len(samples)), np.float32)
    interpolate = partial(cv2.remap, values, interpolation=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    for start, stop in itertools.pairwise([0, *cuts, len(samples)]):
        counts = samples[start:stop]
        starts = np.cumsum(counts) - counts
        number = np.arange(float(counts.sum()))
        number -= np.repeat(starts + (counts - 1) / 2.0, counts)
        # OpenCV takes the points as an image: here a row of those on the first edges, and one of the others.
        points = np.repeat(pairs[:, start:stop], counts, axis=1)
        x, y, (step_x, step_y, out_x, out_y) = points[:2], points[2:4], points[4:]
        x += step_x * number
        y += step_y * number
        np.maximum.reduceat(interpolate(x, y), starts, axis=1, out=on[:, start:stop])
        x[0] += out_x
        x[1] -= out_x
        y[0] += out_y
        y[1] -= out_y
        np.maximum.reduceat(interpolate(x, y), starts, axis=1, out=beyond[:, start:stop])
    return on, beyond
