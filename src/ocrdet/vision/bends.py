"""Bent shapes, as of text along an arc: what their rectangles get wrong.

A bent line fills little of its rectangle. The mean over that rectangle is then a score of the background, and
area and perimeter of that rectangle grow the region several times too far. Both are taken from the shape.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cv2.typing import MatLike
    from numpy.typing import NDArray

# A shape that fills less of its rectangle is bent, if it is thick enough to tell and longer than thick.
_BENT_FILL = 0.7
_MIN_THICKNESS_PX = 3.0
_MIN_ASPECT = 3.0
# The mean over a shape leaves out the faint rim that the mean over a rectangle has: three quarters of the one
# sort real text from ghosts where the other does.
_RIM = 0.75
# The windows of bent shapes may cover the map this many times; in a map drawn to cost time, others are left.
_MAX_WINDOWS = 4


def find_bends(
    contours: Sequence[MatLike], areas: NDArray[np.float64], rects: NDArray[np.float64]
) -> NDArray[np.intp]:
    """Which shapes are bent.

    Args:
        contours: Each (P, 1, 2) int32 pixel indices.
        areas: (N,) what each encloses.
        rects: (N, 5) the rectangle around each, sides above zero.

    Returns:
        (B,) indices, ascending.
    """
    sparse = np.flatnonzero(areas < _BENT_FILL * rects[:, 2] * rects[:, 3])
    lengths = np.array([cv2.arcLength(contours[i], closed=True) for i in sparse.tolist()]) / 2.0
    # A ribbon of thickness t and length l has the area t l and half the perimeter l + t.
    thickness = areas[sparse] / np.maximum(lengths, 1.0)
    bent: NDArray[np.intp] = sparse[
        (thickness >= _MIN_THICKNESS_PX) & (lengths >= (1.0 + _MIN_ASPECT) * thickness)
    ]
    return bent


def measure_bends(
    values: NDArray[np.float32], text: NDArray[np.bool_], contours: Sequence[MatLike]
) -> NDArray[np.float64]:
    """Scores of bent shapes, comparable with means over the rectangles of straight ones.

    Args:
        values: (H, W) the map.
        text: (H, W) where it is above the binary threshold.
        contours: Each (P, 1, 2) int32 pixel indices around a bent shape.

    Returns:
        (B,) scores; 0 for shapes beyond what may be looked at.
    """
    scores = np.zeros(len(contours))
    budget = _MAX_WINDOWS * values.size
    for i, contour in enumerate(contours):
        x, y, width, height = cv2.boundingRect(contour)
        budget -= width * height
        if budget < 0:
            break
        window = slice(y, y + height), slice(x, x + width)
        part = text[window].astype(np.uint8)
        cv2.floodFill(part, None, (contour[0, 0] - (x, y)).tolist(), (2,), flags=8)
        scores[i] = _RIM * cv2.mean(values[window], (part == 2).view(np.uint8))[0]
    return scores


def shape_distances(contours: Sequence[MatLike], ratio: float) -> NDArray[np.float64]:
    """How far each shape is to grow on every side, (B,) pixels: its own area x ratio / perimeter."""
    sizes = [(cv2.contourArea(contour), cv2.arcLength(contour, closed=True)) for contour in contours]
    area, perimeter = np.array(sizes, np.float64).reshape(-1, 2).T
    return area * ratio / np.maximum(perimeter, 1.0)
