"""The golden picture: who finds its lines passes, and nobody else."""

from __future__ import annotations

import cv2
import numpy as np

from ocrdet.values import Quad, TextRegion
from ocrdet.vision.golden import LINES, SIZE_PX, draw_golden, judge_golden


def region(left: float, top: float, right: float, bottom: float) -> TextRegion:
    """An upright region."""
    quad: Quad = ((left, top), (right, top), (right, bottom), (left, bottom))
    return TextRegion(quad, 0.9, 0.0, 0)


def lines(*, grow: float = 0.0) -> list[TextRegion]:
    """A region around the ink of each line, as a perfect detector would find it."""
    regions = []
    for text, left, baseline, size in LINES:
        (width, height), below = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, size, 2)
        regions.append(
            region(left - grow, baseline - height - grow, left + width + grow, baseline + below + grow)
        )
    return regions


def words() -> list[TextRegion]:
    """A region around each word, as a word-level model would find it."""
    regions = []
    for text, left, baseline, size in LINES:
        start = 0
        for word in text.split():
            at = text.index(word, start)
            start = at + len(word)
            (before, _), _ = cv2.getTextSize(text[:at], cv2.FONT_HERSHEY_SIMPLEX, size, 2)
            (width, height), _ = cv2.getTextSize(word, cv2.FONT_HERSHEY_SIMPLEX, size, 2)
            regions.append(region(left + before, baseline - height, left + before + width, baseline))
    return regions


def test_the_golden_picture_is_the_same_every_time_and_holds_dark_lines_on_a_light_page() -> None:
    """Each line has ink where its box is."""
    page = draw_golden()
    assert page.shape == (SIZE_PX, SIZE_PX, 3)
    assert page.dtype == np.uint8
    np.testing.assert_array_equal(page, draw_golden())
    for (x1, y1), _, (x2, y2), _ in (found.quad for found in lines()):
        ink = page[int(y1) : int(y2), int(x1) : int(x2), 0] < 128
        assert 0.05 < ink.mean() < 0.5


def test_lines_and_words_pass() -> None:
    """However tightly or loosely a model draws them."""
    for found in (lines(), lines(grow=8), words()):
        assert judge_golden(found) is None


def test_a_line_may_be_missed_but_not_two() -> None:
    """The sentence says how many were found."""
    assert judge_golden(lines()[1:]) is None
    assert judge_golden(lines()[2:]) == "Only 5 of the 7 lines of the golden picture were found."
    assert judge_golden([]) == "Only 0 of the 7 lines of the golden picture were found."


def test_half_of_a_line_is_not_a_line() -> None:
    """A model fed with the wrong numbers finds crumbs."""
    crumbs = [region(q[0][0], q[0][1], (q[0][0] + q[1][0]) / 2.2, q[2][1]) for q in (r.quad for r in lines())]
    assert judge_golden(crumbs) is not None


def test_a_model_that_finds_text_everywhere_does_not_pass() -> None:
    """The whole page as one region covers every line, and more than the lines."""
    assert judge_golden([region(0, 0, SIZE_PX, SIZE_PX)]) == (
        "Much of what was found in the golden picture lies where there is no text."
    )
    strays = [region(560, 20 + 60 * row, 640, 60 + 60 * row) for row in range(10)]
    assert judge_golden(lines() + strays * 3) is not None
