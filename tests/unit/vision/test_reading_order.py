"""Reading order: lines of a page, of its columns, of tables; however the page lies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocrdet.vision.geometry import order_quads
from ocrdet.vision.reading_order import sort_into_lines
from tests.unit.vision.quads import quad, rectangles, stack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from tests.unit.vision.quads import Rectangle

# Turns of a page after which its text runs to the right, or down: boxes cannot tell the others from these.
TURNS = [-70.0, -30.0, -5.0, 0.0, 3.0, 30.0, 60.0, 76.0, 90.0, 100.0]


def paragraph(x: float, y: float, width: float, lines: int) -> list[Rectangle]:
    """Lines of prose from a top-left corner down, every fifth of them short."""
    widths = [width * (0.5 if i % 5 == 4 else 1.0) for i in range(lines)]
    return [(x + w / 2, y + 20.0 * i, w, 14, 0) for i, w in enumerate(widths)]


def row(y: float, *cells: tuple[float, float]) -> list[Rectangle]:
    """Cells (from, to) beside each other."""
    return [((start + stop) / 2, y, stop - start, 14, 0) for start, stop in cells]


def words(x: float, y: float) -> list[Rectangle]:
    """Ten lines of three words each."""
    spans = (x, x + 60), (x + 66, x + 130), (x + 138, x + 200)
    return [word for i in range(10) for word in row(y + 24 * i, *spans)]


# Each page in its reading order, with how many lines it has.
PAGES: dict[str, tuple[list[Rectangle], int]] = {
    "one column": (paragraph(0, 0, 300, 12), 12),
    "words": (words(0, 0), 10),
    "two columns": (paragraph(0, 0, 280, 20) + paragraph(310, 7, 280, 20), 40),
    "two columns, lines level": (paragraph(0, 0, 280, 20) + paragraph(310, 0, 280, 20), 40),
    "two columns, one longer": (paragraph(0, 0, 280, 20) + paragraph(310, 3, 280, 8), 28),
    "two columns of words": (words(0, 0) + words(230, 9), 20),
    "three columns under a headline": (
        [(300, -40, 580, 24, 0), *(p for x in (0, 200, 400) for p in paragraph(x, 0, 180, 15))],
        46,
    ),
    "newspaper": (
        [(300, -60, 560, 40, 0)]
        + [p for x in (0, 200, 400) for p in paragraph(x, x / 50, 180, 10)]
        + [(300, 230, 580, 24, 0), *paragraph(0, 260, 280, 10), *paragraph(310, 265, 280, 10)],
        52,
    ),
    "receipt": ([cell for i in range(12) for cell in row(20 * i, (0, 160 + 9 * (i % 4)), (350, 395))], 12),
    "table": ([c for i in range(10) for c in row(24 * i, (0, 110), (170, 230), (270, 315), (380, 450))], 10),
    "form": (
        [c for i in range(8) for c in row(26 * i, (0, 70), (90, 240 - 5 * i), (300, 360), (380, 450))],
        8,
    ),
}


def turned(found: Sequence[Rectangle], degrees: float) -> NDArray[np.float64]:
    """A page of rectangles, turned as a whole."""
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return order_quads(stack(found) @ np.array([[cos, sin], [-sin, cos]]))


@pytest.mark.parametrize("degrees", TURNS)
@pytest.mark.parametrize("name", PAGES)
def test_pages_are_read_in_order_however_they_lie(name: str, degrees: float) -> None:
    """Columns one after the other, receipts, tables and forms across, shuffled and turned."""
    page, lines = PAGES[name]
    shuffled = np.random.default_rng(0).permutation(len(page))
    order, numbers = sort_into_lines(turned(page, degrees)[shuffled])
    assert shuffled[order].tolist() == list(range(len(page)))
    assert numbers[-1] == lines - 1


def test_a_page_upside_down_is_read_from_its_other_end() -> None:
    """Nothing in boxes says which way up a page is: each line is read as it stands, from the top."""
    page, lines = PAGES["one column"]
    order, numbers = sort_into_lines(turned(page, 180))
    assert order.tolist() == list(range(len(page)))[::-1]
    assert numbers.tolist() == list(range(lines))


def test_a_page_that_runs_upward_is_read_as_one_that_runs_downward() -> None:
    """A quarter turn to the left looks like one to the right: its last line comes first."""
    page, lines = PAGES["one column"]
    order, _ = sort_into_lines(turned(page, -90))
    assert order.tolist() == list(range(lines))[::-1]


@pytest.mark.parametrize("degrees", [-10, 0, 10])
def test_columns_of_vertical_text_are_lines_from_right_to_left(degrees: float) -> None:
    """A page of vertical Chinese or Japanese: each column a line, the rightmost first, short ones too."""
    columns: list[Rectangle] = [
        (600 - 30 * i, 190 - 40 * (i % 3), 18, 380 - 80 * (i % 3), 0) for i in range(15)
    ]
    order, lines = sort_into_lines(turned(columns, degrees))
    assert order.tolist() == lines.tolist() == list(range(15))


def test_two_storeys_of_vertical_text_are_read_one_after_the_other() -> None:
    """Where vertical columns stand above each other with a gap between, the upper ones come first."""
    upper: list[Rectangle] = [(600 - 30 * i, 100, 18, 190, 0) for i in range(10)]
    lower: list[Rectangle] = [(590 - 30 * i, 330, 18, 200, 0) for i in range(10)]
    order, lines = sort_into_lines(order_quads(stack(upper + lower)))
    assert order.tolist() == lines.tolist() == list(range(20))


def test_a_vertical_label_does_not_turn_the_page() -> None:
    """One label on its side beside lines of text gets a line of its own, and the lines stay as they are."""
    page = paragraph(0, 0, 300, 8)
    order, lines = sort_into_lines(order_quads(stack([*page, (340, 71, 14, 90, 0)])))
    assert [i for i in order.tolist() if i < 8] == list(range(8))
    assert lines.max() == 8


def test_words_of_unequal_height_share_their_line() -> None:
    """Descenders and small print shift centres a little: the line holds together."""
    found: list[Rectangle] = [
        (20, 50, 30, 12, 0),
        (60, 52, 40, 16, 0),
        (100, 49, 20, 8, 0),
        (20, 70, 30, 12, 0),
    ]
    order, lines = sort_into_lines(order_quads(stack(found)))
    assert order.tolist() == [0, 1, 2, 3]
    assert lines.tolist() == [0, 0, 0, 1]


def test_words_along_a_curve_stay_in_their_line() -> None:
    """On the bent page of an open book words follow their line, though its ends lie where others begin."""
    spots = [(40.0 * i, 22.0 * line + 24.0 * (i / 7.0) ** 2) for line in range(6) for i in range(8)]
    order, lines = sort_into_lines(order_quads(stack([(x, y, 34, 14, 0) for x, y in spots])))
    assert order.tolist() == list(range(48))
    assert lines.tolist() == [i // 8 for i in range(48)]


def test_a_tall_region_does_not_swallow_the_lines_beside_it() -> None:
    """Lines beside a tall picture of text keep lines of their own."""
    found: list[Rectangle] = [(150, 20 + 20 * i, 100, 12, 0) for i in range(8)]
    order, lines = sort_into_lines(order_quads(stack([(40, 80, 60, 170, 0), *found])))
    assert len(set(lines[order > 0].tolist())) == 8


def test_no_regions_have_no_order() -> None:
    """Nothing in, nothing out."""
    order, lines = sort_into_lines(np.empty((0, 4, 2)))
    assert (order.shape, lines.shape) == ((0,), (0,))


@given(st.lists(rectangles, min_size=1, max_size=40), st.randoms(use_true_random=False))
def test_whatever_the_page_its_order_is_whole_and_its_own(
    found: list[Rectangle], random: np.random.Generator
) -> None:
    """Every region once, lines counting up from 0 without gaps, and a shuffled input changes nothing."""
    quads = order_quads(stack(found))
    order, lines = sort_into_lines(quads)
    assert sorted(order.tolist()) == list(range(len(found)))
    assert lines[0] == 0
    assert set(np.diff(lines).tolist()) <= {0, 1}
    shuffled = list(range(len(found)))
    random.shuffle(shuffled)
    again, lines_again = sort_into_lines(quads[shuffled])
    assert np.array_equal(quads[shuffled][again], quads[order])
    assert lines_again.tolist() == lines.tolist()


def test_ten_thousand_regions_on_one_spot_are_ordered() -> None:
    """The most regions that an answer may have, all over each other, come out once each."""
    crowd = quad(50, 50, 80, 12, 20) + np.random.default_rng(0).normal(0, 5, (10_000, 1, 2))
    order, lines = sort_into_lines(order_quads(crowd))
    assert sorted(order.tolist()) == list(range(10_000))
    assert set(np.diff(lines).tolist()) <= {0, 1}
