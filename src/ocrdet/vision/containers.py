"""What a WebP, a BMP or a GIF says of its image, read from its structure without decoding a pixel.

Here and in `jpeg`, `png`, `tiff`, `avif` and `jpeg2000`, each reader is given bytes that already carry the
format's signature. Readers look at a bounded number of segments, so that a hostile file cannot keep them
busy. Where the bytes end too early they raise what indexing and struct raise, which `ocrdet.vision.header`
turns into TruncatedImage.
"""

from __future__ import annotations

import struct

from ocrdet.errors import CorruptImage, TruncatedImage
from ocrdet.values import ImageHeader
from ocrdet.vision.tiff import exif_orientation

SUPPORTED_FORMATS: tuple[str, ...] = ("jpeg", "png", "webp", "bmp", "tiff", "gif", "avif", "jpeg2000")

_MAX_CHUNKS = 65_536
_MAX_GIF_BLOCKS = 65_536  # of at most 255 bytes each: 16 MiB

_BMP_PLAIN, _BMP_BITFIELDS = 0, 3
_BMP_RUNS = frozenset({1, 2})
_GIF_IMAGE, _GIF_EXTENSION, _GIF_TRAILER = 0x2C, 0x21, 0x3B


def read_webp(data: bytes) -> ImageHeader:
    """The header of a WebP; `frames` is 2 for an animation.

    Raises:
        CorruptImage: The first chunk is none that opens a WebP.
    """
    kind = data[12:16]
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return ImageHeader("webp", width & 0x3FFF, height & 0x3FFF)
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        mode = "RGBA" if bits >> 28 & 1 else "RGB"
        return ImageHeader("webp", (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, mode=mode)
    if kind != b"VP8X":
        raise CorruptImage("The WebP's first chunk holds no picture; export it again.")
    flags, low_width, high_width, low_height, high_height = struct.unpack_from("<B3xHBHB", data, 20)
    return ImageHeader(
        "webp",
        (high_width << 16 | low_width) + 1,
        (high_height << 16 | low_height) + 1,
        _webp_orientation(data) if flags & 0x08 else 1,
        "RGBA" if flags & 0x10 else "RGB",
        2 if flags & 0x02 else 1,
    )


def _webp_orientation(data: bytes) -> int:
    """The orientation of the EXIF chunk, which lies behind the picture: a cut file may have lost it."""
    position = 12
    for _ in range(_MAX_CHUNKS):
        if position + 8 > len(data):
            break
        kind, length = struct.unpack_from("<4sI", data, position)
        position += 8
        if kind == b"EXIF":
            return exif_orientation(data[position : position + length])
        position += length + length % 2
    return 1


def require_whole_webp(data: bytes) -> None:
    """Refuse a WebP that ends early.

    Raises:
        TruncatedImage: Fewer bytes than its header announces.
    """
    announced = int.from_bytes(data[4:8], "little") + 8
    if len(data) < announced:
        raise TruncatedImage(f"The WebP has {len(data)} of its {announced} bytes; upload the whole file.")


def read_bmp(data: bytes) -> ImageHeader:
    """The header of a BMP, top-down or bottom-up, Windows or OS/2."""
    if data[14:18] == b"\x0c\0\0\0":
        width, height, bits = struct.unpack_from("<HH2xH", data, 18)
    else:
        width, height, bits = struct.unpack_from("<ii2xH", data, 18)
    return ImageHeader("bmp", abs(width), abs(height), mode="P" if bits <= 8 else "RGB")


def crop_bmp(data: bytes) -> bytes | None:
    """A BMP that ends early as a whole one of the rows that are there; None if none is, or it is packed."""
    pixels_at, size = struct.unpack_from("<II", data, 10)
    code, at = ("<HH", 18) if size == 12 else ("<ii", 18)
    width, height = struct.unpack_from(code, data, at)
    bits, packing = (data[24], 0) if size == 12 else struct.unpack_from("<HI", data, 28)
    row_bytes = (width * bits + 31) // 32 * 4
    rows = min((len(data) - pixels_at) // row_bytes, abs(height)) if row_bytes else 0
    if packing not in {_BMP_PLAIN, _BMP_BITFIELDS} or rows <= 0:
        return None
    patched = bytearray(data)
    struct.pack_into(code, patched, at, width, -rows if height < 0 else rows)
    return bytes(patched)


def is_packed(data: bytes) -> bool:
    """Whether the rows of a BMP are runs of pixels (RLE)."""
    return data[14] >= 40 and data[30] in _BMP_RUNS


def is_bottom_up(data: bytes) -> bool:
    """Whether a BMP begins with its last row."""
    return data[14] == 12 or int.from_bytes(data[22:26], "little", signed=True) > 0


def read_gif(data: bytes) -> ImageHeader:
    """The header of a GIF; `frames` is 2 where a second image follows within the first 16 MiB.

    A first image that reaches beyond the logical screen widens it.

    Raises:
        CorruptImage: There is no image in it.
    """
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    position, budget = _next_gif_image(data, 13 + _gif_palette_bytes(flags), _MAX_GIF_BLOCKS)
    if data[position] != _GIF_IMAGE:
        raise CorruptImage("The GIF holds no image; export it again.")
    left, top, image_width, image_height, flags = struct.unpack_from("<HHHHB", data, position + 1)
    position, budget = _skip_gif_blocks(data, position + 11 + _gif_palette_bytes(flags), budget)
    position, _ = _next_gif_image(data, position, budget)
    return ImageHeader(
        "gif",
        max(width, left + image_width),
        max(height, top + image_height),
        mode="P",
        frames=2 if position < len(data) and data[position] == _GIF_IMAGE else 1,
    )


def complete_gif(data: bytes, pixels: int) -> bytes:
    """A GIF that ends early with codes of zero for what is missing: the first colour of its palette."""
    position, budget = _next_gif_image(data, 13 + _gif_palette_bytes(data[10]), _MAX_GIF_BLOCKS)
    end, _ = _skip_gif_blocks(data, position + 11 + _gif_palette_bytes(data[position + 9]), budget)
    block = b"\xff" + bytes(255)
    # A code has 12 bits at most, and each is a pixel or more.
    return data + bytes(max(0, end - len(data))) + block * (pixels * 3 // 2 // 255 + 1) + b"\0;"


def _gif_palette_bytes(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _next_gif_image(data: bytes, position: int, budget: int) -> tuple[int, int]:
    """Position of the next image or trailer, the end if there is neither, and the blocks still allowed."""
    while budget > 0 and position < len(data):
        if data[position] in {_GIF_IMAGE, _GIF_TRAILER}:
            return position, budget
        if data[position] == _GIF_EXTENSION:
            position, budget = _skip_gif_blocks(data, position + 2, budget)
        else:  # stray bytes between blocks are common, and every viewer skips them
            position, budget = position + 1, budget - 1
    return len(data), budget


def _skip_gif_blocks(data: bytes, position: int, budget: int) -> tuple[int, int]:
    """Position behind a chain of sub-blocks, and the blocks still allowed."""
    while budget > 0 and position < len(data):
        size = data[position]
        position, budget = position + 1 + size, budget - 1
        if size == 0:
            break
    return position, budget
