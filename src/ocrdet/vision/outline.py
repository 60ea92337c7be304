"""Outlines for curved text: the shape of a region, grown back by the same distance as its quad."""

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


def trace_outline(contour: MatLike, distance: float, size: tuple[int, int]) -> NDArray[np.int32]:
    """The outline of everything within a distance of a shape.

    The shape is grown on the pixel grid and inside the map only: an outline clipped afterwards could touch
    itself along the border.

    Args:
        contour: (P, 1, 2) int32 pixel indices around the shape.
        distance: How far to grow it, pixels.
        size: Height and width of the map, pixels.

    Returns:
        (Q, 2) int32 pixel indices of a simple polygon, clockwise, of 3 to 64 points.
    """
    margin = math.ceil(distance) + 1
    x, y, width, height = cv2.boundingRect(contour)
    left, top = max(x - margin, 0), max(y - margin, 0)
    right, bottom = min(x + width + margin, size[1]), min(y + height + margin, size[0])
    outside = np.full((bottom - top, right - left), 255, np.uint8)
    cv2.drawContours(outside, [contour], -1, (0,), cv2.FILLED, offset=(-left, -top))
    gap = cv2.distanceTransform(outside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    # The grid rounds to the nearest pixel, not down.
    grown = (gap < distance + 0.5).view(np.uint8)
    shapes, _ = cv2.findContours(grown, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE, offset=(left, top))
    return _simplify(shapes[0])


def _simplify(contour: MatLike) -> NDArray[np.int32]:
    """(Q, 2) at most 64 points of a contour, clockwise, without self-intersection."""
    tolerance = _TOLERANCE_PX
    points = cv2.approxPolyDP(contour, tolerance, closed=True)
    while len(points) > MAX_OUTLINE_POINTS:
        tolerance *= 1.5
        points = cv2.approxPolyDP(contour, tolerance, closed=True)
    if not (cv2.isContourConvex(points) or _is_simple(points[:, 0].astype(np.int32))):
        points = cv2.approxPolyDP(cv2.convexHull(contour), tolerance, closed=True)
    clockwise = cv2.contourArea(points, oriented=True) > 0
    return points[:: 1 if clockwise else -1, 0].astype(np.int32)


def _is_simple(start: NDArray[np.int32]) -> bool:
    """Whether no two edges of a polygon (Q, 2) meet, but neighbours in their common corner."""
    stop = np.concatenate([start[1:], start[:1]])
    edge = stop - start

    def side(points: NDArray[np.int32]) -> NDArray[np.int32]:
        """(edges, points): on which side of each edge the points lie."""
        apart = points[None] - start[:, None]
        cross: NDArray[np.int32] = edge[:, None, 0] * apart[..., 1] - edge[:, None, 1] * apart[..., 0]
        return np.sign(cross)

    straddles = side(start) * side(stop) <= 0
    low, high = np.minimum(start, stop), np.maximum(start, stop)
    boxes_meet = ((low[:, None] <= high[None]) & (low[None] <= high[:, None])).all(axis=2)
    number = np.arange(len(start))
    neighbours = np.abs(number[:, None] - number) % (len(start) - 1) <= 1
    return not (straddles & straddles.T & boxes_meet & ~neighbours).any()
