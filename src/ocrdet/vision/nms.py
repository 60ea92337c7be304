"""Non-maximum suppression: of regions that cover each other, the best one stays."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np

from ocrdet.vision.geometry import quad_area, quad_iou

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Pairs looked at in one step: bounds memory, and lets early suppressions spare later work.
_PAIR_BLOCK = 1 << 16


def suppress_overlaps(
    quads: NDArray[np.float64], scores: NDArray[np.float64], iou_threshold: float
) -> NDArray[np.intp]:
    """The regions that greedy non-maximum suppression keeps, best first.

    From the best score down, a region is dropped when its IoU with one already kept is above the threshold.
    Position decides between equal scores, so that the order of the input does not matter.

    Args:
        quads: (N, 4, 2) corners of convex quads.
        scores: (N,) higher is better.
        iou_threshold: In [0, 1]; 1 keeps everything.

    Returns:
        (K,) indices into the input.
    """
    corners = quads.reshape(len(quads), 8)
    best_first = np.lexsort((*corners.T[[6, 7, 4, 5, 2, 3, 0, 1]], -scores))
    quads = quads[best_first]
    better, worse = _possible_conflicts(quads, iou_threshold)
    alive = np.ones(len(quads), bool)
    for start in range(0, len(better), _PAIR_BLOCK):
        block = slice(start, start + _PAIR_BLOCK)
        i, j = better[block], worse[block]
        undecided = alive[i] & alive[j]
        i, j = i[undecided], j[undecided]
        conflict = quad_iou(quads[i], quads[j]) > iou_threshold
        # Pairs come best first, so whether `i` stays is settled when its own pairs are reached.
        for kept, dropped in zip(i[conflict].tolist(), j[conflict].tolist(), strict=True):
            if alive[kept]:
                alive[dropped] = False
    return best_first[alive]


def _possible_conflicts(
    quads: NDArray[np.float64], iou_threshold: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of ranks (better, worse) whose IoU could be above the threshold, ordered by the better one.

    A sweep along the axis that separates them better finds the pairs whose upright boxes may overlap. The
    common area is at most that of the boxes and of the smaller quad, which settles nearly all pairs cheaply.
    """
    n = len(quads)
    low, high = quads.min(axis=1).T, quads.max(axis=1).T
    sweep, reach = min((_sweep(low[axis], high[axis]) for axis in (1, 0)), key=lambda s: int(s[1].sum()))
    (left, top), (right, bottom), area = low[:, sweep], high[:, sweep], quad_area(quads)[sweep]
    keys = [np.empty(0, np.int64)]
    for rows in _blocks(reach):
        first = np.repeat(np.arange(rows.start, rows.stop), reach[rows])
        offset = np.cumsum(reach[rows]) - reach[rows] - np.arange(rows.start, rows.stop) - 1
        second = np.arange(len(first)) - np.repeat(offset, reach[rows])
        width = np.minimum(right[first], right[second]) - np.maximum(left[first], left[second])
        beside = np.flatnonzero(width > 0)
        first, second, width = first[beside], second[beside], width[beside]
        height = np.minimum(bottom[first], bottom[second]) - np.maximum(top[first], top[second])
        area_1, area_2 = area[first], area[second]
        common = np.minimum(width * np.maximum(height, 0.0), np.minimum(area_1, area_2))
        possible = common > iou_threshold * (area_1 + area_2 - common)
        i, j = sweep[first[possible]], sweep[second[possible]]
        keys.append(np.minimum(i, j) * n + np.maximum(i, j))
    better, worse = np.divmod(np.sort(np.concatenate(keys)), max(n, 1))
    return better, worse


def _sweep(low: NDArray[np.float64], high: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Intervals ordered by their lower ends, and how many after each of them start before it ends."""
    sweep = np.argsort(low, kind="stable")
    started = np.searchsorted(low[sweep], high[sweep], side="left")
    return sweep, np.maximum(started - np.arange(1, len(low) + 1), 0)


def _blocks(reach: NDArray[np.intp]) -> list[slice]:
    """Slices of rows that hold about `_PAIR_BLOCK` pairs each."""
    running = np.cumsum(reach)
    total = int(running[-1]) if len(running) else 0
    cuts = np.searchsorted(running, np.arange(0, total, _PAIR_BLOCK), side="right")
    bounds = np.unique([*cuts, len(reach)]).tolist()
    return [slice(a, b) for a, b in itertools.pairwise(bounds)]
