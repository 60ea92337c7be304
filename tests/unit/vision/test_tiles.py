"""Tiles: what windows saw is one map again, without seams."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocrdet.vision.tiles import OVERLAP_PX, Window, count_windows, cover_with_windows, merge_maps

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ocrdet.vision.tiles import Shape

SHAPES: tuple[Shape, ...] = ((800, 800), (1024, 512), (352, 1280))


def cut(image: NDArray[np.float32], shape: Shape, windows: tuple[Window, ...]) -> list[NDArray[np.float32]]:
    """What a model would see of an image: each window at the corner of a map whose rest is noise."""
    maps = []
    for window in windows:
        values = np.full(shape, 0.77, np.float32)
        values[: window.height, : window.width] = image[window.area]
        maps.append(values)
    return maps


@given(width=st.integers(1, 300), height=st.integers(1, 600))
def test_merging_what_was_cut_gives_the_same_map(width: int, height: int) -> None:
    """Where all windows saw the same, so does the whole; what lies beside a window counts for nothing."""
    rows, columns = np.mgrid[:height, :width]
    image = ((rows * 7 + columns * 3) % 11 / 11).astype(np.float32)
    cover = cover_with_windows(width, height, ((128, 128), (160, 96), (64, 192)), 99)
    assert cover is not None
    shape, windows = cover
    merged = merge_maps(cut(image, shape, windows), windows, width, height)
    np.testing.assert_allclose(merged[:height, :width], image, atol=1e-6)
    assert merged.max() <= 1.0


def test_one_window_gives_its_very_map() -> None:
    """An ordinary image pays nothing for tiles."""
    values = np.zeros((800, 800), np.float32)
    assert merge_maps([values], (Window(0, 0, 600, 700),), 600, 700) is values


def test_a_window_counts_the_less_the_nearer_its_edge() -> None:
    """Between two that disagree the map goes over from one to the other; each has its way in its middle."""
    cover = cover_with_windows(1472, 800, ((800, 800),), 2)
    assert cover is not None
    shape, (left, right) = cover
    assert left.left + left.width - right.left == OVERLAP_PX
    maps = [np.zeros(shape, np.float32), np.ones(shape, np.float32)]
    row = merge_maps(maps, (left, right), 1472, 800)[400]
    assert (row[: right.left] == 0).all()
    assert (row[left.width :] == 1).all()
    assert (np.diff(row[right.left - 1 : left.width + 1]) > 0).all()
    assert row[right.left + OVERLAP_PX // 2] == pytest.approx(0.5, abs=0.01)


def test_the_cheapest_shape_covers() -> None:
    """A strip goes into wide shapes, a screenshot of many screens into tall ones."""
    assert (cover_with_windows(9000, 200, SHAPES, 99) or (None,))[0] == (352, 1280)
    assert (cover_with_windows(500, 7000, SHAPES, 99) or (None,))[0] == (1024, 512)


def test_more_windows_than_allowed_is_no_cover() -> None:
    """The caller then takes a smaller scale."""
    needed = count_windows(5000, 5000, SHAPES)
    assert cover_with_windows(5000, 5000, SHAPES, needed - 1) is None
    assert cover_with_windows(5000, 5000, SHAPES, needed) is not None


def test_small_shapes_overlap_less() -> None:
    """A quarter of a side at most, so that windows still get ahead."""
    cover = cover_with_windows(1000, 64, ((64, 64),), 99)
    assert cover is not None
    assert [window.left for window in cover[1][:2]] == [0, 47]
