"""Non-maximum suppression against the textbook's loop over shapely polygons."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from ocrdet.vision import nms
from ocrdet.vision.geometry import quad_area
from ocrdet.vision.nms import suppress_overlaps
from tests.unit.vision.quads import iou, quad, rectangles, stack

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tests.unit.vision.quads import Rectangle

scored = st.lists(
    st.tuples(rectangles, st.sampled_from([0.3, 0.5, 0.7, 0.9])), max_size=14, unique_by=lambda pair: pair[0]
)


def textbook(quads: NDArray[np.float64], scores: NDArray[np.float64], threshold: float) -> set[int]:
    """The definition: best first, keep what neither overlaps anything kept nor is a piece of it."""
    shapes = [shapely.Polygon(corners) for corners in quads]
    area = quad_area(quads)
    position = quads[:, [0, 0, 1, 1, 2, 2, 3, 3], [1, 0] * 4].tolist()
    kept: list[int] = []
    for i in sorted(range(len(quads)), key=lambda i: (-scores[i], -area[i], position[i])):
        pieces = [
            shapes[i].intersection(shapes[k]).area >= 0.9 * area[i] and area[i] < 0.3 * area[k] for k in kept
        ]
        if not any(pieces) and all(iou(quads[i], quads[k]) <= threshold for k in kept):
            kept.append(i)
    return set(kept)


@given(scored, st.sampled_from([0.05, 0.31, 0.62]))
def test_what_stays_is_what_the_textbook_keeps(
    found: list[tuple[Rectangle, float]], threshold: float
) -> None:
    """Pruning, sweeping and blocks change nothing in the result."""
    quads, scores = stack([r for r, _ in found]), np.array([s for _, s in found])
    assert set(suppress_overlaps(quads, scores, threshold).tolist()) == textbook(quads, scores, threshold)


@pytest.mark.parametrize("name", ["_PAIR_BLOCK", "_CROWD_PAIRS", "_CROWD_HEAD", "_FEW_PAIRS"])
@pytest.mark.parametrize("value", [1, 7, 50])
def test_how_pairs_are_looked_at_does_not_change_the_result(
    monkeypatch: pytest.MonkeyPatch, name: str, value: int
) -> None:
    """In blocks or at once, the best settled first or not, bounded or exact: the same regions stay."""
    rng = np.random.default_rng(1)
    quads, scores = stack(rng.uniform(1, 60, (90, 5)).tolist()), rng.random(90)
    expected = suppress_overlaps(quads, scores, 0.2).tolist()
    monkeypatch.setattr(nms, name, value)
    assert suppress_overlaps(quads, scores, 0.2).tolist() == expected
    assert 1 < len(expected) < 90


def test_a_piece_of_a_region_is_dropped_though_its_iou_is_small() -> None:
    """The dot of a headline's i, wholly inside it, is no region; a better one of the same size is."""
    quads = np.stack([quad(100, 50, 180, 40), quad(60, 40, 12, 12)])
    assert suppress_overlaps(quads, np.array([0.9, 0.8]), 0.3).tolist() == [0]
    assert suppress_overlaps(quads, np.array([0.8, 0.9]), 0.3).tolist() == [1, 0]
    assert suppress_overlaps(quads, np.array([0.9, 0.8]), 1.0).tolist() == [0, 1]


def test_small_text_that_reaches_out_of_a_region_stays() -> None:
    """A subtitle that overlaps a large title by half is text of its own."""
    quads = np.stack([quad(100, 50, 180, 40), quad(100, 70, 60, 12)])
    assert len(suppress_overlaps(quads, np.array([0.9, 0.8]), 0.3)) == 2


def test_text_inside_a_hollow_region_stays() -> None:
    """What a ring of text goes around is not part of it; the ring itself obeys the IoU threshold."""
    quads = np.stack([quad(100, 100, 180, 180), quad(100, 100, 60, 20)])
    scores, hollow = np.array([0.9, 0.8]), np.array([True, False])
    assert suppress_overlaps(quads, scores, 0.3, hollow).tolist() == [0, 1]
    assert suppress_overlaps(quads, scores, 0.02, hollow).tolist() == [0]


def test_of_equal_scores_the_larger_region_stays() -> None:
    """A region and a piece of it with the same score: the piece goes, wherever it lies."""
    for x in (20, 180):
        quads = np.stack([quad(x, 40, 12, 12), quad(100, 50, 190, 40)])
        assert suppress_overlaps(quads, np.array([0.9, 0.9]), 0.3).tolist() == [1]


@given(scored, st.randoms(use_true_random=False))
def test_the_order_of_the_input_does_not_matter(
    found: list[tuple[Rectangle, float]], random: np.random.Generator
) -> None:
    """Shuffled candidates give the same regions, best first."""
    shuffled = found.copy()
    random.shuffle(shuffled)

    def kept(pairs: list[tuple[Rectangle, float]]) -> list[tuple[Rectangle, float]]:
        chosen = suppress_overlaps(stack([r for r, _ in pairs]), np.array([s for _, s in pairs]), 0.3)
        return [pairs[i] for i in chosen.tolist()]

    assert kept(found) == kept(shuffled)
    assert [s for _, s in kept(found)] == sorted((s for _, s in kept(found)), reverse=True)


def test_a_ghost_of_a_region_dies() -> None:
    """Of two nearly equal regions the better one stays."""
    quads = np.stack([quad(50, 20, 80, 12), quad(51, 20.5, 80, 12)])
    assert suppress_overlaps(quads, np.array([0.6, 0.8]), 0.3).tolist() == [1]


def test_a_suppressed_region_suppresses_nothing() -> None:
    """A chain loses its middle, not its end."""
    chain = np.stack([quad(50 + 20 * i, 20, 60, 12) for i in range(3)])
    assert suppress_overlaps(chain, np.array([0.9, 0.8, 0.7]), 0.3).tolist() == [0, 2]


def test_touching_regions_stay_even_at_threshold_zero() -> None:
    """A common edge is no overlap; the threshold itself is not above the threshold."""
    quads = np.stack([quad(10, 10, 20, 10), quad(10, 20, 20, 10)])
    assert len(suppress_overlaps(quads, np.array([0.9, 0.8]), 0.0)) == 2
    halves = np.stack([quad(10, 10, 20, 10), quad(10, 10, 20, 5)])
    assert len(suppress_overlaps(halves, np.array([0.9, 0.8]), 0.5)) == 2
    assert len(suppress_overlaps(halves, np.array([0.9, 0.8]), 0.49)) == 1


def test_no_regions_are_no_problem() -> None:
    """Nothing in, nothing out."""
    assert suppress_overlaps(np.empty((0, 4, 2)), np.empty(0), 0.3).shape == (0,)


@pytest.mark.parametrize("turned", [False, True])
def test_a_dense_page_of_three_thousand_lines_stays_whole(turned: bool) -> None:
    """Lines and columns that overlap their neighbours slightly all stay."""
    number = np.arange(3000)
    quads = stack([(50 + 96 * (i % 30), 10 + 16 * (i // 30), 95, 18, 0.5) for i in number.tolist()])
    quads = quads[..., ::-1] if turned else quads
    assert len(suppress_overlaps(quads, np.linspace(0.5, 0.9, 3000), 0.3)) == 3000


@pytest.mark.parametrize("threshold", [0.3, 0.9])
def test_long_thin_regions_that_cross_all_stay(threshold: float) -> None:
    """A star of a hundred rays: all overlap in the middle, none by much."""
    star = stack([(400, 400, 780, 3, 1.8 * i) for i in range(100)])
    assert len(suppress_overlaps(star, np.linspace(0.5, 0.9, 100), threshold)) == 100


def test_a_thousand_copies_leave_the_best() -> None:
    """The worst case for a sweep, all on one spot, ends with one region."""
    rng = np.random.default_rng(0)
    quads = quad(50, 50, 80, 12, 20) + rng.normal(0, 0.01, (1000, 4, 2))
    scores = rng.random(1000)
    assert suppress_overlaps(quads, scores, 0.3).tolist() == [int(scores.argmax())]
