"""When the requests of an open loop are due, whatever becomes of the earlier ones."""

from __future__ import annotations

import random
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def constant_arrivals(rate: float, until_s: float) -> Iterator[float]:
    """Yields evenly spaced moments, the first at 0.

    Args:
        rate: How many a second.
        until_s: Seconds after which there are no more.
    """
    # Counted, not summed up: a sum would drift away from the rate.
    for number in count():
        if (due_s := number / rate) >= until_s:
            return
        yield due_s


def poisson_arrivals(rate: float, until_s: float, seed: int) -> Iterator[float]:
    """Yields moments as those of many callers who know nothing of each other: with exponential gaps.

    Args:
        rate: How many a second on average.
        until_s: Seconds after which there are no more.
        seed: The same moments for the same seed.
    """
    gaps = random.Random(seed)  # noqa: S311 - traffic, no secrets
    due_s = gaps.expovariate(rate)
    while due_s < until_s:
        yield due_s
        due_s += gaps.expovariate(rate)
