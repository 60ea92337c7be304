"""Pictures and files that the tests of vision draw for themselves."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from PIL import Image


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
