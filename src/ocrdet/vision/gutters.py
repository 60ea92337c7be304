"""Columns of a page: where its text may be cut by a gutter, and where it may not.

The recursive cut of Nagy and Seth (X-Y tree), with guards: names and prices of a receipt, the cells of a
table and the labels of a form have gaps between them too, and are still read across.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

# A gutter is at least this wide, in heights of a line, and has at least this many lines on either side.
_MIN_GUTTER = 0.7
_MIN_LINES = 3
# Lines beside a gutter are prose when they are so many heights wide; where those of both sides stand level
# with each other, as in a table, only when they are this wide.
_PROSE = 6.0
_LEVEL_PROSE = 10.0
# Lines are level when their centres are this near, in heights, and sides when so many of their lines are.
_LEVEL = 0.3
_LEVEL_SHARE = 0.8
# Places that are tried for a gutter across the text, and gutters whose guards are tried.
_MAX_PLACES = 200
_MAX_TRIALS = 6
_MAX_DEPTH = 12


def find_columns(left: Floats, right: Floats, centre: Floats, height: Floats) -> list[NDArray[np.intp]]:
    """The blocks of a page in reading order.

    Args:
        left: (N,) where each segment of text begins, along the direction of reading.
        right: (N,) where it ends.
        centre: (N,) where it lies down the page.
        height: (N,) height of its text, above 0.

    Returns:
        Indices of each block's segments, from the top down; every segment is in one block.
    """
    by_depth = np.lexsort((left, centre))
    page = np.stack([left, right, centre, height])[:, by_depth]
    return [by_depth[block] for block in _cut(page, np.arange(len(left)), _MAX_DEPTH)]


def _cut(page: Floats, block: NDArray[np.intp], depth: int) -> list[NDArray[np.intp]]:
    """Blocks within a block, which is in order of depth."""
    parts = _cut_once(page[:, block]) if depth > 0 and len(block) >= 2 * _MIN_LINES else None
    if parts is None:
        return [block]
    above, first, second, below = (block[part] for part in parts)
    blocks = []
    for part in (above, first, second, below):
        if len(part):
            blocks += _cut(page, part, depth - 1)
    return blocks


def _cut_once(boxes: Floats) -> tuple[NDArray[np.intp], ...] | None:
    """What lies above the best gutter, on its first and second side, and below it; None without a gutter."""
    left, right, _, height = boxes
    # No gutter is narrower than a step, so that each has a place in it.
    step = max(_MIN_GUTTER * _median(height), float(right.max() - right.min()) / _MAX_PLACES, 1e-6)
    places = np.arange(left.min() + step, right.max(), step)
    # Where text runs across the page, hardly any place has enough lines on both sides of it.
    ends, starts = np.sort(right), np.sort(left)
    places = places[(places >= ends[_MIN_LINES - 1]) & (places <= starts[-_MIN_LINES]), None]
    if len(places) == 0:
        return None
    before, after = right <= places, left >= places
    crosses = ~(before | after)
    # Lines on each side since the last one that runs across the place, at every depth.
    sides = []
    for side in (before, after):
        running = np.cumsum(side, axis=1, dtype=np.int32)
        sides.append(running - np.maximum.accumulate(running * crosses, axis=1))
    fewer = np.minimum(*sides)
    best = fewer.max(axis=1)
    tried = set()
    for place in np.argsort(-best, kind="stable")[:_MAX_TRIALS].tolist():
        if best[place] < _MIN_LINES:
            break
        # The whole run between lines that cross the place, not only as far as the counts had to rise.
        at = int(fewer[place].argmax())
        crossing = np.flatnonzero(crosses[place])
        i = int(np.searchsorted(crossing, at))
        start = int(crossing[i - 1]) + 1 if i > 0 else 0
        stop = int(crossing[i]) if i < len(crossing) else boxes.shape[1]
        first = start + np.flatnonzero(before[place, start:stop])
        second = start + np.flatnonzero(after[place, start:stop])
        # Of places that part the same lines in the same way one trial is enough.
        if (trial := (start, stop, len(first))) in tried:
            continue
        tried.add(trial)
        if _is_gutter(boxes[:, first], boxes[:, second]):
            return np.arange(start), first, second, np.arange(stop, boxes.shape[1])
    return None


def _is_gutter(first: Floats, second: Floats) -> bool:
    """Whether the text on both sides reads as columns of their own."""
    height = _median(np.concatenate([first[3], second[3]]))
    if second[0].min() - first[1].max() < _MIN_GUTTER * height:
        return False
    # Only where both sides have text does it matter which is read first.
    top, bottom = max(first[2, 0], second[2, 0]) - height, min(first[2, -1], second[2, -1]) + height
    sides = [side[:, (side[2] >= top) & (side[2] <= bottom)] for side in (first, second)]
    if min(side.shape[1] for side in sides) < _MIN_LINES:
        return False
    narrower = min(_median((side[1] - side[0]) / side[3]) for side in sides)
    if narrower < _PROSE or narrower >= _LEVEL_PROSE:
        return narrower >= _PROSE
    fewer, more = sorted((side[2] for side in sides), key=len)
    nearest = np.searchsorted(more[1:-1], fewer) + 1
    apart = np.minimum(np.abs(more[nearest] - fewer), np.abs(more[nearest - 1] - fewer))
    return float((apart <= _LEVEL * height).mean()) < _LEVEL_SHARE


def _median(values: Floats) -> float:
    """The median; of few values `np.median` takes ten times as long."""
    ordered = np.sort(values)
    return float(ordered[(len(values) - 1) // 2] + ordered[len(values) // 2]) / 2.0
