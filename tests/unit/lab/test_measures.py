"""The measures against counting by hand, and against plain loops over whole pixels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocrdet.lab.measures import Tally
from ocrdet.lab.scoring import ImageScore, score_image
from tests.unit.lab.marks import label, rectangle

Sides = tuple[int, int, int, int]


def judge(labels: list[tuple[Sides, str, bool]], found: list[Sides]) -> ImageScore:
    """The score of rectangles."""
    marked = [label(*sides, text=text, ignored=ignored) for sides, text, ignored in labels]
    return score_image(marked, [rectangle(*sides) for sides in found], [0.5] * len(found), (60, 40))


def test_a_tally_gives_precision_recall_and_hmean() -> None:
    """Nothing predicted is no mistake, and nothing labelled cannot be missed."""
    tally = Tally(3, 4, 3, 6)
    assert tally.ratios == (0.75, 0.5, 0.6)
    assert (tally + Tally(1, 4, 1, 2)).ratios == (0.5, 0.5, 0.5)
    assert Tally().ratios == (1, 1, 1)
    assert Tally(0, 2, 0, 3).ratios == (0, 0, 0)


def test_an_iou_of_one_half_is_a_match_and_less_is_none() -> None:
    """The label is 20 wide; the finds are 10 and 9 of it."""
    wanted = [((0, 0, 20, 10), "", False)]
    assert judge(wanted, [(0, 0, 10, 10)]).tallies["iou"] == Tally(1, 1, 1, 1)
    assert judge(wanted, [(0, 0, 9, 10)]).tallies["iou"] == Tally(0, 1, 0, 1)


def test_a_label_is_found_once() -> None:
    """The second region on it is false."""
    score = judge([((0, 0, 20, 10), "", False)], [(0, 0, 19, 10), (0, 0, 20, 10)])
    assert score.tallies["iou"] == Tally(1, 2, 1, 1)
    assert score.verdicts["iou"].right.tolist() == [True, False]


def test_regions_on_ignored_text_do_not_count() -> None:
    """More than half on one ignored label leaves a region out, exactly half does not."""
    score = judge([((0, 0, 20, 10), "###", True)], [(0, 0, 10, 4), (15, 0, 25, 10), (16, 0, 26, 10)])
    assert score.kept.tolist() == [1, 2]
    assert score.tallies["iou"] == Tally(0, 2, 0, 0)


def test_a_match_counts_even_inside_of_ignored_text() -> None:
    """A word that counts may stand on a sign that does not."""
    score = judge([((0, 0, 40, 40), "###", True), ((10, 10, 30, 20), "word", False)], [(10, 10, 30, 20)])
    assert score.tallies["iou"] == Tally(1, 1, 1, 1)


def test_regions_without_an_area_do_not_count() -> None:
    """They are neither right nor false, and keep their place in the list."""
    score = judge([((0, 0, 20, 10), "", False)], [(5, 5, 5, 9), (0, 0, 20, 10)])
    assert score.kept.tolist() == [1]
    assert score.tallies["iou"] == Tally(1, 1, 1, 1)


def test_a_line_found_for_its_words_is_right_to_the_tolerant_measure() -> None:
    """By IoU three words are missed; by characters all are found, at the cost of two joins."""
    words = [((0, 0, 10, 10), "abc", False), ((12, 0, 22, 10), "de", False), ((24, 0, 34, 10), "f", False)]
    score = judge(words, [(0, 0, 34, 10)])
    assert score.tallies["iou"] == Tally(0, 1, 0, 3)
    assert score.tallies["tolerant"] == Tally(6, 6, 6, 6)
    assert score.tallies["tolerant_penalized"] == Tally(4, 6, 6, 6)
    assert score.verdicts["tolerant"].found.all()


def test_words_found_for_their_line_are_right_to_the_tolerant_measure() -> None:
    """The gap between them costs the characters in it, and each further word one when cuts are counted."""
    score = judge([((0, 0, 40, 10), "abcd", False)], [(0, 0, 20, 10), (30, 0, 40, 10)])
    assert score.tallies["tolerant"] == Tally(3, 3, 3, 4)
    assert score.tallies["tolerant_penalized"] == Tally(3, 3, 2, 4)


def test_a_region_far_wider_than_its_text_is_partly_right() -> None:
    """A quarter of it lies on text: half of the one half that would be enough."""
    score = judge([((0, 0, 10, 10), "ab", False)], [(0, 0, 40, 10)])
    assert score.tallies["tolerant"] == Tally(1, 2, 2, 2)
    assert not score.verdicts["tolerant"].right.any()


@pytest.mark.parametrize("text", ["###", "*", "", " "])
def test_unknown_texts_are_as_long_as_their_outline(text: str) -> None:
    """Four squares fit."""
    assert judge([((0, 0, 40, 10), text, False)], []).tallies["tolerant"].labelled == 4


def test_without_labels_every_region_is_false() -> None:
    """And without regions too there is nothing to blame."""
    assert judge([], [(0, 0, 10, 10)]).tallies["iou"].hmean == 0
    assert judge([], []).tallies["tolerant"].hmean == 1


def test_the_best_score_chooses_first_and_the_best_overlap() -> None:
    """The region of the lowest score finds both labels taken, though it came first."""
    marked = [label(0, 0, 20, 10), label(0, 4, 20, 14)]
    outlines = [rectangle(0, 0, 20, 12), rectangle(0, 0, 20, 10), rectangle(0, 1, 20, 11)]
    ranking = score_image(marked, outlines, [0.3, 0.9, 0.5]).ranking
    assert ranking.tolist() == [[0.3, 0], [0.9, 1], [0.5, 1]]


def whole_pixels(sides: Sides) -> set[tuple[int, int]]:
    """The pixels inside of the page that a rectangle holds."""
    left, top, right, bottom = sides
    return {(x, y) for x in range(max(left, 0), min(right, 60)) for y in range(max(top, 0), min(bottom, 40))}


def count_matches(wanted: list[Sides], ignored: list[Sides], found: list[Sides]) -> tuple[int, int]:
    """Matches and counting regions, by plain loops over sets of pixels."""
    pixels = {sides: whole_pixels(sides) for sides in (*wanted, *ignored, *found)}

    def match(a: Sides, b: Sides) -> bool:
        return 2 * len(pixels[a] & pixels[b]) >= len(pixels[a] | pixels[b])

    kept = [
        one
        for one in found
        if not any(2 * len(pixels[one] & pixels[each]) > len(pixels[one]) for each in ignored)
        or any(match(each, one) for each in wanted)
    ]
    free = list(range(len(kept)))
    for each in wanted:
        fitting = [place for place in free if match(each, kept[place])]
        if fitting:
            free.remove(fitting[0])
    return len(kept) - len(free), len(kept)


@st.composite
def rectangles(draw: st.DrawFn) -> Sides:
    """One inside of a page of 60x40 pixels, often on top of another."""
    left, top = draw(st.integers(0, 50)), draw(st.integers(0, 30))
    return left, top, left + draw(st.integers(1, 10)), top + draw(st.integers(1, 10))


@settings(max_examples=80, deadline=None)
@given(
    wanted=st.lists(rectangles(), max_size=6),
    ignored=st.lists(rectangles(), max_size=2),
    found=st.lists(rectangles(), max_size=4),
    moves=st.lists(st.tuples(*[st.integers(-2, 2)] * 2), min_size=6, max_size=6),
)
def test_matches_and_areas_are_those_of_whole_pixels(
    wanted: list[Sides], ignored: list[Sides], found: list[Sides], moves: list[tuple[int, int]]
) -> None:
    """Geometry and arrays count what loops over pixels count."""
    moved = [
        (left + x, top + y, right + x, bottom + y)
        for (left, top, right, bottom), (x, y) in zip(wanted, moves, strict=False)
    ]
    found = found + [sides for sides in moved if min(sides) >= 0 and sides[2] <= 60 and sides[3] <= 40]
    score = judge([(each, "", False) for each in wanted] + [(each, "", True) for each in ignored], found)
    matches, kept = count_matches(wanted, ignored, found)
    assert score.tallies["iou"] == Tally(matches, kept, matches, len(wanted))

    text = set[tuple[int, int]]().union(*map(whole_pixels, wanted))
    masked = set[tuple[int, int]]().union(*map(whole_pixels, ignored)) - text
    covered = set[tuple[int, int]]().union(*map(whole_pixels, found)) - masked
    area = score.tallies["area"]
    expected = np.array([len(text & covered), len(covered), len(text & covered), len(text)])
    assert np.abs(np.array([area.right, area.predicted, area.found, area.labelled]) - expected).max() < 1e-6
