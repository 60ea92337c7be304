"""Contours, rectangles around them and means inside them, against slower definitions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from ocrdet.vision.shapes import (
    find_shapes,
    fit_rectangles,
    mean_inside,
    rectangle_corners,
    unclip_distances,
)
from tests.unit.vision.quads import blobs

if TYPE_CHECKING:
    from cv2.typing import MatLike
    from numpy.typing import NDArray


def hulls(contours: list[MatLike]) -> list[list[list[int]]]:
    """Convex hulls in a comparable form."""
    return sorted(sorted(cv2.convexHull(contour)[:, 0].tolist()) for contour in contours)


@given(st.integers(0, 10_000), st.integers(1, 90), st.integers(1, 70), st.sampled_from([0.8, 1.5, 3.0]))
def test_shapes_are_the_outer_contours_of_the_slower_tracer(
    seed: int, width: int, height: int, level: float
) -> None:
    """Islands, and islands in lakes, are found with their exact hulls; lakes never are."""
    mask = blobs(seed, width, height, level) > 0.5
    contours, tree = cv2.findContours(mask.view(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    outer = [c for c, node in zip(contours, tree[0] if contours else [], strict=True) if node[3] < 0]
    found, areas, cut = find_shapes(mask, 10_000)
    assert cut == 0
    assert areas.tolist() == [cv2.contourArea(contour) for contour in found]
    # Lines one pixel wide enclose no area and may be missing; nothing else may be, and nothing may be added.
    assert all(hull in hulls(outer) for hull in hulls(found))
    assert all(hull in hulls(found) for hull in hulls([c for c in outer if cv2.contourArea(c) > 0]))


def test_holes_are_no_shapes_but_what_lies_in_them_is() -> None:
    """A ring with a bar inside holds two shapes, not three."""
    mask = np.zeros((60, 80), bool)
    mask[5:55, 5:75] = True
    mask[10:50, 10:70] = False
    mask[25:35, 20:60] = True
    found, _, _ = find_shapes(mask, 100)
    assert sorted(tuple(cv2.boundingRect(shape)) for shape in found) == [(5, 5, 70, 50), (20, 25, 40, 10)]


def test_the_largest_candidates_are_kept_and_the_others_counted() -> None:
    """Beyond max_candidates the smallest shapes go."""
    mask = np.zeros((20, 200), bool)
    for i, size in enumerate([3, 9, 5, 7, 4]):
        mask[2 : 2 + size, 20 * i : 20 * i + size] = True
    found, areas, cut = find_shapes(mask, 2)
    assert [cv2.boundingRect(shape)[2] for shape in found] == [9, 7]
    assert areas.tolist() == [64.0, 36.0]
    assert cut == 3


def test_specks_and_single_lines_are_no_candidates() -> None:
    """A thousand single pixels and one line push nothing out."""
    mask = np.zeros((80, 200), bool)
    mask[1:60:2, 1:120:2] = True
    mask[75, 5:190] = True
    mask[62:70, 5:100] = True
    found, _, cut = find_shapes(mask, 1)
    assert [cv2.boundingRect(shape) for shape in found] == [(5, 62, 95, 8)]
    assert cut == 0


def test_an_empty_mask_gives_arrays_of_length_zero() -> None:
    """Nothing in, nothing out, at every step."""
    found, areas, cut = find_shapes(np.zeros((4, 5), bool), 10)
    rects = fit_rectangles(found)
    assert (found, areas.tolist(), cut, rects.shape) == ([], [], 0, (0, 5))
    assert rectangle_corners(rects).shape == (0, 4, 2)
    assert mean_inside(np.zeros((4, 5), np.float32), rects).shape == (0,)
    assert unclip_distances(rects, 1.5).shape == (0,)


@given(st.integers(0, 10_000))
def test_rectangles_enclose_their_shapes_tightly(seed: int) -> None:
    """Corners computed from a rectangle contain every contour point, and its area is that of OpenCV's."""
    found, _, _ = find_shapes(blobs(seed, 60, 50, 2.0) > 0.5, 100)
    for contour, corners in zip(found, rectangle_corners(fit_rectangles(found)), strict=True):
        around = shapely.Polygon(corners)
        assert shapely.MultiPoint(contour[:, 0]).within(around.buffer(1e-3))
        assert around.area == pytest.approx(np.prod(cv2.minAreaRect(contour)[1]), rel=1e-4, abs=1e-3)


def mean_by_definition(values: NDArray[np.float32], rect: NDArray[np.float64]) -> float:
    """The mean of the pixels whose centres lie in the rectangle or within a hundredth of its edge."""
    height, width = values.shape
    x, y = np.meshgrid(np.arange(width) - rect[0], np.arange(height) - rect[1])
    cos, sin = np.cos(np.radians(rect[4])), np.sin(np.radians(rect[4]))
    inside = (np.abs(x * cos + y * sin) <= rect[2] / 2 + 0.01) & (
        np.abs(y * cos - x * sin) <= rect[3] / 2 + 0.01
    )
    return float(values[inside].mean(dtype=np.float64))


@given(
    st.lists(
        st.tuples(st.floats(2, 47), st.floats(2, 37), st.floats(3, 60), st.floats(3, 30), st.floats(-90, 90)),
        min_size=1,
        max_size=9,
    ),
    st.booleans(),
)
def test_means_are_those_of_the_pixels_inside(
    found: list[tuple[float, float, float, float, float]],
    padded: bool,
) -> None:
    """Overlapping, turned and partly outside: every rectangle gets the mean of its own pixels."""
    values = np.random.default_rng(0).random((48, 64) if padded else (40, 50), np.float32)
    rects = np.array(found)
    expected = [mean_by_definition(values[:40, :50], rect) for rect in rects]
    assert mean_inside(values, rects, (40, 50) if padded else None) == pytest.approx(expected, abs=1e-5)


def test_the_mean_of_the_whole_map_counts_its_last_pixel() -> None:
    """A rectangle that ends with the map's last pixel includes it."""
    values = np.zeros((4, 5), np.float32)
    values[-1, -1] = 1.0
    whole, corner = [2.0, 1.5, 4.0, 3.0, 0.0], [4.0, 3.0, 0.0, 0.0, 0.0]
    assert mean_inside(values, np.array([whole, corner])) == pytest.approx([1 / 20, 1.0])


@given(st.floats(3, 200), st.floats(3, 60), st.floats(0.1, 3.0))
def test_growing_a_rectangle_is_growing_it_with_round_corners(
    width: float, height: float, ratio: float
) -> None:
    """The grown sides are those of the smallest rectangle around the offset polygon of the paper."""
    distance = unclip_distances(np.array([[0.0, 0.0, width, height, 0.0]]), ratio)[0]
    box = shapely.box(0, 0, width, height)
    assert distance == pytest.approx(box.area * ratio / box.length)
    left, top, right, bottom = box.buffer(distance, quad_segs=16).bounds
    assert (right - left, bottom - top) == pytest.approx((width + 2 * distance, height + 2 * distance))
