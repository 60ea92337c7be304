"""Non-maximum suppression against the textbook's loop over shapely polygons."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocrdet.vision import nms
from ocrdet.vision.nms import suppress_overlaps
from tests.unit.vision.quads import iou, quad, rectangles, stack

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tests.unit.vision.quads import Rectangle

scored = st.lists(
    st.tuples(rectangles, st.sampled_from([0.3, 0.5, 0.7, 0.9])), max_size=14, unique_by=lambda pair: pair[0]
)


def textbook(quads: NDArray[np.float64], scores: NDArray[np.float64], threshold: float) -> set[int]:
    """The definition: best first, keep what overlaps nothing kept."""
    position = quads[:, [0, 0, 1, 1, 2, 2, 3, 3], [1, 0] * 4].tolist()
    kept: list[int] = []
    for i in sorted(range(len(quads)), key=lambda i: (-scores[i], position[i])):
        if all(iou(quads[i], quads[k]) <= threshold for k in kept):
            kept.append(i)
    return set(kept)


@given(scored, st.sampled_from([0.05, 0.31, 0.62]))
def test_what_stays_is_what_the_textbook_keeps(
    found: list[tuple[Rectangle, float]], threshold: float
) -> None:
    """Pruning, sweeping and blocks change nothing in the result."""
    quads, scores = stack([r for r, _ in found]), np.array([s for _, s in found])
    assert set(suppress_overlaps(quads, scores, threshold).tolist()) == textbook(quads, scores, threshold)


@pytest.mark.parametrize("block", [1, 7, 50])
def test_blocks_of_pairs_do_not_change_the_result(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    """However few pairs are looked at in one step, the same regions stay."""
    rng = np.random.default_rng(1)
    quads, scores = stack(rng.uniform(1, 60, (60, 5)).tolist()), rng.random(60)
    expected = suppress_overlaps(quads, scores, 0.2).tolist()
    monkeypatch.setattr(nms, "_PAIR_BLOCK", block)
    assert suppress_overlaps(quads, scores, 0.2).tolist() == expected
    assert 1 < len(expected) < 60


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


def test_a_thousand_copies_leave_the_best() -> None:
    """The worst case for a sweep, all on one spot, ends with one region."""
    rng = np.random.default_rng(0)
    quads = quad(50, 50, 80, 12, 20) + rng.normal(0, 0.01, (1000, 4, 2))
    scores = rng.random(1000)
    assert suppress_overlaps(quads, scores, 0.3).tolist() == [int(scores.argmax())]
