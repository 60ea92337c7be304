"""Outlines for curved text: the shape of a region, grown back by a distance."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from cv2.typing import MatLike
    from numpy.typing import NDArray

MAX_OUTLINE_POINTS = 64

# How far an outline may stray from the pixels that it follows, at first.
_TOLERANCE_PX = 0.7

# Growing by a disk marks the very pixels that are near enough; up to this far it takes half the time.
_NEAR_PX = 12
_FROM_CENTRE = np.sqrt(
    sum(np.square(np.mgrid[-_NEAR_PX : _NEAR_PX + 1, -_NEAR_PX : _NEAR_PX + 1])), dtype=np.float32
)


def trace_outline(text: NDArray[np.bool_], contour: MatLike, distance: float) -> NDArray[np.int32]:
    """The outline of everything within a distance of a shape.

    The shape is grown on the pixel grid and inside the map only: an outline clipped afterwards could touch
    itself along the border.

    Args:
        text: (H, W) bool, where the map says text.
        contour: (P, 1, 2) int32 pixel indices around the shape, which is at least three pixels wide.
        distance: How far to grow it, pixels.

    Returns:
        (Q, 2) int32 pixel indices of a simple polygon, clockwise, of 3 to 64 points.
    """
    margin = math.ceil(distance) + 1
    x, y, width, height = cv2.boundingRect(contour)
    left, top = max(x - margin, 0), max(y - margin, 0)
    part = text.view(np.uint8)[top : y + height + margin, left : x + width + margin].copy()
    # The contour names the ends of runs only: filling it would bridge bays. Its shape is what hangs together.
    column, row = contour[0, 0].tolist()
    cv2.floodFill(part, None, (column - left, row - top), (2,), flags=8)
    # The grid rounds to the nearest pixel, not down.
    reach = distance + 0.5
    if distance < _NEAR_PX:
        grown = cv2.dilate((part == 2).view(np.uint8), (reach > _FROM_CENTRE).view(np.uint8))
    else:
        gap = cv2.distanceTransform((part != 2).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        grown = (gap < reach).view(np.uint8)
    shapes, _ = cv2.findContours(grown, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE, offset=(left, top))
    return _simplify(shapes[0])


def _simplify(contour: MatLike) -> NDArray[np.int32]:
    """(Q, 2) at most 64 points of a contour, clockwise, without self-intersection."""
    points = _thin_out(contour)
    if not (cv2.isContourConvex(points) or _is_simple(points)):
        points = _thin_out(cv2.convexHull(contour))
    return points if cv2.contourArea(points, oriented=True) > 0 else points[::-1]


def _thin_out(contour: MatLike) -> NDArray[np.int32]:
    """(Q, 2) at most 64 points of a contour, as near to it as that allows."""
    tolerance = _TOLERANCE_PX
    points = cv2.approxPolyDP(contour, tolerance, closed=True)
    while len(points) > MAX_OUTLINE_POINTS:
        tolerance *= 1.5
        points = cv2.approxPolyDP(contour, tolerance, closed=True)
    return points[:, 0].astype(np.int32, copy=False)


def _is_simple(start: NDArray[np.int32]) -> bool:
    """Whether no two edges of a polygon (Q, 2) meet, but neighbours in their common corner."""
    if len(start) < 3:
        return False
    number = np.arange(len(start))
    following = number - (len(start) - 1)  # counted from the end
    stop = start[following]
    (edge_x, edge_y), (x, y) = (stop - start).T[..., None], start.T
    # (edges, points): on which side of each edge, or on its line, the points lie.
    side = np.sign(edge_x * (y - y[:, None]) - edge_y * (x - x[:, None]))
    straddles = side * side[:, following] <= 0
    meet = straddles & straddles.T
    meet[number, number] = meet[number, following] = meet[following, number] = False
    # Whether edges on one line meet, their boxes tell.
    i, j = meet.nonzero()
    low, high = np.minimum(start, stop), np.maximum(start, stop)
    return not ((low[i] <= high[j]) & (low[j] <= high[i])).all(axis=1).any()
