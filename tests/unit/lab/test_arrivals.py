"""When requests are due, told before any is sent."""

from __future__ import annotations

import itertools
import statistics

import pytest

from ocrdet.lab.arrivals import constant_arrivals, poisson_arrivals


def test_constant_arrivals_are_evenly_spaced_and_end_before_the_end() -> None:
    """Four a second for a second are four."""
    assert list(constant_arrivals(4, 1)) == [0, 0.25, 0.5, 0.75]


def test_constant_arrivals_do_not_drift() -> None:
    """The last of a million is where the rate says, to the last bit."""
    assert list(constant_arrivals(1000, 1000))[-1] == 999_999 / 1000


def test_poisson_arrivals_have_the_rate_and_the_spread_of_independent_callers() -> None:
    """The gaps' mean is one over the rate, and so is their standard deviation."""
    due = list(poisson_arrivals(50, 400, seed=7))
    gaps = [later - earlier for earlier, later in itertools.pairwise(due)]
    assert due == sorted(due)
    assert 0 < due[0] < due[-1] < 400
    assert statistics.mean(gaps) == pytest.approx(0.02, rel=0.03)
    assert statistics.stdev(gaps) == pytest.approx(0.02, rel=0.05)


def test_the_same_seed_gives_the_same_arrivals() -> None:
    """So that two servers get the same load."""
    assert list(poisson_arrivals(5, 9, 1)) == list(poisson_arrivals(5, 9, 1))
    assert list(poisson_arrivals(5, 9, 1)) != list(poisson_arrivals(5, 9, 2))
