"""PNG files of every bit depth, colour type and order of rows, written byte by byte."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

import numpy as np

from tests.unit.vision.drawing import png_chunk

if TYPE_CHECKING:
    from numpy.typing import NDArray

_WHOLE = ((0, 0, 1, 1),)
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def write_png(
    samples: NDArray[np.integer], depth: int, colour: int, *, interlaced: bool = False, extra: bytes = b""
) -> bytes:
    """A PNG of (H, W) or (H, W, C) samples of so many bits; `extra` are chunks before the data."""
    height, width = samples.shape[:2]
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, int(interlaced))
    passes = _ADAM7 if interlaced else _WHOLE
    rows = b"".join(
        b"\0" + _pack(row, depth)
        for x, y, step_x, step_y in passes
        for row in samples[y::step_y, x::step_x].reshape(len(samples[y::step_y]), -1)
        if row.size
    )
    chunks = png_chunk(b"IHDR", head) + extra + png_chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + chunks + png_chunk(b"IEND", b"")


def grey_palette(depth: int) -> bytes:
    """A PLTE chunk in which an index stands for the same grey as a sample of that depth."""
    most = (1 << depth) - 1
    return png_chunk(
        b"PLTE", bytes(value for index in range(most + 1) for value in (index * 255 // most,) * 3)
    )


def _pack(row: NDArray[np.integer], depth: int) -> bytes:
    if depth == 16:
        return row.astype(">u2").tobytes()
    bits = row[:, None] >> np.arange(depth - 1, -1, -1) & 1
    return np.packbits(bits.astype(np.uint8).ravel()).tobytes()
