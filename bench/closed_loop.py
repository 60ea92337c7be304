"""A closed loop: each caller calls again once it was answered, be it by a session, a pipeline or a server."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING

from bench.rounds import percentile

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench.rounds import Figures

LEAST_CALLS = 2


def closed_loop(callers: Sequence[Callable[[], object]], seconds: float) -> Figures:
    """Let the callers call, each on a thread of its own, for at least so long and at least twice each.

    The first call of each is not measured: all of them come at once, and queue up one behind the other. The
    rate is the sum of the callers' own rates, so that no run is cut off where the window ends.

    Returns:
        `per_second`; `p50_ms` and `p99_ms` of the calls measured; `calls` and `elapsed_s` of all.
    """
    started = time.perf_counter()
    repeat = partial(_repeat, ends_at=started + seconds)
    with ThreadPoolExecutor(len(callers)) as pool:
        marks = list(pool.map(repeat, callers))
    elapsed_s = time.perf_counter() - started
    times = sorted(after - before for each in marks for before, after in pairwise(each))
    return {
        "per_second": sum((len(each) - 1) / (each[-1] - each[0]) for each in marks),
        "p50_ms": median(times) * 1e3,
        "p99_ms": percentile(times, 0.99) * 1e3,
        "calls": len(times) + len(callers),
        "elapsed_s": elapsed_s,
    }


def _repeat(call: Callable[[], object], ends_at: float) -> list[float]:
    """The moments at which its calls ended."""
    ended: list[float] = []
    while len(ended) < LEAST_CALLS or ended[-1] < ends_at:
        call()
        ended.append(time.perf_counter())
    return ended
