"""Outlines as geometries, and where the characters of a text stand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from ocrdet.lab.shapes import as_array, make_shape, overlap_areas, place_characters
from tests.unit.lab.marks import rectangle

if TYPE_CHECKING:
    from numpy.typing import NDArray


def test_a_crossing_outline_keeps_what_was_meant() -> None:
    """Two corners given in the wrong order make a bow tie: its hull is the quad."""
    bow_tie = rectangle(0, 0, 10, 4)[[0, 2, 1, 3]]
    assert make_shape(bow_tie).area == pytest.approx(40)
    assert make_shape(rectangle(0, 0, 10, 4)).area == 40


def test_overlaps_are_the_common_areas_of_all_pairs() -> None:
    """Those that only touch meet without an area."""
    a = as_array([make_shape(rectangle(0, 0, 4, 4)), make_shape(rectangle(9, 9, 10, 10))])
    b = as_array([make_shape(rectangle(2, 2, 6, 6)), make_shape(rectangle(4, 0, 8, 2))])
    areas, meets = overlap_areas(a, b)
    assert areas.tolist() == [[4, 0], [0, 0]]
    assert meets.tolist() == [[True, True], [False, False]]
    assert overlap_areas(a, as_array([]))[0].shape == (2, 0)


def placed(points: NDArray[np.float64], count: int) -> list[list[float]]:
    """The places of characters, rounded."""
    found: list[list[float]] = np.round(place_characters(points, make_shape(points), count), 6).tolist()
    return found


def test_characters_stand_evenly_along_the_longer_side() -> None:
    """Whichever corner comes first."""
    assert placed(rectangle(0, 0, 8, 2), 4) == [[1, 1], [3, 1], [5, 1], [7, 1]]
    assert placed(np.roll(rectangle(0, 0, 8, 2), 1, axis=0), 2) == [[2, 1], [6, 1]]
    assert placed(rectangle(0, 0, 2, 8), 2) == [[1, 2], [1, 6]]


def test_a_text_nobody_wrote_down_has_as_many_characters_as_squares_fit() -> None:
    """At least one."""
    assert len(placed(rectangle(0, 0, 31, 10), 0)) == 3
    assert len(placed(rectangle(0, 0, 5, 10), 0)) == 2
    assert placed(rectangle(0, 0, 10, 10), 0) == [[5, 5]]


def test_curved_text_has_its_characters_along_the_curve() -> None:
    """The middle between the upper half of the points and the lower half, run backwards."""
    corner = np.array([[0, 0], [10, 0], [10, 10], [8, 10], [8, 2], [0, 2]], np.float64)
    middle = placed(corner, 2)
    assert middle[0][1] == pytest.approx(1)
    assert middle[1][0] == pytest.approx(9)


def test_an_odd_outline_is_taken_by_its_smallest_rectangle() -> None:
    """Five points have no two halves."""
    house = np.array([[0, 0], [20, 0], [20, 4], [10, 4], [0, 4]], np.float64)
    assert sorted(placed(house, 2)) == [[5, 2], [15, 2]]
