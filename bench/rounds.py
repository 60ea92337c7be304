"""Paired rounds: everything that is compared is measured within one round, and what is told of them.

A ratio is taken within its round, so that a noisy neighbour hits both sides. Every other round runs
backwards, so that what comes first has no advantage. Between two measurements everything rests: a thread pool
may spin for a while after its last run, and would take CPU from the next.
"""

from __future__ import annotations

import math
import sys
import time
from statistics import quantiles
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

PAUSE_S = 0.05
CONFIDENCE = 0.95

Figures = dict[str, float]


def paired_rounds(rounds: int, steps: Mapping[str, Callable[[], Figures]]) -> Iterator[dict[str, Figures]]:
    """Yields the figures of each step, by its name, round by round; tells the progress on standard error."""
    for number in range(rounds):
        measured: dict[str, Figures] = {}
        for name in list(steps)[:: -1 if number % 2 else 1]:
            time.sleep(PAUSE_S)
            measured[name] = steps[name]()
        told = "  ".join(f"{name} {_told(figures)}" for name, figures in measured.items())
        print(f"  round {number + 1}/{rounds}: {told}", file=sys.stderr, flush=True)
        yield measured


def spreads(rounds: Sequence[Figures]) -> dict[str, Figures]:
    """The spread of every figure over the rounds."""
    return {name: spread([each[name] for each in rounds]) for name in rounds[0]}


def spread(values: Sequence[float]) -> Figures:
    """Median, quartiles and the bounds within which the true median lies with 95 % confidence.

    The bounds are those of the sign test: two of the values, whatever their distribution. Fewer than six
    values have none; then the least and the largest stand in their place.
    """
    ordered = sorted(values)
    q1, middle, q3 = quantiles(ordered, n=4) if len(ordered) > 1 else ordered * 3
    outside = _values_outside(len(ordered))
    low, high = ordered[outside], ordered[-1 - outside]
    figures = {"median": middle, "q1": q1, "q3": q3, "low": low, "high": high}
    return {name: _rounded(value) for name, value in figures.items()} | {"rounds": len(ordered)}


def percentile(ordered: Sequence[float], share: float) -> float:
    """The least value that at least this share of all does not exceed (nearest rank)."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def _values_outside(count: int) -> int:
    """How many values may be left out at either end: the median lies beyond the next ones rarely enough."""
    below, outside = 0, 0
    for rank in range(count // 2):
        below += math.comb(count, rank)
        if 2 * below / 2**count > 1 - CONFIDENCE:
            break
        outside = rank
    return outside


def _told(figures: Figures) -> str:
    if "per_second" in figures:
        return f"{figures['per_second']:.3g}/s"
    return f"{next(iter(figures.values())):.3g}"


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")
