"""Shapes in a probability map and the rotated rectangles around them, many at once.

A rectangle is a row (5,) of float64: centre x, centre y, width, height in pixel indices of the map, and the
direction of its width in degrees clockwise. It runs through the centres of the outermost pixels of its shape:
the thresholds that models are published with were found that way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cv2.typing import MatLike
    from numpy.typing import NDArray

# Pixels whose centres lie on the edge of a rectangle are inside it, in spite of rounding.
_EDGE_PX = 0.01


def find_shapes(
    text: NDArray[np.bool_], max_candidates: int
) -> tuple[list[MatLike], NDArray[np.float64], int]:
    """The outer contours of the shapes in a mask, those inside the holes of others included.

    The link-run tracer takes a quarter of the time of `cv2.findContours`. Only the direction of its contours
    tells holes: the oriented area of outer contours is positive, of holes it is not, of mere lines it is 0.

    Args:
        text: (H, W) bool, contiguous.
        max_candidates: At most this many contours, largest first.

    Returns:
        The contours, each (P, 1, 2) int32 pixel indices, what area each encloses, and how many were cut off.
    """
    contours, _ = cv2.findContoursLinkRuns(text.view(np.uint8))
    areas = np.array([cv2.contourArea(contour, True) for contour in contours])
    outer = np.flatnonzero(areas > 0)
    excess = len(outer) - max_candidates
    if excess > 0:
        outer = outer[np.argsort(-areas[outer], kind="stable")][:max_candidates]
    return [contours[i] for i in outer.tolist()], areas[outer], max(excess, 0)


def fit_rectangles(contours: Sequence[MatLike]) -> NDArray[np.float64]:
    """The smallest rotated rectangle around each contour, (N, 5)."""
    numbers: list[float] = []
    # One flat list: numpy takes a third longer over one of tuples.
    for centre, size, angle in map(cv2.minAreaRect, contours):
        numbers += (*centre, *size, angle)
    return np.array(numbers, np.float64).reshape(-1, 5)


def rectangle_corners(rects: NDArray[np.float64]) -> NDArray[np.float64]:
    """The corners of rectangles, (N, 4, 2), clockwise, in pixel indices."""
    x, y, width, height, degrees = np.ascontiguousarray(rects.T)
    turns = np.radians(degrees)
    cos, sin = np.cos(turns) / 2.0, np.sin(turns) / 2.0
    # Half of the width and of the height as vectors, (2, N).
    aside, down = np.array([width * cos, width * sin]), np.array([-height * sin, height * cos])
    corners = np.array([-aside - down, aside - down, aside + down, down - aside])
    corners += [x, y]
    return np.ascontiguousarray(corners.transpose(2, 0, 1))


def unclip_distances(rects: NDArray[np.float64], ratio: float) -> NDArray[np.float64]:
    """How far each rectangle is to grow on every side, (N,) pixels: area x ratio / perimeter."""
    width, height = rects[:, 2], rects[:, 3]
    return width * height * (ratio / 2.0) / np.maximum(width + height, 1.0)


def mean_inside(
    values: NDArray[np.float32], rects: NDArray[np.float64], size: tuple[int, int] | None = None
) -> NDArray[np.float64]:
    """The mean of the pixels whose centres lie in each rectangle.

    Each row of a rectangle is one span of pixels; in the order of memory, a single pass adds up all of them.

    Args:
        values: (H, W) the map, contiguous.
        rects: (N, 5) rectangles whose sides are at least one pixel.
        size: Height and width of the part of the map, at its top-left corner, that counts; all if left out.

    Returns:
        (N,) means.
    """
    if len(rects) == 0:
        return np.empty(0)
    stride = values.shape[1]
    height, width = size or values.shape
    x, y, *sides, degrees = np.ascontiguousarray(rects.T)
    turns = np.radians([degrees, degrees + 90.0])
    cos, sin = np.cos(turns), np.sin(turns)
    reach = (np.abs(sides[0] * sin[0]) + np.abs(sides[1] * cos[0])) / 2.0 + _EDGE_PX
    top = np.maximum(np.ceil(y - reach), 0.0)
    rows = (np.minimum(np.floor(y + reach), height - 1.0) - top + 1.0).astype(np.intp)
    starts = np.cumsum(rows) - rows

    # Between each pair of opposite edges: |dx cos + dy sin| <= side / 2.
    cos[np.abs(cos) < 1e-9] = 1e-9
    slopes, reaches = sin / cos, (np.array(sides) / 2.0 + _EDGE_PX) / np.abs(cos)
    columns = np.repeat([top - starts, x, y, *slopes, *reaches], rows, axis=1)
    row, x, y, slope_1, slope_2, reach_1, reach_2 = columns
    row += np.arange(len(row))
    below = row - y
    middle_1, middle_2 = x - below * slope_1, x - below * slope_2
    left = np.maximum(np.maximum(middle_1 - reach_1, middle_2 - reach_2), 0.0)
    right = np.minimum(np.minimum(middle_1 + reach_1, middle_2 + reach_2), width - 1.0)

    first = np.ceil(left)
    lengths = np.maximum(np.floor(right) + 1.0 - first, 0.0)
    first += row * stride
    some = np.flatnonzero(lengths)
    some = some[np.argsort(first[some], kind="stable")]
    sums = np.zeros(len(first))
    sums[some] = _span_sums(values.ravel(), first[some].astype(np.intp), lengths[some].astype(np.intp))
    means: NDArray[np.float64] = np.add.reduceat(sums, starts) / np.add.reduceat(lengths, starts)
    return means


def _span_sums(
    values: NDArray[np.float32], starts: NDArray[np.intp], lengths: NDArray[np.intp]
) -> NDArray[np.float32]:
    """(S,) sums over spans, none empty, ordered by their starts."""
    ends = starts + lengths
    values = values[: int(ends.max(initial=0)) + 1]
    last = values.size - 1
    # Every second sum is that of a gap between spans. None can end behind the last value: it comes extra.
    bounds = np.minimum(np.stack([starts, ends], axis=1).ravel(), last)
    sums: NDArray[np.float32] = np.add.reduceat(values, bounds)[::2]
    if ends.max(initial=0) > last:
        sums[(ends > last) & (starts < last)] += values[last]
    return sums
