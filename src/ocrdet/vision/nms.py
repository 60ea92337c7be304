"""Non-maximum suppression: of regions that cover each other, the best one stays."""

from __future__ import annotations

import itertools
from functools import cached_property
from operator import itemgetter
from typing import TYPE_CHECKING

import numpy as np

from ocrdet.vision.geometry import order_by_place, quad_angle, quad_area, quad_overlap

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Pairs looked at in one step: bounds memory, and lets early suppressions spare later work.
_PAIR_BLOCK = 1 << 16
_FEW_PAIRS = 1 << 12
# While more pairs than this may overlap, the best of the regions are settled first, this many at a time.
_CROWD_PAIRS = 1 << 18
_CROWD_HEAD = 32
_TINY = 1e-9
# A much smaller region of which at least this part lies inside a better one is a piece of it.
_PIECE_INSIDE = 0.9
_PIECE_AREA = 0.3


def suppress_overlaps(
    quads: NDArray[np.float64],
    scores: NDArray[np.float64],
    iou_threshold: float,
    hollow: NDArray[np.bool_] | None = None,
) -> NDArray[np.intp]:
    """The regions that greedy non-maximum suppression keeps, best first.

    From the best score down, a region is dropped when its IoU with one already kept is above the threshold.
    So is a piece: a region with nine tenths of its area inside one that is already kept and more than three
    times as large, which no IoU tells from a slight overlap. Between equal scores the larger region goes
    first, then position decides, so that the order of the input does not matter.

    Args:
        quads: (N, 4, 2) corners of convex quads.
        scores: (N,) higher is better.
        iou_threshold: In [0, 1]; 1 keeps everything.
        hollow: (N,) regions that may have others inside, as a ring of text around a line; none if left out.

    Returns:
        (K,) indices into the input.
    """
    area = quad_area(quads)
    settled = order_by_place(quads)
    best_first = settled[np.lexsort((-area[settled], -scores[settled]))]
    if iou_threshold >= 1.0:
        return best_first
    hollow = np.zeros(len(quads), bool) if hollow is None else hollow[best_first]
    crowd = _Crowd(quads[best_first], area[best_first], hollow, iou_threshold)
    waiting = np.arange(len(quads))
    while len(waiting) ** 2 > 2 * _CROWD_PAIRS and crowd.sweep(waiting)[2].sum() > _CROWD_PAIRS:
        head, waiting = waiting[:_CROWD_HEAD], waiting[_CROWD_HEAD:]
        first, second = np.triu_indices(len(head), 1)
        crowd.settle(head[first], head[second])
        head = head[crowd.alive[head]]
        crowd.settle(np.repeat(head, len(waiting)), np.tile(waiting, len(head)))
        waiting = waiting[crowd.alive[waiting]]
    crowd.settle(*crowd.neighbours(waiting))
    return best_first[crowd.alive]


class _Crowd:
    """Regions, best first, and which of them are still alive."""

    def __init__(
        self,
        quads: NDArray[np.float64],
        area: NDArray[np.float64],
        hollow: NDArray[np.bool_],
        iou_threshold: float,
    ) -> None:
        self.alive = np.ones(len(quads), bool)
        self._quads = quads
        self._hollow = hollow
        self._iou_threshold = iou_threshold
        self._area = area
        # The upright box around each, (2, N): x and y apart, which numpy takes far less time for.
        points = np.ascontiguousarray(quads.transpose(2, 1, 0))
        self._low, self._high = points.min(axis=1), points.max(axis=1)

    def neighbours(self, members: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Pairs (better, worse) of members whose upright boxes overlap, ordered by the better one.

        A sweep along the axis that separates them better finds them.
        """
        axis, sweep, reach = self.sweep(members)
        low, high = self._low[1 - axis, sweep], self._high[1 - axis, sweep]
        keys = [np.empty(0, np.intp)]
        for rows in _blocks(reach):
            first = np.repeat(np.arange(rows.start, rows.stop), reach[rows])
            offset = np.cumsum(reach[rows]) - reach[rows] - np.arange(rows.start, rows.stop) - 1
            second = np.arange(len(first)) - np.repeat(offset, reach[rows])
            beside = np.minimum(high[first], high[second]) > np.maximum(low[first], low[second])
            i, j = sweep[first[beside]], sweep[second[beside]]
            keys.append(np.minimum(i, j) * len(self.alive) + np.maximum(i, j))
        ordered = np.sort(np.concatenate(keys))
        better = ordered // max(len(self.alive), 1)
        return better, ordered - better * len(self.alive)

    def sweep(self, members: NDArray[np.intp]) -> tuple[int, NDArray[np.intp], NDArray[np.intp]]:
        """An axis that separates members well, their order along it, how many start before each ends.

        The other axis is not even tried where the first leaves few pairs.
        """
        sweeps = []
        for axis in (1, 0):
            low, high = self._low[axis, members], self._high[axis, members]
            order = np.argsort(low, kind="stable")
            started = np.searchsorted(low[order], high[order], side="left")
            reach = np.maximum(started - np.arange(1, len(members) + 1), 0)
            total = int(reach.sum())
            sweeps.append((total, axis, members[order], reach))
            if total <= _FEW_PAIRS:
                break
        return min(sweeps, key=itemgetter(0))[1:]

    def settle(self, better: NDArray[np.intp], worse: NDArray[np.intp]) -> None:
        """Let better regions drop worse ones; pairs are ordered by the better one."""
        for start in range(0, len(better), _PAIR_BLOCK):
            i, j = better[start : start + _PAIR_BLOCK], worse[start : start + _PAIR_BLOCK]
            undecided = self.alive[i] & self.alive[j]
            i, j = i[undecided], j[undecided]
            # Cheap bounds of the common area settle nearly all pairs; the second pays only for many.
            steps = [self._common_box, self._common_rectangle, self._common_area]
            for common in steps if len(i) > _FEW_PAIRS else steps[::2]:
                if len(i) == 0:
                    break
                conflict = self._conflict(i, j, common(i, j))
                i, j = i[conflict], j[conflict]
            # Pairs come best first: whether the better one stays is settled when its own pairs are reached.
            for kept, dropped in zip(i.tolist(), j.tolist(), strict=True):
                if self.alive[kept]:
                    self.alive[dropped] = False

    def _conflict(
        self, i: NDArray[np.intp], j: NDArray[np.intp], common: NDArray[np.float64]
    ) -> NDArray[np.bool_]:
        """Whether regions with so much area in common cannot both stay."""
        area_i, area_j = self._area[i], self._area[j]
        common = np.minimum(common, np.minimum(area_i, area_j))
        conflict: NDArray[np.bool_] = common > self._iou_threshold * (area_i + area_j - common)
        piece = (common >= _PIECE_INSIDE * area_j) & (area_j < _PIECE_AREA * area_i) & ~self._hollow[i]
        return conflict | (piece & (area_j > 0))

    def _common_box(self, i: NDArray[np.intp], j: NDArray[np.intp]) -> NDArray[np.float64]:
        """What the upright boxes around regions have in common."""
        low, high = self._low, self._high
        width, height = (
            np.minimum(high[axis][i], high[axis][j]) - np.maximum(low[axis][i], low[axis][j])
            for axis in (0, 1)
        )
        common: NDArray[np.float64] = np.maximum(width, 0.0) * np.maximum(height, 0.0)
        return common

    @cached_property
    def _rects(self) -> NDArray[np.float64]:
        return _rectangles(self._quads)

    def _common_rectangle(self, i: NDArray[np.intp], j: NDArray[np.intp]) -> NDArray[np.float64]:
        """At least what the rectangles around regions have in common: long ones that cross share little."""
        x_i, y_i, cos_i, sin_i, width_i, height_i = self._rects[:, i]
        x_j, y_j, cos_j, sin_j, width_j, height_j = self._rects[:, j]
        x, y = x_j - x_i, y_j - y_i
        cos = np.abs(cos_i * cos_j + sin_i * sin_j)
        sin = np.abs(cos_i * sin_j - sin_i * cos_j)
        # Two strips that cross have the product of their widths, over the sine between them, in common.
        strips = np.minimum(width_i * width_j, height_i * height_j) / np.maximum(sin, _TINY)
        common = np.minimum(
            strips, np.minimum(width_i * height_j, height_i * width_j) / np.maximum(cos, _TINY)
        )
        for cos_k, sin_k, (width, height), (other_width, other_height) in (
            (cos_i, sin_i, (width_i, height_i), (width_j, height_j)),
            (cos_j, sin_j, (width_j, height_j), (width_i, height_i)),
        ):
            along = _shared(width, other_width * cos + other_height * sin, x * cos_k + y * sin_k)
            down = _shared(height, other_width * sin + other_height * cos, y * cos_k - x * sin_k)
            common = np.minimum(common, along * down)
        # Rounding must not make the bound smaller than what it bounds.
        bound: NDArray[np.float64] = common * (1.0 + _TINY)
        return bound

    def _common_area(self, i: NDArray[np.intp], j: NDArray[np.intp]) -> NDArray[np.float64]:
        return quad_overlap(self._quads[i], self._quads[j])


def _rectangles(quads: NDArray[np.float64]) -> NDArray[np.float64]:
    """(6, N): centre, cosine and sine of the direction, width and height of a rectangle around each."""
    direction = np.radians(quad_angle(quads))
    cos, sin = np.cos(direction), np.sin(direction)
    x, y = quads[..., 0], quads[..., 1]
    along, down = x * cos[:, None] + y * sin[:, None], y * cos[:, None] - x * sin[:, None]
    middle = (along.min(axis=1) + along.max(axis=1)) / 2.0, (down.min(axis=1) + down.max(axis=1)) / 2.0
    centre = middle[0] * cos - middle[1] * sin, middle[0] * sin + middle[1] * cos
    return np.stack([*centre, cos, sin, np.ptp(along, axis=1), np.ptp(down, axis=1)])


def _shared(
    one: NDArray[np.float64], other: NDArray[np.float64], apart: NDArray[np.float64]
) -> NDArray[np.float64]:
    """How much two intervals share, by their lengths and how far their middles are apart."""
    shared = np.minimum(np.minimum(one, other), (one + other) / 2.0 - np.abs(apart))
    least: NDArray[np.float64] = np.maximum(shared, 0.0)
    return least


def _blocks(reach: NDArray[np.intp]) -> list[slice]:
    """Slices of rows that hold about `_PAIR_BLOCK` pairs each."""
    running = np.cumsum(reach)
    total = int(running[-1]) if len(running) else 0
    cuts = np.searchsorted(running, np.arange(_PAIR_BLOCK, total, _PAIR_BLOCK), side="right").tolist()
    return [slice(a, b) for a, b in itertools.pairwise(sorted({0, *cuts, len(reach)}))]
