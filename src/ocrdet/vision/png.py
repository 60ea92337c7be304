"""A PNG's structure: its header, whether it is whole, and the part of it that a decoder needs."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

from ocrdet.errors import CorruptImage, TruncatedImage
from ocrdet.values import ImageHeader
from ocrdet.vision.tiff import exif_orientation

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAX_CHUNKS = 65_536  # libpng cuts 20 MiB into 2,560 chunks; no honest file comes near

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_MODES = {  # (colour type, bit depth): all that the standard knows
    **{(0, depth): "L" for depth in (2, 4, 8)},
    **{(3, depth): "P" for depth in (1, 2, 4, 8)},
    (0, 1): "1",
    (0, 16): "I;16",
    (2, 8): "RGB",
    (2, 16): "RGB;16",
    (4, 8): "LA",
    (4, 16): "LA;16",
    (6, 8): "RGBA",
    (6, 16): "RGBA;16",
}
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type
_PIECE_BYTES = 1 << 16
_NEEDED = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})
# The same where a tRNS chunk makes a colour or some of the palette transparent.
_PNG_KEYED_MODES = {"1": "LA", "L": "LA", "P": "PA", "RGB": "RGBA", "I;16": "LA;16", "RGB;16": "RGBA;16"}


def read_png(data: bytes) -> ImageHeader:
    """The header of a PNG; an "A" in `mode` also stands for a transparent colour, `frames` is 2 for an APNG.

    Raises:
        CorruptImage: The signature or the first chunk is damaged, or there is no picture.
    """
    if data[:8] != _PNG_SIGNATURE[: len(data)]:
        raise CorruptImage("The PNG's signature is damaged, as by a text-mode transfer; send it as binary.")
    length, kind, width, height, depth, colour = struct.unpack_from(">I4sIIBB", data, 8)
    mode = _PNG_MODES.get((colour, depth))
    if (length, kind) != (13, b"IHDR") or mode is None:
        raise CorruptImage("The PNG's first chunk is no valid IHDR; export it again.")
    chunks: dict[bytes, tuple[int, int]] = {}
    for kind, start, end in _png_chunks(data):
        if kind != b"fcTL" or b"IDAT" not in chunks:
            chunks.setdefault(kind, (start, end))
    if b"IDAT" not in chunks:
        raise CorruptImage("The PNG holds no picture data; export it again.")
    # A frame control before the data makes the still picture a frame of the animation, not one more image.
    frames, exif = (data[slice(*chunks.get(kind, (0, 0)))] for kind in (b"acTL", b"eXIf"))
    images = int.from_bytes(frames[:4]) + (b"fcTL" not in chunks)
    return ImageHeader(
        "png",
        width,
        height,
        exif_orientation(exif),
        _PNG_KEYED_MODES.get(mode, mode) if b"tRNS" in chunks else mode,
        min(max(images, 1), 2),
    )


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start and end of the payload of each chunk, up to and with the end chunk.

    Some encoders write eXIf behind the data, so all chunks are walked; a file cut in its data just ends.

    Raises:
        CorruptImage: Too many chunks.
    """
    position, in_data = 8, False
    for _ in range(_MAX_CHUNKS):
        if in_data and position + 8 > len(data):
            return
        length, kind = struct.unpack_from(">I4s", data, position)
        start, position = position + 8, position + 12 + length
        in_data = in_data or kind == b"IDAT"
        yield kind, start, start + length
        if kind == b"IEND":
            return
    raise CorruptImage(f"The PNG has more than {_MAX_CHUNKS} chunks; export it again.")


def require_whole_png(data: bytes) -> None:
    """Refuse a PNG that ends early.

    Raises:
        TruncatedImage: No whole chain of chunks up to IEND.
    """
    if not any(kind == b"IEND" for kind, _, _ in _png_chunks(data)):
        raise TruncatedImage("The PNG ends before its IEND chunk; upload the whole file.")


def strip_png(data: bytes) -> bytes:
    """The first picture of a whole PNG alone: no metadata, which can unpack to gigabytes, no animation.

    Raises:
        CorruptImage: A checksum is wrong; Pillow does not look at those of the pixels.
    """
    view = memoryview(data)
    kept = [view[:8]]
    for kind, start, end in _png_chunks(data):
        if kind in _NEEDED:
            if zlib.crc32(view[start - 4 : end]) != int.from_bytes(view[end : end + 4]):
                raise CorruptImage("The PNG's data are damaged (wrong checksum); export it again.")
            kept.append(view[start - 8 : end + 4])
    return b"".join(kept)


def crop_png(data: bytes, header: ImageHeader) -> bytes | None:
    """A PNG that ends early as a whole one of the rows that are there; None if no row is.

    An interlaced PNG has its rows scattered over the file, and gives none.
    """
    depth, colour, interlaced = data[24], data[25], data[28]
    row_bytes = 1 + (header.stored_width * depth * _SAMPLES[colour] + 7) // 8
    view = memoryview(data)
    pixels = [view[start:end] for kind, start, end in _png_chunks(data) if kind == b"IDAT"]
    rows = min(_inflated_bytes(pixels, row_bytes * header.stored_height) // row_bytes, header.stored_height)
    if interlaced or not rows:
        return None
    chunks = [_chunk(b"IHDR", data[16:20] + struct.pack(">I", rows) + data[24:29])]
    for kind, start, end in _png_chunks(data):
        if kind in {b"PLTE", b"tRNS"}:
            chunks.append(_chunk(kind, data[start:end]))
    return b"".join((_PNG_SIGNATURE, *chunks, _chunk(b"IDAT", b"".join(pixels)), _chunk(b"IEND", b"")))


def _inflated_bytes(payloads: list[memoryview], most: int) -> int:
    """How many bytes a cut stream unpacks to, counted in pieces; nothing is counted behind `most`."""
    inflater, size = zlib.decompressobj(), 0
    try:
        for payload in payloads:
            rest: bytes | memoryview = payload
            while rest and size < most and not inflater.eof:
                size += len(inflater.decompress(rest, _PIECE_BYTES))
                rest = inflater.unconsumed_tail
    except zlib.error:  # what came before the damage counts
        pass
    return size


def _chunk(kind: bytes, payload: bytes) -> bytes:
    body = kind + payload
    return struct.pack(">I", len(payload)) + body + struct.pack(">I", zlib.crc32(body))
