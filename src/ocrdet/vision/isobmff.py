"""The boxes of which AVIF, HEIF and JPEG 2000 files are made (ISO 14496-12, 4.2)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from ocrdet.errors import CorruptImage

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAX_BOXES = 4096  # at one level; a grid of 256 tiles has some 600 items and properties


def read_boxes(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start and end of the content of each box; the last may end behind the bytes.

    Raises:
        CorruptImage: Too many boxes, or one that is smaller than its own head.
    """
    for _ in range(_MAX_BOXES):
        if start + 8 > end:
            return
        size, kind = struct.unpack_from(">I4s", data, start)
        head = 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, start + 8)
            head = 16
        elif size == 0:  # to the end of the file
            size = end - start
        if size < head:
            raise CorruptImage("A box of the file is smaller than its own head; export it again.")
        yield kind, start + head, start + size
        start += size
    raise CorruptImage(f"The file has more than {_MAX_BOXES} boxes; export it again.")
