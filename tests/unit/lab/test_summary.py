"""Average precision and halves."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocrdet.lab.summary import find_average_precision, half_of


def average_precision(pairs: list[tuple[float, bool]], labels: int) -> float:
    """Of scores and whether the region is right."""
    return find_average_precision(np.array(pairs, np.float64).reshape(-1, 2), labels)


def test_a_perfect_ranking_has_an_average_precision_of_one() -> None:
    """False regions below all right ones cost nothing."""
    assert average_precision([(0.9, True), (0.8, True), (0.2, False)], 2) == 1


def test_false_regions_above_right_ones_cost() -> None:
    """Precision is one half at half of the recall and two thirds at all of it: the best counts."""
    assert average_precision([(0.9, False), (0.8, True), (0.7, True)], 2) == pytest.approx(2 / 3)


def test_missed_labels_cost() -> None:
    """One of four labels is found."""
    assert average_precision([(0.9, True)], 4) == 0.25


def test_nothing_to_find_is_right_when_nothing_is_found() -> None:
    """And wholly wrong otherwise."""
    assert average_precision([], 0) == 1
    assert average_precision([(0.9, False)], 0) == 0
    assert average_precision([], 3) == 0


@given(st.lists(st.tuples(st.sampled_from([0.1, 0.2, 0.5, 0.9]), st.booleans()), max_size=12), st.randoms())
def test_average_precision_is_the_area_under_the_curve_of_thresholds(
    pairs: list[tuple[float, bool]], random: object
) -> None:
    """At each recall the best precision there or beyond counts; the order of equal scores is nothing."""
    labels = 1 + sum(right for _, right in pairs)
    points = []
    for threshold in (0.9, 0.5, 0.2, 0.1):
        chosen = [right for score, right in pairs if score >= threshold]
        if chosen:
            points.append((sum(chosen) / labels, sum(chosen) / len(chosen)))
    area, reached = 0.0, 0.0
    for recall, _ in points:
        best = max(precision for at, precision in points if at >= recall)
        area += (recall - reached) * best
        reached = recall
    shuffled = list(pairs)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert average_precision(shuffled, labels) == pytest.approx(area)


def test_halves_are_told_from_the_name_alone() -> None:
    """The SHA-256 of "abc" begins with the byte ba, that of "test.png" with 77; both halves are used."""
    assert (half_of("abc"), half_of("test.png")) == ("even", "odd")
    even = [number for number in range(200) if half_of(f"{number}.png") == "even"]
    assert 70 < len(even) < 130
