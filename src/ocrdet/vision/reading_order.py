"""Reading order: words joined into segments, segments into columns and rows, on pages of any turn.

    page frame -> segments -> columns (cut at gutters, from the page down) -> rows of each column

Everything is measured in the *page frame*: `along` runs in the direction of reading, `down` from line to
line. Boxes alone do not say which way up a page lies: text is taken to run to the right, and down where it
stands within 15 degrees of vertical. So columns of vertical Chinese or Japanese are read from right to left,
as is a page turned clockwise by a quarter.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ocrdet.vision.geometry import COLUMN_DEGREES, LONG_ASPECT, median_tilt, order_by_place, quad_edges
from ocrdet.vision.gutters import find_columns

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Two segments share a row when their centres are nearer, down the page, than this part of the lower height.
_ROW_TOLERANCE = 0.5
# Words are one segment up to this gap, in heights; cells of a table and columns of a page are further apart.
_WORD_GAP = 1.0
# So many regions next in depth are looked at for the word that follows: bounds the work on adversarial maps.
_MAX_REACH = 64
_TINY = 1e-6


@dataclass(frozen=True, slots=True)
class Boxes:
    """Regions or segments in the page frame, each array (N,).

    Attributes:
        left: Where it begins, along the direction of reading.
        right: Where it ends.
        centre: Its middle, down the page.
        height: Of its text; a region slightly turned in the frame covers more.
    """

    left: NDArray[np.float64]
    right: NDArray[np.float64]
    centre: NDArray[np.float64]
    height: NDArray[np.float64]

    def __getitem__(self, index: NDArray[np.intp]) -> Boxes:
        """Some of them."""
        return Boxes(self.left[index], self.right[index], self.centre[index], self.height[index])


def sort_into_lines(quads: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The reading order of regions, and the line of each.

    A line is a row of text within one column of the page: the cells of a table's row and the name and price
    on a receipt share their line, neighbouring columns of a newspaper do not.

    Args:
        quads: (N, 4, 2) corners, ordered by `order_quads`.

    Returns:
        (N,) indices into the input in reading order, and (N,) line numbers from 0 in that order. Neither
        depends on the order of the input, equal quads excepted.
    """
    if len(quads) == 0:
        return np.empty(0, np.intp), np.empty(0, np.intp)
    # From here on every tie is one of position, not of the input's order.
    settled = order_by_place(quads)
    boxes = _in_page_frame(quads[settled])
    segment = _join_words(boxes)
    segments = _around(boxes, segment)
    lines = np.empty(len(segments.left), np.intp)
    last = 0
    for column in find_columns(segments.left, segments.right, segments.centre, segments.height):
        rows = _number_rows(segments[column])
        lines[column] = rows + last
        last += int(rows.max()) + 1
    line = lines[segment]
    order = np.lexsort((boxes.centre, boxes.left, line))
    return settled[order], line[order]


def _in_page_frame(quads: NDArray[np.float64]) -> Boxes:
    """Regions in the frame of the page."""
    edges = quad_edges(quads)
    sizes = np.sqrt((edges * edges).sum(axis=1))
    direction = math.radians(_reading_direction(edges, sizes))
    cos, sin = math.cos(direction), math.sin(direction)
    x, y = np.ascontiguousarray(quads.transpose(2, 1, 0))
    along, down = x * cos + y * sin, y * cos - x * sin
    # The first edge of a region may run down the page: its height is then the length of that edge.
    x, y = edges[0]
    across = np.abs(y * cos - x * sin) > np.abs(x * cos + y * sin)
    height = np.where(across, *sizes)
    return Boxes(along.min(axis=0), along.max(axis=0), down.sum(axis=0) / 4.0, np.maximum(height, _TINY))


def _reading_direction(edges: NDArray[np.float64], sizes: NDArray[np.float64]) -> float:
    """Degrees clockwise in which most text runs, by length: (-75, 75] to the right, (75, 105] down."""
    longer, shorter = np.maximum(*sizes), np.minimum(*sizes)
    telling = longer >= LONG_ASPECT * shorter
    if not telling.any():
        return 0.0
    x, y = np.where(sizes[1] > sizes[0], edges[1], edges[0])[:, telling]
    angles, weights = np.degrees(np.arctan2(y, x)), longer[telling]
    # Text that runs across the rest tells the tilt as well; then the longer text tells which way lines run.
    tilt = median_tilt(angles, weights)
    parallel = weights[np.abs((angles - tilt + 90.0) % 180.0 - 90.0) <= 45.0].sum()
    if parallel < weights.sum() / 2.0:
        tilt += 90.0
    return tilt - 180.0 if tilt > 90.0 + COLUMN_DEGREES else tilt


def _join_words(boxes: Boxes) -> NDArray[np.intp]:
    """The segment of each region, numbered from 0: words a small gap apart, each nearest to the other."""
    n = len(boxes.left)
    by_depth = np.lexsort((boxes.left, boxes.centre))
    some = boxes[by_depth]
    near = np.searchsorted(some.centre, some.centre + _ROW_TOLERANCE * some.height, side="right")
    reach = np.minimum(near - np.arange(1, n + 1), _MAX_REACH)
    one = np.repeat(np.arange(n), reach)
    other = np.arange(len(one)) - np.repeat(np.cumsum(reach) - reach, reach) + one + 1
    swap = some.left[one] > some.left[other]
    first, second = np.where(swap, other, one), np.where(swap, one, other)
    height = np.minimum(some.height[first], some.height[second])
    gap = (some.left[second] - some.right[first]) / height
    level = np.abs(some.centre[first] - some.centre[second]) <= _ROW_TOLERANCE * height
    alike = height >= 0.5 * np.maximum(some.height[first], some.height[second])
    joined = level & alike & (np.abs(gap) <= _WORD_GAP)
    first, second, gap = first[joined], second[joined], gap[joined]
    follower, leader = [-1] * n, [-1] * n
    nearest_first = np.lexsort((second, first, gap))
    for i, j in zip(first[nearest_first].tolist(), second[nearest_first].tolist(), strict=True):
        if follower[i] < 0 and leader[j] < 0:
            follower[i], leader[j] = j, i
    segment = [-1] * n
    for number, start in enumerate([i for i in range(n) if leader[i] < 0]):
        word = start
        while word >= 0:
            segment[word], word = number, follower[word]
    result = np.empty(n, np.intp)
    result[by_depth] = segment
    return result


def _around(boxes: Boxes, segment: NDArray[np.intp]) -> Boxes:
    """The segments that regions form."""
    n = int(segment.max()) + 1
    left, right = np.full(n, np.inf), np.full(n, -np.inf)
    np.minimum.at(left, segment, boxes.left)
    np.maximum.at(right, segment, boxes.right)
    # Long words weigh more than short ones in where their line is.
    weight = boxes.right - boxes.left
    total = np.bincount(segment, weight)
    centre = np.bincount(segment, weight * boxes.centre) / total
    height = np.bincount(segment, weight * boxes.height) / total
    return Boxes(left, right, centre, height)


def _number_rows(boxes: Boxes) -> NDArray[np.intp]:
    """Row numbers: from the top down each segment joins the row above it or opens the next."""
    numbers = []
    row, members, row_centre, row_height = -1, 0, 0.0, 0.0
    by_depth = np.lexsort((boxes.left, boxes.centre))
    in_order = boxes[by_depth]
    for centre, height in zip(in_order.centre.tolist(), in_order.height.tolist(), strict=True):
        if members == 0 or centre - row_centre > _ROW_TOLERANCE * min(height, row_height):
            row, members, row_centre, row_height = row + 1, 0, 0.0, 0.0
        members += 1
        row_centre += (centre - row_centre) / members
        row_height += (height - row_height) / members
        numbers.append(row)
    result = np.empty(len(numbers), np.intp)
    result[by_depth] = numbers
    return result
