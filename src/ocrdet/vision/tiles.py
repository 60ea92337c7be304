"""Pictures too long or too large for one pass: overlapping windows, and one map of all that they saw.

Maps are merged before regions are taken from them, so that a line across a seam is found in one piece.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

Shape = tuple[int, int]
# What neighbouring windows share, model pixels: a line up to this height is whole in at least one of them.
OVERLAP_PX = 128
# Of a small shape, no more than this part.
LARGEST_OVERLAP = 0.25


@dataclass(frozen=True, slots=True)
class Window:
    """A part of the scaled image that goes through the model in one pass, model pixels."""

    left: int
    top: int
    width: int
    height: int

    @property
    def area(self) -> tuple[slice, slice]:
        """Its rows and columns in an array of the scaled image."""
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)


def cover_with_windows(
    width: int, height: int, shapes: Sequence[Shape], max_tiles: int
) -> tuple[Shape, tuple[Window, ...]] | None:
    """The windows of one shape that see a whole scaled image for the fewest model pixels.

    Args:
        width: Of the scaled image, model pixels.
        height: The same.
        shapes: (H, W) that the model was warmed with.
        max_tiles: At most this many windows.

    Returns:
        The shape and the windows, row by row, evenly spread; None where that many do not suffice.
    """
    numbers = {shape: _count(width, height, shape) for shape in shapes}
    possible = [shape for shape in shapes if numbers[shape] <= max_tiles]
    if not possible:
        return None
    shape = min(possible, key=lambda s: (numbers[s] * s[0] * s[1], s))
    rows, columns = _starts(height, shape[0]), _starts(width, shape[1])
    size = min(width, shape[1]), min(height, shape[0])
    return shape, tuple(Window(left, top, *size) for top, left in itertools.product(rows, columns))


def count_windows(width: int, height: int, shapes: Sequence[Shape]) -> int:
    """The fewest windows of one shape that see a whole scaled image."""
    return min(_count(width, height, shape) for shape in shapes)


def merge_maps(
    maps: Sequence[NDArray[np.float32]], windows: Sequence[Window], width: int, height: int
) -> NDArray[np.float32]:
    """One probability map of the whole scaled image.

    Where windows overlap, each counts the less the nearer the pixel is to its edge, where it saw only half
    of what is there.

    Args:
        maps: (H, W) float32 of each window, its own part at the top-left corner.
        windows: As `cover_with_windows` returns them.
        width: Of the scaled image, model pixels.
        height: The same.

    Returns:
        (height, width) float32; the very map where there is one window alone.
    """
    if len(windows) == 1:
        return maps[0]
    across = _weights(sorted({window.left for window in windows}), windows[0].width, width)
    down = _weights(sorted({window.top for window in windows}), windows[0].height, height)
    merged = np.zeros((height, width), np.float32)
    for values, window in zip(maps, windows, strict=True):
        part = values[: window.height, : window.width] * down[window.top][:, None]
        part *= across[window.left]
        merged[window.area] += part
    # Weights that add up to 1 but for rounding must not make a probability of more than 1.
    return np.minimum(merged, 1.0, out=merged)


def _count(width: int, height: int, shape: Shape) -> int:
    return _number(width, shape[1]) * _number(height, shape[0])


def _number(size: int, side: int) -> int:
    """How many windows of one side cover a size."""
    overlap = _overlap(side)
    return 1 if size <= side else math.ceil((size - overlap) / (side - overlap))


def _starts(size: int, side: int) -> list[int]:
    """Where windows of one side begin to cover a size, evenly spread."""
    number = _number(size, side)
    return [round(i * (size - side) / (number - 1)) for i in range(number)] if number > 1 else [0]


def _overlap(side: int) -> int:
    return max(1, min(OVERLAP_PX, int(side * LARGEST_OVERLAP)))


def _weights(starts: Sequence[int], side: int, size: int) -> dict[int, NDArray[np.float32]]:
    """(side,) weights by the start of each window; those of all windows add up to 1 at every pixel."""
    inwards = np.arange(1, side + 1, dtype=np.float64)
    ramp = np.minimum(inwards / _overlap(side), 1.0)
    weights = {}
    total = np.zeros(size)
    for start in starts:
        weight = np.ones(side)
        if start > 0:
            weight *= ramp
        if start + side < size:
            weight *= ramp[::-1]
        weights[start] = weight
        total[start : start + side] += weight
    return {
        start: (weight / total[start : start + side]).astype(np.float32) for start, weight in weights.items()
    }
