"""Regions drawn on a photo, and the files made of it."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Literal

import numpy as np
import pytest
from PIL import Image

from ocrdet.errors import ImageTooLarge
from ocrdet.values import TextRegion
from ocrdet.vision.draw import SCORE_COLOURS, draw_regions, encode_image

if TYPE_CHECKING:
    from numpy.typing import NDArray

QUAD = ((10.0, 20.0), (70.0, 20.0), (70.0, 40.0), (10.0, 40.0))


def white(width: int = 100, height: int = 60) -> NDArray[np.uint8]:
    """An empty page."""
    return np.full((height, width, 3), 255, np.uint8)


@pytest.mark.parametrize(("score", "colour"), [(0.5, 0), (0.6, 1), (0.95, 2)])
def test_the_outline_tells_the_score_by_its_colour(score: float, colour: int) -> None:
    """The edge of a quad has the colour of its score; inside and outside nothing changes."""
    page = white()
    drawn = draw_regions(page, [TextRegion(QUAD, score, 0.0, 0)], line_px=2)
    assert tuple(drawn[39, 40].tolist()) == SCORE_COLOURS[colour][1]
    assert (drawn[24:36, 20:60] == 255).all()
    assert (drawn[46:] == 255).all()
    assert (page == 255).all()


def test_a_dot_marks_where_the_text_begins() -> None:
    """Only the first corner is heavier than the line."""
    ink = draw_regions(white(), [TextRegion(QUAD, 0.9, 0.0, 0)], line_px=1).min(axis=2) < 200
    corners = [ink[y - 4 : y + 4, x - 4 : x + 4].sum() for x, y in ((10, 20), (70, 20), (70, 40), (10, 40))]
    assert corners[0] > max(corners[1:])


def test_an_outline_is_seen_on_its_own_colour() -> None:
    """On a ground of the very blue of good scores, a white seam shows where the line is."""
    ground = np.full((60, 100, 3), SCORE_COLOURS[-1][1], np.uint8)
    drawn = draw_regions(ground, [TextRegion(QUAD, 0.9, 0.0, 0)], line_px=1)
    assert drawn[18:22, 40].min(axis=1).max() > 150
    assert np.array_equal(drawn[24:36, 20:60], ground[24:36, 20:60])


def test_a_polygon_is_drawn_instead_of_the_quad() -> None:
    """Where a region has an outline, the straight edge of the quad stays clean."""
    triangle = ((10.0, 20.0), (70.0, 20.0), (40.0, 50.0))
    drawn = draw_regions(white(), [TextRegion(QUAD, 0.9, 0.0, 0, triangle)], line_px=1)
    assert (drawn[30, 70] == 255).all()
    assert (drawn[49, 38:42] < 255).any()


def test_lines_grow_with_the_photo_and_may_leave_it() -> None:
    """A photo of 4,000 pixels gets lines of five; regions on the border are no error."""
    border = ((0.0, 0.0), (4000.0, 0.0), (4000.0, 30.0), (0.0, 30.0))
    drawn = draw_regions(white(4000, 40), [TextRegion(border, 0.9, 0.0, 0)])
    assert 5 <= (drawn[20:, 2000, 0] < 128).sum() <= 8


def test_no_regions_leave_an_equal_copy() -> None:
    """The answer is a new array even without anything to draw."""
    page = white()
    drawn = draw_regions(page, [])
    assert np.array_equal(drawn, page)
    assert drawn is not page


@pytest.mark.parametrize("image_format", ["png", "jpeg"])
def test_a_file_shows_the_same_colours(image_format: Literal["png", "jpeg"]) -> None:
    """Red stays red: files are made of RGB, whatever the library behind thinks."""
    pixels = np.zeros((16, 24, 3), np.uint8)
    pixels[..., 0] = 200
    image = Image.open(io.BytesIO(encode_image(pixels, image_format)))
    assert image.format == image_format.upper()
    assert image.size == (24, 16)
    assert np.abs(np.asarray(image.convert("RGB")).astype(int) - pixels).max() <= (
        0 if image_format == "png" else 4
    )


def test_a_side_too_long_for_jpeg_is_refused_with_the_remedy() -> None:
    """JPEG ends at 65,535 pixels; PNG does not."""
    strip = np.zeros((1, 65_536, 3), np.uint8)
    with pytest.raises(ImageTooLarge, match="PNG"):
        encode_image(strip, "jpeg")
    assert encode_image(strip, "png").startswith(b"\x89PNG")
