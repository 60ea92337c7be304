"""The part of an image that is there where its file ends early."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ocrdet.values import DetectionWarning
from ocrdet.vision.containers import complete_gif, crop_bmp, is_bottom_up
from ocrdet.vision.header import read_header
from ocrdet.vision.jpeg import complete_jpeg
from ocrdet.vision.png import crop_png
from ocrdet.vision.tiff import crop_tiff

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ocrdet.values import ImageHeader

PARTIAL_FORMATS = frozenset({"jpeg", "png", "gif", "bmp", "tiff"})
# What libjpeg makes of blocks that are not there.
_GREY = 128


@dataclass(frozen=True, slots=True)
class Part:
    """A whole file made of one that ends early.

    Attributes:
        data: The file.
        header: What it says of itself: as high as the rows that are there.
        first_row: Row of the image, as stored, at which it begins.
        filled: How what is missing inside these rows looks.
    """

    data: bytes
    header: ImageHeader
    first_row: int = 0
    filled: str = ""


def take_part(data: bytes, header: ImageHeader) -> Part | None:
    """A file of the rows that are there; None where the format gives none.

    Args:
        data: A file that ends early.
        header: What it says of itself.
    """
    if header.format == "jpeg":
        return Part(complete_jpeg(data), header, filled="blurred or evenly grey")
    if header.format == "gif":
        filled = "like the first colour of its palette"
        return Part(complete_gif(data, header.pixels), replace(header, frames=1), filled=filled)
    cropped = _crop(data, header)
    if cropped is None:
        return None
    rows = read_header(cropped).stored_height
    bottom_up = header.format == "bmp" and is_bottom_up(data)
    shorter = replace(header, stored_height=rows, orientation=1, frames=1)
    return Part(cropped, shorter, header.stored_height - rows if bottom_up else 0)


def lay_part(
    pixels: NDArray[np.uint8], part: Part, header: ImageHeader, reduction: int
) -> tuple[NDArray[np.uint8], DetectionWarning]:
    """The whole image, white where nothing is, and a warning that says how much of it that is.

    Args:
        pixels: (rows, W, 3) uint8 RGB of the part, not turned.
        part: Where it lies.
        header: What the file says of the whole.
        reduction: Source pixels, in each direction, that one pixel stands for.
    """
    height = -(-header.stored_height // reduction)
    there = len(pixels)
    if header.format == "jpeg":
        while there and (pixels[there - 1] == _GREY).all():
            there -= 1
        pixels[there:] = 255
    elif there < height:
        canvas = np.full((height, *pixels.shape[1:]), 255, np.uint8)
        canvas[part.first_row : part.first_row + there] = pixels
        pixels = canvas
    detail = "The file ends early."
    if there < height:
        detail += f" {1 - there / height:.0%} of its rows are missing and were left white."
    if part.filled:
        detail += f" What else is missing looks {part.filled}."
    return pixels, DetectionWarning("truncated_image", detail)


def _crop(data: bytes, header: ImageHeader) -> bytes | None:
    if header.format == "png":
        return crop_png(data, header)
    if header.format == "tiff":
        return crop_tiff(data, header)
    return crop_bmp(data) if header.format == "bmp" else None
