"""Convex quads as arrays: area, overlap, direction, the order of corners, the frame of the file.

A quad is four corners (4, 2) of x, y in a continuous frame: x grows right, y grows down, and pixel i spans
[i, i + 1]. *Clockwise* is clockwise as seen on the screen. Everything works on many quads at once.
"""

from __future__ import annotations

import cmath
import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from ocrdet.values import ImageHeader, Quad

    Points = NDArray[np.floating[Any]]

LONG_ASPECT = 1.5
COLUMN_DEGREES = 15.0

# Pairs per step of quad_overlap: its (pairs, 4, 4) float64 scratch then stays inside the processor's cache.
_PAIR_BLOCK = 512
# Far below the width of any edge that matters, in pixels.
_TINY = 1e-9


def quad_area(quads: Points) -> NDArray[np.float64]:
    """The areas of quads.

    Args:
        quads: (N, 4, 2) corners in either direction of rotation.

    Returns:
        (N,) areas in square pixels, never negative.
    """
    return np.abs(_signed_area(_by_corner(quads)))


def quad_overlap(a: Points, b: Points) -> NDArray[np.float64]:
    """The exact area that the quads of each pair have in common.

    A polygon is the signed sum of the trapezoids between its edges and one line, so the common area of two is
    the signed sum, over the 4 x 4 pairs of edges, of the integral of the lesser height. That is continuous in
    the corners: touching, equal, nested and degenerate quads need no case of their own.

    Args:
        a: (N, 4, 2) corners of convex quads, in either direction of rotation.
        b: (N, 4, 2) corners of the partners.

    Returns:
        (N,) square pixels.
    """
    blocks = [slice(i, i + _PAIR_BLOCK) for i in range(0, len(a), _PAIR_BLOCK)]
    common = np.concatenate([np.empty(0), *(_common_area(a[block], b[block]) for block in blocks)])
    smaller: NDArray[np.float64] = np.minimum(common, np.minimum(quad_area(a), quad_area(b)))
    return smaller


def order_quads(quads: Points) -> NDArray[np.float64]:
    """The same quads, clockwise from the top-left corner of the text.

    Long quads (aspect of 1.5 and more) read along their long side, from left to right; but within 15 degrees
    of vertical they are columns, whose top is a short side. The others stand as upright as they can.

    Args:
        quads: (N, 4, 2) corners of convex quads, in either direction of rotation.

    Returns:
        (N, 4, 2) float64; `quad_angle` of it is in (-90, 90].
    """
    corners = _by_corner(quads)
    counterclockwise = _signed_area(corners) < 0
    if counterclockwise.any():
        corners[..., counterclockwise] = corners[::-1][..., counterclockwise]
    x, y = _edges(corners).transpose(1, 0, 2)
    along, length = np.degrees(np.arctan2(y, x)), np.hypot(x, y)
    # Any of the four corners may come first: then the text runs along +e0, +e1, -e0 or -e1.
    angles = _wrap(np.concatenate([along, along + 180.0]))
    second_longer = length[1] > length[0]
    tilt = np.abs(_wrap(2.0 * np.where(second_longer, *along[::-1])) / 2.0)
    is_long = np.maximum(*length) >= LONG_ASPECT * np.minimum(*length)
    along_second = second_longer ^ (tilt > 90.0 - COLUMN_DEGREES)
    # The hair's breadth prefers +90 to -90 and +45 to -45.
    effort = np.abs(angles - 1e-9)
    effort[0::2, is_long & along_second] = np.inf
    effort[1::2, is_long & ~along_second] = np.inf
    order = (effort.argmin(axis=0)[:, None] + np.arange(4)) % 4
    order += np.arange(0, 4 * len(quads), 4)[:, None]
    ordered: NDArray[np.float64] = corners.transpose(2, 0, 1).reshape(-1, 2)[order]
    return ordered


def quad_angle(quads: Points) -> NDArray[np.float64]:
    """The direction of the text in quads that `order_quads` has ordered.

    It is the mean of the first edge and its opposite, so that a corner cut off at the border of the image
    hardly turns it.

    Args:
        quads: (N, 4, 2) corners.

    Returns:
        (N,) degrees clockwise from the x axis, in (-90, 90] for ordered quads.
    """
    x, y = quad_edges(quads)[0]
    angle: NDArray[np.float64] = np.degrees(np.arctan2(y, x))
    return angle


def quad_edges(quads: Points) -> NDArray[np.float64]:
    """The two directions of quads, each the mean of opposite edges.

    Args:
        quads: (N, 4, 2) corners.

    Returns:
        (2, 2, N) vectors along the first and the second edge, as long as these: x and y apart.
    """
    return _edges(_by_corner(quads))


def median_tilt(degrees: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    """The weighted median of directions, quarter turns aside.

    Args:
        degrees: (N,) directions, at least one.
        weights: (N,) above 0.

    Returns:
        Degrees in [-45, 45). Directions on both sides of 45 have their median there, not in the middle.
    """
    # What repeats every quarter turn has a mean on the circle of its fourfold.
    mean = math.degrees(cmath.phase((weights * np.exp(4j * np.radians(degrees))).sum())) / 4.0
    apart = fold_quarter(degrees - mean)
    order = np.lexsort((weights, apart))
    running = np.cumsum(weights[order])
    return float(fold_quarter(mean + apart[order][np.searchsorted(running, running[-1] / 2.0)]))


def fold_quarter(degrees: NDArray[np.float64]) -> NDArray[np.float64]:
    """Degrees brought into [-45, 45) by quarter turns."""
    return (degrees + 45.0) % 90.0 - 45.0


def order_by_place(quads: NDArray[np.float64]) -> NDArray[np.intp]:
    """An order of quads (N, 4, 2) that only their corners decide: from the top down, by the first of them."""
    corners = quads.reshape(-1, 8)
    order = np.lexsort(corners.T[:2])
    first = corners[order, :2]
    # Eight keys take four times as long as two, and hardly ever is there anything left for them to decide.
    if (first[1:] == first[:-1]).all(axis=1).any():
        order = np.lexsort(corners.T[[6, 7, 4, 5, 2, 3, 0, 1]])
    return order


def quads_as_values(quads: NDArray[np.float64]) -> Iterator[Quad]:
    """Quads (N, 4, 2) as the values that a region holds, numbers of Python's own."""
    numbers = iter(quads.ravel().tolist())
    points = zip(numbers, numbers, strict=True)
    return zip(points, points, points, points, strict=True)


def displayed_to_stored(points: Points, header: ImageHeader) -> NDArray[np.float64]:
    """The same points in the frame of the file, before its EXIF orientation turned the image upright.

    Mirrored orientations (2, 4, 5, 7) also turn clockwise into counterclockwise; the order of points is kept.

    Args:
        points: (..., 2) x, y in displayed pixels.
        header: Stored size and orientation of the image.

    Returns:
        (..., 2) float64 x, y in stored pixels.
    """
    stored = np.array(points, np.float64)
    if header.orientation >= 5:
        stored = stored[..., ::-1].copy()
    if header.orientation in {2, 3, 7, 8}:
        stored[..., 0] = header.stored_width - stored[..., 0]
    if header.orientation in {3, 4, 6, 7}:
        stored[..., 1] = header.stored_height - stored[..., 1]
    return stored


def _by_corner(quads: Points) -> NDArray[np.float64]:
    """(4, 2, N) corners: numpy takes half the time where the long axis comes last."""
    return np.array(quads.transpose(1, 2, 0), np.float64, order="C")


def _edges(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """(2, 2, N) of (4, 2, N): see `quad_edges`."""
    q0, q1, q2, q3 = corners
    edges: NDArray[np.float64] = np.array([q1 + q2 - q0 - q3, q2 + q3 - q0 - q1]) / 2.0
    return edges


def _signed_area(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,) areas of (4, 2, N), positive for clockwise quads; by the diagonals."""
    (x_1, y_1), (x_2, y_2) = corners[2:] - corners[:2]
    area: NDArray[np.float64] = (x_1 * y_2 - y_1 * x_2) / 2.0
    return area


def _wrap(degrees: NDArray[np.float64]) -> NDArray[np.float64]:
    """Degrees brought into (-180, 180]."""
    return 180.0 - (180.0 - degrees) % 360.0


def _common_area(a: Points, b: Points) -> NDArray[np.float64]:
    """(N,) areas of the intersections."""
    # Pairs go last, where numpy is fast, and near the origin, where floats are fine.
    a, b = a.astype(np.float64), b.astype(np.float64)
    origin = np.minimum(a.min(axis=1), b.min(axis=1))[:, None]
    a_left, a_width, a_y, a_slope, a_sign = _edges_by_x(a - origin)[:, :, None]
    b_left, b_width, b_y, b_slope, b_sign = _edges_by_x(b - origin)[:, None]
    start = np.maximum(a_left, b_left)
    width = np.maximum(np.minimum(a_left + a_width, b_left + b_width) - start, 0.0)
    b_start = b_y + b_slope * (start - b_left)
    gap_start = a_y + a_slope * (start - a_left) - b_start
    gap_stop = gap_start + (a_slope - b_slope) * width
    # Twice the mean of -min(gap, 0) where the gap is linear, whether or not it changes its sign.
    below = np.minimum(gap_start, 0.0) + np.minimum(gap_stop, 0.0)
    below *= below / np.maximum(np.abs(gap_start) + np.abs(gap_stop), _TINY)
    twice = a_sign * b_sign * width * (2.0 * b_start + b_slope * width - below)
    common: NDArray[np.float64] = np.abs(twice.sum(axis=(0, 1))) / 2.0
    return common


def _edges_by_x(quads: NDArray[np.float64]) -> NDArray[np.float64]:
    """(5, 4, N): left end, width, y at the left end, slope, direction of each edge; upright: no width."""
    x, y = np.ascontiguousarray(quads.transpose(2, 1, 0))
    next_x, next_y = x[[1, 2, 3, 0]], y[[1, 2, 3, 0]]
    dx = next_x - x
    width = np.abs(dx)
    width[width < _TINY] = 0.0
    slope = (next_y - y) / np.where(width > 0, dx, 1.0)
    return np.stack([np.minimum(x, next_x), width, np.where(dx < 0, next_y, y), slope, np.sign(dx)])
