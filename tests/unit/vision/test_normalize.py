"""Normalisation: the affine map per channel, the colour order, and black around the image."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest

from ocrdet.vision.normalize import Layout, Normalization, make_tensors, normalize_into, place_pixels
from ocrdet.vision.tiles import Window

RNG = np.random.default_rng(3)
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
GAIN = (1 / 255 / STD[0], 1 / 255 / STD[1], 1 / 255 / STD[2])
OFFSET = (-MEAN[0] / STD[0], -MEAN[1] / STD[1], -MEAN[2] / STD[2])
Color = Literal["RGB", "BGR"]


def make(color: Color = "RGB", layout: Layout = "NCHW") -> Normalization:
    """The map that divides by 255 and then takes mean and deviation off."""
    return Normalization(color, layout, GAIN, OFFSET)


def make_pixels(height: int, width: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Noise of all grey levels."""
    return RNG.integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize("color", ["RGB", "BGR"])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-6), (np.float16, 4e-3)])
def test_every_value_is_scaled_shifted_and_put_in_its_channel(
    color: Color, layout: Layout, dtype: type[np.float16 | np.float32], tolerance: float
) -> None:
    """The numbers of mean and deviation are in the order of the model's own channels."""
    pixels = make_pixels(40, 60)
    tensor = np.full((1, 3, 64, 96) if layout == "NCHW" else (1, 64, 96, 3), np.nan, dtype)
    normalize_into(pixels, make(color, layout), tensor)
    ordered = pixels[..., ::-1] if color == "BGR" else pixels
    padded = np.zeros((64, 96, 3))
    padded[:40, :60] = ordered
    expected = (padded / 255 - MEAN) / STD
    seen = np.moveaxis(tensor[0], 0, 2) if layout == "NCHW" else tensor[0]
    np.testing.assert_allclose(seen.astype(np.float64), expected, atol=tolerance)


def test_padding_is_exactly_what_black_becomes() -> None:
    """A black image and its padding cannot be told apart."""
    tensor = np.empty((1, 3, 64, 64), np.float32)
    normalize_into(np.zeros((20, 30, 3), np.uint8), make(), tensor)
    for plane in tensor[0]:
        assert len(np.unique(plane)) == 1


def test_a_reused_tensor_keeps_nothing_of_the_image_before() -> None:
    """A small image after a large one, in the same memory."""
    reused, fresh = np.empty((1, 3, 64, 64), np.float32), np.zeros((1, 3, 64, 64), np.float32)
    normalize_into(make_pixels(64, 64), make(), reused)
    small = make_pixels(10, 64)
    normalize_into(small, make(), reused)
    normalize_into(small, make(), fresh)
    np.testing.assert_array_equal(reused, fresh)


def test_pixels_may_be_a_view_of_a_turned_image() -> None:
    """EXIF turns leave views with negative strides."""
    pixels = make_pixels(30, 50)
    turned = np.rot90(pixels, 3)[:, ::-1]
    view, copy = np.empty((1, 3, 64, 64), np.float32), np.empty((1, 3, 64, 64), np.float32)
    normalize_into(turned, make(), view)
    normalize_into(np.ascontiguousarray(turned), make(), copy)
    np.testing.assert_array_equal(view, copy)


def test_one_pixel_is_an_image() -> None:
    """All the rest is padding."""
    tensor = np.empty((1, 3, 32, 32), np.float32)
    normalize_into(np.full((1, 1, 3), 255, np.uint8), make(), tensor)
    assert (tensor[0, :, 0, 0] > tensor[0, :, 0, 1]).all()
    assert len(np.unique(tensor[0, 0])) == 2


def test_pixels_are_placed_as_they_are_with_black_around_them() -> None:
    """For a graph that normalises by itself: black becomes there what padding is here."""
    pixels = make_pixels(40, 60)
    tensor = np.full((1, 64, 96, 3), 99, np.uint8)
    place_pixels(pixels, tensor)
    np.testing.assert_array_equal(tensor[0, :40, :60], pixels)
    assert not tensor[0, 40:].any()
    assert not tensor[0, :, 60:].any()


def test_placed_pixels_may_fill_the_tensor_and_be_turned() -> None:
    """Nothing is left to be black, and negative strides are none of the graph's business."""
    turned = np.rot90(make_pixels(32, 64), 3)[:, ::-1]
    tensor = np.empty((1, 64, 32, 3), np.uint8)
    place_pixels(turned, tensor)
    np.testing.assert_array_equal(tensor[0], turned)


@pytest.mark.parametrize("inside", [False, True], ids=["by the host", "in the graph"])
def test_each_window_gets_its_tensor_when_it_is_asked_for(inside: bool) -> None:
    """So that the memory of a lone pass can be used again; whoever normalises."""
    pixels, windows = make_pixels(40, 90), [Window(0, 0, 32, 40), Window(58, 8, 32, 32)]
    taken: list[np.ndarray[tuple[int, ...], np.dtype[np.generic]]] = []

    def new_tensor() -> np.ndarray[tuple[int, ...], np.dtype[np.generic]]:
        taken.append(np.empty((1, 64, 32, 3), np.uint8) if inside else np.empty((1, 3, 64, 32), np.float32))
        return taken[-1]

    tensors = make_tensors(pixels, windows, None if inside else make(), new_tensor)
    for number, window in enumerate(windows, 1):
        tensor = next(tensors)
        assert len(taken) == number
        assert tensor is taken[-1]
        expected = np.empty_like(tensor)
        if inside:
            place_pixels(pixels[window.area], expected)
        else:
            normalize_into(pixels[window.area], make(), expected)
        np.testing.assert_array_equal(tensor, expected)
    assert next(tensors, None) is None
