"""Regions drawn on the photo, for people who review them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import cv2
import numpy as np

from ocrdet.errors import ImageTooLarge

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from ocrdet.values import Point, TextRegion

    Colour = tuple[int, int, int]
    Points = Sequence[Point] | NDArray[np.float64]

# From the palette of Okabe and Ito, which colour-blind eyes tell apart: RGB of scores up to each bound.
SCORE_COLOURS = ((0.5, (213, 94, 0)), (0.7, (230, 159, 0)), (1.0, (0, 114, 178)))
WHITE = (255, 255, 255)
JPEG_QUALITY = 92
JPEG_MAX_SIDE_PX = 65_535

# Lines any thicker hide the strokes of dense text.
PX_PER_LINE_PX = 1200
# Corners are drawn at 1/16 of a pixel.
_SHIFT = 4


def draw_regions(
    pixels: NDArray[np.uint8], regions: Iterable[TextRegion], *, line_px: int | None = None
) -> NDArray[np.uint8]:
    """The photo with an outline around each region: its polygon where it has one, else its quad.

    The colour tells the score (vermilion to 0.5, orange to 0.7, then blue) and a dot marks where the text
    begins. Numbers are left out: on a dense page they would cover what is to be reviewed.

    Args:
        pixels: (H, W, 3) uint8 RGB, as displayed; left as it is.
        regions: Regions with points in the same frame.
        line_px: Width of the lines in pixels; by default 1 for each 1200 pixels of the longer side.

    Returns:
        (H, W, 3) uint8 RGB, a new array.
    """
    width = _line_px(pixels, line_px)
    coloured = [(region.polygon or region.quad, _colour(region.score)) for region in regions]
    drawn = draw_outlines(pixels, coloured, line_px=width)
    for outline, colour in coloured:
        first = _subpixels(outline[:1])[0].tolist()
        cv2.circle(drawn, first, (width + 1) << _SHIFT, colour, cv2.FILLED, cv2.LINE_AA, _SHIFT)
    return drawn


def draw_outlines(
    pixels: NDArray[np.uint8], outlines: Sequence[tuple[Points, Colour]], *, line_px: int | None = None
) -> NDArray[np.uint8]:
    """The photo with closed outlines, the later ones above the earlier.

    Args:
        pixels: (H, W, 3) uint8 RGB; left as it is.
        outlines: Points in the frame of the pixels, and a colour, each.
        line_px: Width of the lines in pixels; by default 1 for each 1200 pixels of the longer side.

    Returns:
        (H, W, 3) uint8 RGB, a new array.
    """
    drawn = np.array(pixels, order="C")
    width = _line_px(pixels, line_px)
    lines = [_subpixels(points) for points, _ in outlines]
    # A white seam keeps blue visible on blue, on the outer side alone: inside it would cover the text.
    cv2.polylines(drawn, lines, True, WHITE, width + 2, cv2.LINE_AA, _SHIFT)
    inside = np.zeros(drawn.shape[:2], np.uint8)
    for line in lines:
        cv2.fillPoly(inside, [line], 1, cv2.LINE_8, _SHIFT)
    cv2.copyTo(pixels, inside, drawn)
    for line, (_, colour) in zip(lines, outlines, strict=True):
        cv2.polylines(drawn, [line], True, colour, width, cv2.LINE_AA, _SHIFT)
    return drawn


def encode_image(pixels: NDArray[np.uint8], image_format: Literal["png", "jpeg"]) -> bytes:
    """The bytes of a PNG or JPEG file.

    Args:
        pixels: (H, W, 3) uint8 RGB.
        image_format: png (lossless) or jpeg (quality 92).

    Returns:
        The whole file.

    Raises:
        ImageTooLarge: JPEG cannot hold a side this long.
    """
    side = max(pixels.shape[:2])
    if image_format == "jpeg" and side > JPEG_MAX_SIDE_PX:
        raise ImageTooLarge(
            f"JPEG holds at most {JPEG_MAX_SIDE_PX} pixels a side and this image has {side}: ask for PNG.",
            side_px=side,
            limit_px=JPEG_MAX_SIDE_PX,
        )
    options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY] if image_format == "jpeg" else []
    _, encoded = cv2.imencode(f".{image_format}", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), options)
    return encoded.tobytes()


def _line_px(pixels: NDArray[np.uint8], line_px: int | None) -> int:
    return max(1, round(max(pixels.shape[:2]) / PX_PER_LINE_PX)) if line_px is None else line_px


def _colour(score: float) -> Colour:
    return next((colour for bound, colour in SCORE_COLOURS if score <= bound), SCORE_COLOURS[-1][1])


def _subpixels(points: Points) -> NDArray[np.int32]:
    """Continuous points as OpenCV draws them: pixel centres are whole numbers there, in 1/16 of a pixel."""
    return np.round((np.asarray(points) - 0.5) * (1 << _SHIFT)).astype(np.int32)
