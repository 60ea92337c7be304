"""Areas, overlaps, the order of corners and the frame of the file, checked against shapely and Pillow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from ocrdet.values import ImageHeader
from ocrdet.vision.geometry import (
    displayed_to_stored,
    fold_quarter,
    median_tilt,
    order_by_place,
    order_quads,
    quad_angle,
    quad_area,
    quad_edges,
    quad_overlap,
)
from tests.unit.vision.quads import quad, rectangles, stack

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tests.unit.vision.quads import Rectangle

grid_quads = st.tuples(*[st.integers(0, 6)] * 2, *[st.integers(1, 6)] * 2, st.sampled_from([0, 45, 90]))


@pytest.mark.parametrize("degrees", [0.0, 30.0, 90.0, 200.0])
def test_area_is_width_times_height_in_either_direction(degrees: float) -> None:
    """A rectangle has the same area however it is turned and whichever way its corners run."""
    corners = quad(50, 40, 30, 7, degrees)
    assert quad_area(np.stack([corners, corners[::-1]])) == pytest.approx([210.0, 210.0])


def overlap(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """What shapely says two quads have in common."""
    return float(shapely.Polygon(a).intersection(shapely.Polygon(b)).area)


@given(st.lists(st.tuples(rectangles, rectangles), min_size=1, max_size=8))
def test_the_overlap_of_turned_rectangles_is_that_of_shapely(
    pairs: list[tuple[Rectangle, Rectangle]],
) -> None:
    """The common area of any two turned rectangles is exact, in both orders and directions."""
    a, b = stack([p for p, _ in pairs]), stack([q for _, q in pairs])
    expected = [overlap(p, q) for p, q in zip(a, b, strict=True)]
    assert quad_overlap(a, b) == pytest.approx(expected, abs=1e-6)
    assert quad_overlap(b[:, ::-1], a) == pytest.approx(expected, abs=1e-6)


@given(grid_quads, grid_quads)
def test_the_overlap_is_exact_where_edges_and_corners_coincide(p: Rectangle, q: Rectangle) -> None:
    """Shared edges, shared corners and equal quads are no special case."""
    a, b = quad(*p), quad(*q)
    assert quad_overlap(a[None], b[None])[0] == pytest.approx(overlap(a, b), abs=1e-9)


@given(rectangles, st.floats(-1e-9, 1e-9))
def test_the_overlap_hardly_moves_when_corners_hardly_move(rectangle: Rectangle, shift: float) -> None:
    """Rounding noise between equal quads leaves their whole area in common."""
    a = quad(*rectangle)
    area = rectangle[2] * rectangle[3]
    assert quad_overlap(a[None], (a + shift)[None])[0] == pytest.approx(area, abs=1e-6)


def test_quads_without_area_overlap_nothing() -> None:
    """Lines and points have no area in common, not even with themselves."""
    line = np.array([[[0, 0], [9, 0], [9, 0], [0, 0]]], float)
    point = np.zeros((1, 4, 2))
    assert quad_overlap(line, line) == 0.0
    assert quad_overlap(point, line) == 0.0


def test_the_overlap_is_exact_for_more_pairs_than_one_block_holds() -> None:
    """The pairs are worked off in blocks without losing or mixing any."""
    rng = np.random.default_rng(3)
    a = np.array([quad(*row) for row in rng.uniform(1, 60, (1300, 5))])
    b = np.array([quad(*row) for row in rng.uniform(1, 60, (1300, 5))])
    some = [0, 511, 512, 1024, 1299]
    assert quad_overlap(a, b)[some] == pytest.approx([overlap(a[i], b[i]) for i in some], abs=1e-6)
    assert quad_overlap(a[:0], b[:0]).shape == (0,)


@pytest.mark.parametrize("tilt", [-44.0, -10.0, 0.0, 10.0, 44.0])
def test_the_median_tilt_does_not_see_quarter_turns(tilt: float) -> None:
    """Lines, and lines across them, have one tilt; a few others do not change it, not even around 45."""
    angles = np.array([tilt, tilt + 90, tilt - 90, tilt + 1, tilt - 1, tilt + 30])
    median = median_tilt(angles, np.array([9.0, 9.0, 9.0, 5.0, 5.0, 2.0]))
    assert float(fold_quarter(np.array(median - tilt))) == pytest.approx(0.0, abs=1e-9)
    assert -45.0 <= median < 45.0


def test_the_median_tilt_weighs() -> None:
    """One long line counts for more than many short ones."""
    assert median_tilt(np.array([5.0, 0.0, 1.0]), np.array([9.0, 1.0, 1.0])) == pytest.approx(5.0)


def test_the_order_by_place_is_decided_by_every_corner() -> None:
    """From the top down and from the left; where first corners agree, the second ones decide, and so on."""
    quads = np.zeros((5, 4, 2))
    quads[0, 0] = 0, 7
    quads[1, 0] = 5, 3
    quads[2, 3] = 1, 0
    quads[3, 1] = 0, 2
    assert order_by_place(quads).tolist() == [4, 2, 3, 1, 0]


def test_edges_are_the_mean_of_opposite_ones() -> None:
    """A corner that is cut off hardly turns a quad."""
    cut = np.array([[[0, 2], [40, 0], [40, 10], [0, 10]]], float)
    assert quad_edges(cut)[..., 0].tolist() == [[40.0, -1.0], [0.0, 9.0]]


@pytest.mark.parametrize(
    ("width", "height", "turn", "angle"),
    [
        (40, 10, 0, 0),
        (40, 10, 20, 20),
        (40, 10, 74, 74),
        (40, 10, -74, -74),
        (40, 10, 150, -30),  # upside down is not known from the shape alone
        (40, 10, 90, 0),  # a column: its top is the short side
        (40, 10, 80, -10),
        (40, 10, 100, 10),
        (10, 40, 5, 5),
        (12, 10, 30, 30),
        (12, 10, 60, -30),  # as upright as it can be
        (10, 12, 0, 0),
        (10, 10, 45, 45),
        (10, 10, 135, 45),
    ],
)
def test_order_finds_the_direction_of_text(width: float, height: float, turn: float, angle: float) -> None:
    """Long quads read along their length, columns from their short top, stout ones as upright as they can."""
    ordered = order_quads(quad(50, 50, width, height, turn)[None])
    assert quad_angle(ordered)[0] == pytest.approx(angle, abs=1e-6)


@given(rectangles, st.integers(0, 3), st.booleans())
def test_order_does_not_depend_on_the_order_of_corners(
    rectangle: Rectangle,
    shift: int,
    backwards: bool,
) -> None:
    """The same corners in, the same direction of text out, clockwise and in (-90, 90]."""
    corners = quad(*rectangle)
    shuffled = np.roll(corners[::-1] if backwards else corners, shift, axis=0)
    ordered = order_quads(shuffled[None])[0]
    assert sorted(map(tuple, ordered.tolist())) == sorted(map(tuple, corners.tolist()))
    (x1, y1), (x2, y2) = ordered[2] - ordered[0], ordered[3] - ordered[1]
    assert x1 * y2 - y1 * x2 > 0
    assert -90.0 < quad_angle(ordered[None])[0] <= 90.0


@given(rectangles, st.floats(0.5, 2.0), st.floats(0.5, 2.0))
def test_order_holds_after_stretching(rectangle: Rectangle, scale_x: float, scale_y: float) -> None:
    """A stretched rectangle is a parallelogram; it is ordered clockwise from the left end of its text."""
    ordered = order_quads(quad(*rectangle)[None] * (scale_x, scale_y))[0]
    assert quad_area(ordered[None])[0] > 0
    assert ordered[1, 0] + ordered[2, 0] >= ordered[0, 0] + ordered[3, 0] - 1e-6


def test_stretched_line_starts_at_its_left_end() -> None:
    """A tilted line on a map of half the width is read from the same corner as on the photo."""
    corners = quad(100, 60, 120, 14, 25)
    squeezed = order_quads(corners[None] * (0.5, 1.0)) / (0.5, 1.0)
    assert order_quads(squeezed)[0] == pytest.approx(corners)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_displayed_points_land_on_the_stored_pixels(orientation: int) -> None:
    """For each EXIF orientation, the centre of a displayed pixel is the centre of the pixel in the file."""
    stored = np.arange(15, dtype=np.uint8).reshape(3, 5)
    image = Image.fromarray(stored)
    image.getexif()[274] = orientation
    displayed = np.asarray(ImageOps.exif_transpose(image))
    header = ImageHeader("png", 5, 3, orientation)
    assert displayed.shape == (header.height, header.width)
    y, x = np.mgrid[0 : header.height, 0 : header.width]
    points = displayed_to_stored(np.stack([x, y], axis=-1) + 0.5, header)
    column, row = np.floor(points).astype(int).transpose(2, 0, 1)
    assert np.array_equal(stored[row, column], displayed)
    assert np.array_equal(points - (0.5, 0.5), np.stack([column, row], axis=-1))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_displayed_corners_become_stored_corners(orientation: int) -> None:
    """The border of the displayed image is the border of the stored one: the frame is continuous."""
    header = ImageHeader("jpeg", 50, 30, orientation)
    border = np.array([[0, 0], [header.width, header.height]], np.float32)
    assert sorted(displayed_to_stored(border, header)[:, 0].tolist()) == [0.0, 50.0]
    assert sorted(displayed_to_stored(border, header)[:, 1].tolist()) == [0.0, 30.0]
