"""Transparency and depth: what stays visible, and how values become 8 bits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from ocrdet.vision.rgb import convert_image, flatten_alpha, reduce_depth

if TYPE_CHECKING:
    from ocrdet.vision.rgb import Converted


def rgba(colour: int, alpha: int, share: float = 0.2) -> Image.Image:
    """A transparent image, the left part of which has this grey and alpha."""
    pixels = np.zeros((20, 50, 4), np.uint8)
    pixels[:, : int(50 * share)] = (colour, colour, colour, alpha)
    return Image.fromarray(pixels)


def flattened(image: Image.Image) -> Converted:
    """The image on its background."""
    return flatten_alpha(convert_image(image, "RGBA"), image.width, image.height)


@pytest.mark.parametrize(
    ("colour", "alpha", "background"),
    [(0, 255, 255), (90, 255, 255), (255, 255, 0), (215, 255, 0), (0, 30, 255), (255, 30, 0)],
)
def test_ink_stays_visible_on_its_background(colour: int, alpha: int, background: int) -> None:
    """Dark ink is laid on white and bright ink on black, however faint it is."""
    pixels, warnings = flattened(rgba(colour, alpha))
    assert (pixels[:, 25:] == background).all()
    assert abs(int(pixels[0, 0, 0]) - background) >= 29
    assert [warning.code for warning in warnings] == ["alpha_composited"]
    assert ("black" if background == 0 else "white") in warnings[0].detail


def test_a_page_with_some_dark_letters_is_laid_on_white() -> None:
    """Bright paper in a transparent frame does not turn the frame black."""
    image = rgba(250, 255, share=0.5)
    image.paste((0, 0, 0, 255), (5, 5, 15, 10))
    assert (flattened(image)[0][:, 30:] == 255).all()


def test_half_transparent_pixels_are_mixed() -> None:
    """Alpha weighs the ink against its background."""
    pixels, _ = flattened(rgba(0, 128))
    assert pixels[0, 0].tolist() == [127, 127, 127]


def test_an_opaque_alpha_channel_is_nothing_to_warn_of() -> None:
    """Screenshots carry alpha that is 255 everywhere."""
    pixels, warnings = flattened(rgba(7, 255, share=1.0))
    assert (pixels == 7).all()
    assert warnings == ()


def test_a_fully_transparent_image_is_white_and_says_so() -> None:
    """Nothing visible is a blank page."""
    pixels, warnings = flattened(rgba(99, 0))
    assert (pixels == 255).all()
    assert [warning.code for warning in warnings] == ["fully_transparent"]


def test_16_bits_keep_their_upper_byte() -> None:
    """Full-range 16-bit values are scaled, not clipped, and need no warning."""
    values = np.array([[0, 255, 256, 32_768, 65_535]], np.uint16)
    reduced, warnings = reduce_depth(values)
    assert reduced.tolist() == [[0, 0, 1, 128, 255]]
    assert warnings == ()


def test_12_bits_in_16_are_not_black() -> None:
    """Unscaled camera data keep the upper 8 of the bits they use, and a warning says so."""
    reduced, warnings = reduce_depth(np.array([[0, 2048, 4095]], np.uint16))
    assert reduced.tolist() == [[0, 128, 255]]
    assert [warning.code for warning in warnings] == ["depth_reduced"]


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.float32, np.float64])
def test_other_depths_are_stretched(dtype: type[np.generic]) -> None:
    """The smallest value becomes 0 and the largest 255."""
    reduced, warnings = reduce_depth(np.array([[-51, 0, 204]]).astype(dtype))
    assert reduced.tolist() == [[0, 51, 255]]
    assert [warning.code for warning in warnings] == ["depth_reduced"]


def test_what_is_not_finite_does_not_spoil_the_rest() -> None:
    """NaN and minus infinity become black, infinity white."""
    values = np.array([[np.nan, -np.inf, 0.0, 1.0, np.inf]], np.float32)
    assert reduce_depth(values)[0].tolist() == [[0, 0, 0, 255, 255]]


@pytest.mark.parametrize("values", [[np.nan, np.nan], [3.5, 3.5], [-1.7e308, 1.7e308]])
def test_values_without_a_range_raise_nothing(values: list[float]) -> None:
    """All NaN, all equal and the ends of the type still make an image."""
    reduced, _ = reduce_depth(np.array([values]))
    assert reduced.shape == (1, 2)
    assert reduced.dtype == np.uint8
