"""Steady rectangles: the page's tilt where it costs nothing, edges between the pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from ocrdet.vision.edges import refine_edges, settle_tilts
from ocrdet.vision.shapes import find_shapes, fit_rectangles, rectangle_corners
from tests.unit.vision.quads import blank, blobs, draw, quad

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tests.unit.vision.quads import Rectangle


def bars(*found: Rectangle) -> NDArray[np.bool_]:
    """A mask of turned bars."""
    values = blank(400, 300)
    for bar in found:
        draw(values, quad(*bar))
    return values > 0.5


@pytest.mark.parametrize("tilt", [-8.0, 0.0, 5.0, 40.0])
def test_a_short_word_takes_the_tilt_of_the_page(tilt: float) -> None:
    """A shape that could stand in any direction stands as the lines around it do."""
    mask = bars((200, 60, 250, 12, tilt), (200, 240, 250, 12, tilt), (200, 150, 24, 20, tilt + 4))
    contours, _, _ = find_shapes(mask, 10)
    angles = settle_tilts(contours, fit_rectangles(contours))[:, 4]
    assert (np.abs((angles - tilt + 45.0) % 90.0 - 45.0) < 0.7).all()


def test_a_line_with_a_tilt_of_its_own_keeps_it() -> None:
    """A long line four degrees askew on a level page stays askew."""
    mask = bars((200, 40, 300, 12, 0), (200, 80, 300, 12, 0), (200, 180, 300, 12, 4))
    contours, _, _ = find_shapes(mask, 10)
    angles = (settle_tilts(contours, fit_rectangles(contours))[:, 4] + 45.0) % 90.0 - 45.0
    assert np.sort(angles) == pytest.approx([0.0, 0.0, 4.0], abs=0.3)


def test_text_of_many_directions_has_no_common_tilt() -> None:
    """On a street scene no direction is preferred: every rectangle stays as it was found."""
    mask = bars(
        (90, 60, 120, 12, 0), (290, 60, 120, 12, 20), (90, 220, 120, 12, 50), (300, 220, 120, 12, -25)
    )
    contours, _, _ = find_shapes(mask, 10)
    rects = fit_rectangles(contours)
    assert settle_tilts(contours, rects) is rects


@given(st.integers(0, 10_000))
def test_settled_rectangles_still_hold_their_shapes(seed: int) -> None:
    """Turned or not, a rectangle goes through the outermost pixels and is at most a fifth larger."""
    contours, _, _ = find_shapes(blobs(seed, 60, 50, 2.0) > 0.5, 100)
    rects = fit_rectangles(contours)
    settled = settle_tilts(contours, rects)
    for contour, corners in zip(contours, rectangle_corners(settled), strict=True):
        assert shapely.MultiPoint(contour[:, 0]).within(shapely.Polygon(corners).buffer(1e-3))
    sizes, smallest = (np.prod(found[:, 2:4] + 1.0, axis=1) for found in (settled, rects))
    assert (sizes <= 1.2 * smallest + 1e-6).all()


@pytest.mark.parametrize("shift", [0.0, 0.2, 0.4, 0.6, 0.8])
def test_edges_move_with_their_text_by_parts_of_a_pixel(shift: float) -> None:
    """A soft bar moved by a fifth of a pixel has its rectangle moved by that, and keeps its size."""

    def fit(moved: float) -> NDArray[np.float64]:
        y, x = np.mgrid[0:120, 0:160].astype(np.float32)
        outside = np.maximum(np.abs(x - 80.0 - moved) - 40.0, np.abs(y - 60.0 - moved) - 6.0)
        values = np.clip(0.5 - 0.3 * outside, 0.0, 1.0).astype(np.float32)
        rects = fit_rectangles(find_shapes(values > 0.3, 1)[0])
        found = refine_edges(values, rects, 0.3)[0]
        return np.array([found[0], found[1], max(found[2:4]), min(found[2:4])])

    assert fit(shift) - fit(0.0) == pytest.approx([shift, shift, 0.0, 0.0], abs=0.02)


def test_an_edge_stays_at_the_border_and_beside_another_shape() -> None:
    """Where the map does not fall to the level within a pixel, nothing says where the edge is."""
    values = np.full((40, 80), 0.9, np.float32)
    rects = np.array([[39.5, 19.5, 79.0, 39.0, 0.0], [30.0, 15.0, 20.0, 10.0, 0.0]])
    assert np.array_equal(refine_edges(values, rects, 0.3), rects)


@given(st.integers(0, 10_000), st.sampled_from([0.3, 0.5]))
def test_no_edge_moves_by_a_pixel(seed: int, level: float) -> None:
    """Whatever the map, refined rectangles are those found, give or take less than a pixel on each side."""
    values = blobs(seed, 70, 60, 1.5)
    contours, _, _ = find_shapes(values > level, 100)
    rects = np.array([r for r in fit_rectangles(contours) if min(r[2:4]) >= 2.99]).reshape(-1, 5)
    moved = refine_edges(values, rects, level) - rects
    assert (np.abs(moved[:, 2:4]) < 2.0).all()
    assert (np.abs(moved[:, :2]) < np.sqrt(2.0)).all()
    assert (moved[:, 4] == 0.0).all()


def test_a_map_too_long_for_opencv_keeps_its_whole_pixels() -> None:
    """A strip of 33,000 pixels is answered, if only to the pixel."""
    values = np.zeros((40, 33_000), np.float32)
    cv2.rectangle(values, (32_000, 10), (32_900, 20), 0.9, cv2.FILLED)
    rects = fit_rectangles(find_shapes(values > 0.3, 10)[0])
    assert refine_edges(values, rects, 0.3) is rects
