"""Pictures and files that the tests of vision draw for themselves."""

from __future__ import annotations

import io
import struct
import zlib
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from numpy.typing import NDArray


def picture(width: int = 60, height: int = 40) -> Image.Image:
    """Smooth colours in which no mirror image or turn looks like another."""
    y, x = np.mgrid[0:height, 0:width]
    return Image.fromarray(np.stack([x * 4, y * 5, (x + 3 * y) % 256], axis=2).astype(np.uint8))


def save(image: Image.Image, name: str, **options: object) -> bytes:
    """The image as a file of that format, lossless where the format can be."""
    stream = io.BytesIO()
    if name in {"webp", "jpeg"}:
        options = {"lossless": True, "quality": 95, "subsampling": 0} | options
    image.save(stream, name, **options)
    return stream.getvalue()


def exif(orientation: int) -> bytes:
    """An EXIF block that holds nothing but an orientation."""
    block = Image.Exif()
    block[274] = orientation
    return block.tobytes()


def png_chunk(kind: bytes, payload: bytes) -> bytes:
    """A PNG chunk with its checksum."""
    return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))


def turned_back(upright: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """The pixels as a camera held that way would have stored them."""
    turns = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.swapaxes(0, 1),
        6: upright[:, ::-1].swapaxes(0, 1),
        7: upright[::-1, ::-1].swapaxes(0, 1),
        8: upright[::-1].swapaxes(0, 1),
    }
    return np.ascontiguousarray(turns[orientation])
