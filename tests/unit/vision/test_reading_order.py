"""Reading order: rows from the top, regions from the left, on tilted pages too."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from ocrdet.vision.geometry import order_quads
from ocrdet.vision.reading_order import sort_into_rows
from tests.unit.vision.quads import stack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from tests.unit.vision.quads import Rectangle

PAGE = [(60 + 120 * column, 30 + 24 * row, 100, 16, 0) for row in range(4) for column in range(3)]


def turned(rectangles: Sequence[Rectangle], degrees: float) -> NDArray[np.float64]:
    """A page of rectangles, turned as a whole."""
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return order_quads(stack(rectangles) @ np.array([[cos, sin], [-sin, cos]]))


@pytest.mark.parametrize("degrees", [-30, -3, 0, 8, 40])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_rows_are_found_on_a_tilted_page(degrees: float, seed: int) -> None:
    """Shuffled regions come out row by row and from left to right, however the page lies."""
    shuffled = np.random.default_rng(seed).permutation(len(PAGE))
    order, rows = sort_into_rows(turned(PAGE, degrees)[shuffled])
    assert shuffled[order].tolist() == list(range(len(PAGE)))
    assert rows.tolist() == [0] * 3 + [1] * 3 + [2] * 3 + [3] * 3


def test_words_of_unequal_height_share_their_row() -> None:
    """Descenders and small print shift centres a little: the row holds together."""
    words = [(20, 50, 30, 12, 0), (60, 52, 40, 16, 0), (100, 49, 20, 8, 0), (20, 70, 30, 12, 0)]
    order, rows = sort_into_rows(order_quads(stack(words)))
    assert order.tolist() == [0, 1, 2, 3]
    assert rows.tolist() == [0, 0, 0, 1]


def test_a_tall_region_does_not_swallow_the_lines_beside_it() -> None:
    """Lines beside a tall picture of text keep rows of their own."""
    lines = [(150, 20 + 20 * i, 100, 12, 0) for i in range(8)]
    order, rows = sort_into_rows(order_quads(stack([(40, 80, 60, 170, 0), *lines])))
    assert len(set(rows[order > 0].tolist())) == 8


def test_columns_of_vertical_text_form_one_row() -> None:
    """Upright columns side by side are one row, from left to right."""
    columns = [(100 - 30 * i, 100, 16, 150, 0) for i in range(3)]
    order, rows = sort_into_rows(order_quads(stack(columns)))
    assert order.tolist() == [2, 1, 0]
    assert rows.tolist() == [0, 0, 0]


def test_no_regions_have_no_order() -> None:
    """Nothing in, nothing out."""
    order, rows = sort_into_rows(np.empty((0, 4, 2)))
    assert (order.shape, rows.shape) == ((0,), (0,))


def test_each_of_three_thousand_regions_appears_once_and_rows_count_up() -> None:
    """A random crowd is permuted, never lost, and row numbers rise without gaps."""
    rng = np.random.default_rng(0)
    crowd = rng.uniform([0, 0, 5, 5, -180], [3000, 3000, 200, 40, 180], (3000, 5)).tolist()
    order, rows = sort_into_rows(order_quads(stack(crowd)))
    assert sorted(order.tolist()) == list(range(3000))
    assert set(np.diff(rows).tolist()) <= {0, 1}
    assert rows[0] == 0
