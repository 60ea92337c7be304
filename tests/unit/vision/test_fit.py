"""Fitting: which shape, how much it shrinks, and the way back to the displayed frame."""

from __future__ import annotations

import io
import itertools
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ocrdet.options import Fit
from ocrdet.vision.decode import decode_image, read_header
from ocrdet.vision.fit import NEARLY_BEST, fit_image
from ocrdet.vision.tiles import Shape
from tests.unit.vision.plans import plan, whole_plan

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ocrdet.values import Placement

EXTREMES = [(1, 1), (1, 65_500), (65_500, 1), (4300, 100), (100, 4300), (65_500, 65_500), (2, 3)]

sides = st.integers(1, 65_500)
shape_sides = st.integers(1, 40).map(lambda blocks: 32 * blocks)
shape_sets = st.lists(st.tuples(shape_sides, shape_sides), min_size=1, max_size=6, unique=True)
upscales = st.floats(1.0, 8.0)
modes: st.SearchStrategy[Fit] = st.sampled_from(["auto", "letterbox", "stretch", "tile"])


def centre_of(fitted: NDArray[np.uint8], placement: Placement) -> NDArray[np.float32]:
    """Where the bright spot of a fitted image lies, in pixels of the source."""
    weights = fitted[..., 0].astype(np.float64)
    ys, xs = np.mgrid[: weights.shape[0], : weights.shape[1]] + 0.5
    seen = np.array([(xs * weights).sum(), (ys * weights).sum()]) / weights.sum()
    return placement.to_source(seen.astype(np.float32))


@given(
    width=sides,
    height=sides,
    shapes=shape_sets,
    mode=modes,
    max_upscale=upscales,
    across=st.floats(0, 1),
    down=st.floats(0, 1),
)
def test_the_way_back_inverts_the_placement(
    width: int,
    height: int,
    shapes: list[Shape],
    mode: Fit,
    max_upscale: float,
    across: float,
    down: float,
) -> None:
    """Any point of any image, sent to the model and back, comes within half a pixel, and stays inside."""
    _, placement, _ = plan(width, height, shapes=tuple(shapes), mode=mode, max_upscale=max_upscale)
    there = np.array([across * placement.width, down * placement.height], np.float32)
    back = placement.to_source(there)
    assert abs(back[0] - across * width) <= 0.5
    assert abs(back[1] - down * height) <= 0.5
    assert (back >= 0).all()
    assert (back <= (width, height)).all()


@given(width=sides, height=sides, mode=modes, points=st.lists(st.tuples(*[st.floats(-1e4, 1e4)] * 2)))
def test_no_point_of_the_model_lies_outside_the_image(
    width: int, height: int, mode: Fit, points: list[tuple[float, float]]
) -> None:
    """Regions grow into the padding, and beyond the model's own edges."""
    _, placement, _ = plan(width, height, mode=mode)
    back = placement.to_source(np.array(points, np.float32).reshape(-1, 2))
    assert back.dtype == np.float32
    assert ((back >= 0) & (back <= (width, height))).all()


@given(width=sides, height=sides, shapes=shape_sets, max_upscale=upscales)
def test_letterbox_takes_the_cheapest_shape_that_is_nearly_the_best(
    width: int, height: int, shapes: list[Shape], max_upscale: float
) -> None:
    """No shape shows the image much larger, and none that shows it as large has fewer pixels."""
    shape, _, _ = plan(width, height, shapes=tuple(shapes), max_upscale=max_upscale, mode="letterbox")

    def scale(candidate: Shape) -> float:
        return min(max_upscale, candidate[1] / width, candidate[0] / height)

    assert scale(shape) >= max(map(scale, shapes)) * NEARLY_BEST
    for other in shapes:
        smaller = other[0] * other[1] < shape[0] * shape[1]
        assert not (smaller and scale(other) >= scale(shape))


@given(width=sides, height=sides, shapes=shape_sets, max_upscale=upscales)
def test_letterbox_keeps_the_aspect_ratio_and_caps_the_upscale(
    width: int, height: int, shapes: list[Shape], max_upscale: float
) -> None:
    """Both sides are the same factor of their source, to the nearest pixel, and at least one pixel."""
    shape, placement, _ = plan(width, height, shapes=tuple(shapes), max_upscale=max_upscale, mode="letterbox")
    scale = min(max_upscale, shape[1] / width, shape[0] / height)
    assert placement.width == pytest.approx(max(1.0, width * scale), abs=0.5000001)
    assert placement.height == pytest.approx(max(1.0, height * scale), abs=0.5000001)
    assert 1 <= placement.width <= shape[1]
    assert 1 <= placement.height <= shape[0]


@given(width=sides, height=sides, shapes=shape_sets, mode=modes, max_tiles=st.integers(1, 40))
def test_windows_see_every_pixel_fit_their_shape_and_stay_within_the_limit(
    width: int, height: int, shapes: list[Shape], mode: Fit, max_tiles: int
) -> None:
    """Whatever the image, the model and the limit."""
    made = whole_plan(width, height, shapes=tuple(shapes), mode=mode, max_tiles=max_tiles)
    place, windows = made.placement, made.windows
    assert len(windows) == made.report.tiles <= max_tiles
    assert (made.report.mode == "tile") is (len(windows) > 1)
    for window in windows:
        assert window.left >= 0
        assert window.top >= 0
        assert window.left + window.width <= place.width
        assert window.top + window.height <= place.height
        assert window.width <= made.shape[1]
        assert window.height <= made.shape[0]
    for axis in ("left", "top"):
        side, size = (windows[0].width, place.width) if axis == "left" else (windows[0].height, place.height)
        starts = sorted({getattr(window, axis) for window in windows})
        assert starts[0] == 0
        assert starts[-1] + side == size
        assert all(after - before < side for before, after in itertools.pairwise(starts))


@given(width=sides, height=sides, shapes=shape_sets)
def test_tiles_never_enlarge(width: int, height: int, shapes: list[Shape]) -> None:
    """An image is tiled to be seen as it is, not larger."""
    made = whole_plan(width, height, shapes=tuple(shapes), mode="tile")
    assert made.report.tiles == 1 or made.report.scale <= 1.0


@given(width=sides, height=sides, shapes=shape_sets)
def test_stretch_covers_the_largest_shape_entirely(width: int, height: int, shapes: list[Shape]) -> None:
    """The corners of the shape are the corners of the image."""
    shape, placement, report = plan(width, height, shapes=tuple(shapes), mode="stretch")
    assert shape[0] * shape[1] == max(h * w for h, w in shapes)
    assert (placement.height, placement.width) == shape
    corner = placement.to_source(np.array([shape[1], shape[0]], np.float32))
    np.testing.assert_allclose(corner, (width, height), rtol=1e-6)
    assert report.mode == "stretch"


@pytest.mark.parametrize("mode", ["auto", "stretch"])
@pytest.mark.parametrize(("width", "height"), EXTREMES[:5] + EXTREMES[6:])
def test_extreme_images_are_fitted_like_any_other(width: int, height: int, mode: Fit) -> None:
    """One pixel, one row, one column, 43 to 1: no crash and no empty picture."""
    _, placement, report = plan(width, height, mode=mode)
    fitted = fit_image(np.full((height, width, 3), 77, np.uint8), placement)
    assert fitted.shape == (placement.height, placement.width, 3)
    assert fitted.dtype == np.uint8
    assert (fitted == 77).all()
    assert report.smallest_readable_px >= 1


@pytest.mark.parametrize(
    ("size", "shape", "placed"),
    [
        ((1600, 1200), (608, 800), (600, 800)),
        ((800, 800), (800, 800), (800, 800)),
        ((100, 100), (320, 800), (200, 200)),
        ((1000, 400), (320, 800), (320, 800)),
        ((800, 2400), (800, 320), (800, 267)),
    ],
)
def test_a_page_does_not_pay_for_padding(size: tuple[int, int], shape: Shape, placed: Shape) -> None:
    """The usual formats meet the shape that was made for them."""
    chosen, placement, _ = plan(*size)
    assert (chosen, (placement.height, placement.width)) == (shape, placed)


def test_an_image_that_fits_as_it_is_is_not_resampled() -> None:
    """The very pixels are handed on."""
    pixels = np.zeros((800, 608, 3), np.uint8)
    _, placement, _ = plan(608, 800, max_upscale=1.0)
    assert fit_image(pixels, placement) is pixels


@pytest.mark.parametrize(
    ("width", "height"), [(1600, 1200), (3000, 700), (900, 820), (150, 130), (3507, 2481), (1603, 6211)]
)
@pytest.mark.parametrize("mode", ["letterbox", "stretch"])
def test_what_is_seen_at_a_place_lies_at_that_place(width: int, height: int, mode: Fit) -> None:
    """A drawn spot is back within half a pixel, or a sixth of the model's where one stands for many."""
    pixels = np.zeros((height, width, 3), np.uint8)
    left, top, side = width // 3, height // 2, height // 10
    cv2.rectangle(pixels, (left, top), (left + side - 1, top + side - 1), (255, 255, 255), -1)
    _, placement, _ = plan(width, height, mode=mode)
    back = centre_of(fit_image(pixels, placement), placement)
    for seen_at, drawn_at, scale in zip(
        back, (left + side / 2, top + side / 2), (placement.scale_x, placement.scale_y), strict=True
    ):
        assert abs(seen_at - drawn_at) <= max(0.5, 1 / 6 / scale)


def test_shrinking_far_keeps_thin_strokes() -> None:
    """A line one pixel wide stays visible at a fifth of the size, where ever it lies."""
    for left in range(5):
        pixels = np.full((4000, 4000, 3), 255, np.uint8)
        pixels[:, 2000 + left] = 0
        _, placement, _ = plan(4000, 4000, shapes=((800, 800),))
        # The mean over five pixels would be 204; halving twice and interpolating comes close to it.
        assert fit_image(pixels, placement).min() <= 220


@pytest.mark.parametrize(
    ("size", "mode", "reduction"),
    [
        ((800, 600), "auto", 1),
        ((1599, 1200), "auto", 1),
        ((1600, 1200), "auto", 2),
        ((3300, 2400), "auto", 4),
        ((9000, 9000), "letterbox", 8),
        ((9000, 9000), "auto", 4),
        ((9000, 900), "stretch", 1),
    ],
)
def test_no_more_is_decoded_than_the_plan_needs(size: Shape, mode: Fit, reduction: int) -> None:
    """The largest power of two that leaves at least one decoded pixel for each pixel of the model."""
    assert whole_plan(*size, mode=mode).reduction == reduction


@pytest.mark.parametrize("reduction", [2, 4])
def test_reduced_pixels_are_placed_where_the_whole_ones_would_be(reduction: int) -> None:
    """A spot in an image of odd size, reduced by blocks that hang over its edge, comes back where it was."""
    width, height, left, top, side = 3503, 2607, 2900, 2100, 300
    full = np.zeros((2608, 3504), np.float32)
    full[top : top + side, left : left + side] = 255
    blocks = full.reshape(2608 // reduction, reduction, 3504 // reduction, reduction).mean((1, 3))
    pixels = np.repeat(blocks[..., None], 3, axis=2).astype(np.uint8)
    _, placement, _ = plan(width, height)
    centre = centre_of(fit_image(pixels, placement, reduction=reduction), placement)
    np.testing.assert_allclose(centre, (left + side / 2, top + side / 2), atol=0.5)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_jpeg_of_odd_size_is_placed_where_its_whole_pixels_are(orientation: int) -> None:
    """Blocks that hang over the last column of the file hang over the first one of the picture upright."""
    pixels = np.zeros((1501, 1803, 3), np.uint8)
    pixels[400:700, 600:900] = 255
    exif, file = Image.Exif(), io.BytesIO()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(file, "JPEG", exif=exif)
    header = read_header(file.getvalue())
    made = whole_plan(header.width, header.height, shapes=((200, 200),), mode="letterbox")
    reduced, whole = (decode_image(file.getvalue(), header, reduction=times) for times in (made.reduction, 1))
    assert reduced.reduction == 8
    fitted = fit_image(reduced.pixels, made.placement, reduction=8, overhang=reduced.overhang)
    ys, xs = np.nonzero(whole.pixels[..., 0] > 127)
    expected = (xs.mean() + 0.5, ys.mean() + 0.5)
    np.testing.assert_allclose(centre_of(fitted, made.placement), expected, atol=1 / 6 / made.report.scale)
