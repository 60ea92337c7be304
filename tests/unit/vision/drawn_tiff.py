"""TIFF and BMP files of every layout, written byte by byte: no library writes them all."""

from __future__ import annotations

import itertools
import struct
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_TYPES = {3: "H", 4: "I", 16: "Q"}


def write_tiff(
    parts: Sequence[bytes],
    size: tuple[int, int],
    *,
    bits: Sequence[int] = (8,),
    order: str = "<",
    big: bool = False,
    **tags: Any,  # noqa: ANN401 - a number or several
) -> bytes:
    """A TIFF of given strips, or tiles where a tile size is among the tags.

    Args:
        parts: The strips or tiles, as they lie in the file.
        size: Width and height.
        bits: Of each sample.
        order: Byte order, as for struct.
        big: Write a BigTIFF.
        **tags: `t262=2` sets tag 262.
    """
    given = {int(name[1:]): value for name, value in tags.items()}
    places = (324, 325) if 322 in given else (273, 279)
    head = 16 if big else 8
    starts = list(itertools.accumulate((len(part) for part in parts[:-1]), initial=head))
    values: dict[int, Sequence[int] | int] = {
        256: size[0],
        257: size[1],
        258: bits,
        259: 1,
        262: 1,
        277: len(bits),
        **({} if 322 in given else {278: size[1]}),
        places[0]: starts,
        places[1]: [len(part) for part in parts],
        **given,
    }
    return (
        _header(order, head + sum(map(len, parts)), big=big)
        + b"".join(parts)
        + _directory(values, head + sum(map(len, parts)), order, big=big)
    )


def _header(order: str, directory: int, *, big: bool) -> bytes:
    mark = b"II" if order == "<" else b"MM"
    if big:
        return mark + struct.pack(order + "HHHQ", 43, 8, 0, directory)
    return mark + struct.pack(order + "HI", 42, directory)


def _directory(values: dict[int, Sequence[int] | int], start: int, order: str, *, big: bool) -> bytes:
    count_code, offset_code, room = ("Q", "Q", 8) if big else ("H", "I", 4)
    entry_bytes = 4 + 2 * room
    far = start + struct.calcsize(order + count_code) + entry_bytes * len(values) + room
    entries, extra = b"", b""
    for tag, value in sorted(values.items()):
        row = [value] if isinstance(value, int) else list(value)
        kind = 4 if tag in {273, 279, 324, 325} else 3
        content = struct.pack(f"{order}{len(row)}{_TYPES[kind]}", *row)
        if len(content) > room:
            content, extra = struct.pack(order + offset_code, far + len(extra)), extra + content
        entries += struct.pack(f"{order}HH{offset_code}", tag, kind, len(row)) + content.ljust(room, b"\0")
    return struct.pack(order + count_code, len(values)) + entries + bytes(room) + extra


def tiles_of(pixels: NDArray[np.uint8], side: int) -> list[bytes]:
    """The tiles of an image, padded with zeros at the edges."""
    height, width = (-(-length // side) * side for length in pixels.shape[:2])
    padded = np.zeros((height, width, *pixels.shape[2:]), np.uint8)
    padded[: pixels.shape[0], : pixels.shape[1]] = pixels
    return [
        padded[y : y + side, x : x + side].tobytes()
        for y in range(0, height, side)
        for x in range(0, width, side)
    ]


def write_bmp(
    rows: bytes,
    size: tuple[int, int],
    bits: int,
    *,
    packing: int = 0,
    palette: bytes = b"",
    masks: Sequence[int] = (),
    header_bytes: int = 40,
) -> bytes:
    """A BMP of given rows.

    Args:
        rows: As they lie in the file, the last row first, each padded to four bytes.
        size: Width and height; a negative height is top-down.
        bits: Of a pixel.
        packing: 0 none, 1 RLE8, 2 RLE4, 3 bit fields.
        palette: Four bytes for each colour (three in OS/2's).
        masks: Of red, green, blue and alpha.
        header_bytes: 12 is OS/2's, 40 plain, 108 and 124 the later ones.
    """
    fields = struct.pack(f"<{len(masks)}I", *masks)
    if header_bytes == 12:
        head = struct.pack("<IHHHH", 12, *size, 1, bits)
    else:
        head = struct.pack("<IiiHHIIiiII", 40, *size, 1, bits, packing, len(rows), 0, 0, len(palette) // 4, 0)
        if header_bytes > 40:
            head = (struct.pack("<I", header_bytes) + head[4:] + fields).ljust(header_bytes, b"\0")
        else:
            head += fields
    start = 14 + len(head) + len(palette)
    return struct.pack("<2sIHHI", b"BM", start + len(rows), 0, 0, start) + head + palette + rows
