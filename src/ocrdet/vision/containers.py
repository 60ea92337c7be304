"""What each container says of its image, read from its structure without decoding a pixel.

One reader per format, each given bytes that already carry the format's signature. Readers look at a bounded
number of segments, so that a hostile file cannot keep them busy. Where the bytes end too early they raise
what indexing and struct raise, which `ocrdet.vision.header` turns into TruncatedImage.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from ocrdet.errors import CorruptImage, TruncatedImage, UnsupportedFormat
from ocrdet.values import ImageHeader
from ocrdet.vision.tiff import exif_orientation

if TYPE_CHECKING:
    from collections.abc import Iterator

SUPPORTED_FORMATS: tuple[str, ...] = ("jpeg", "png", "webp", "bmp", "tiff", "gif")

_MAX_SEGMENTS = 65_536  # libpng cuts 20 MiB into 2,560 chunks; no honest file comes near
_MAX_GIF_BLOCKS = 65_536  # of at most 255 bytes each: 16 MiB
_MAX_SCANS = 500  # every scan of a progressive JPEG walks the whole picture; encoders write about ten

_EOI, _SOS, _EXIF, _MPF = 0xD9, 0xDA, 0xE1, 0xE2
_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE_MARKERS = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
_BARE_MARKERS = frozenset({0x00, 0x01, *range(0xD0, 0xD9)})
_JPEG_MODES = {1: "L", 3: "RGB", 4: "CMYK"}

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
# The same where a tRNS chunk makes a colour or some of the palette transparent.
_PNG_KEYED_MODES = {"1": "LA", "L": "LA", "P": "PA", "RGB": "RGBA", "I;16": "LA;16", "RGB;16": "RGBA;16"}

_GIF_IMAGE, _GIF_EXTENSION, _GIF_TRAILER = 0x2C, 0x21, 0x3B


def read_jpeg(data: bytes) -> ImageHeader:
    """The header of a JPEG; `frames` is 2 for a multi-picture file.

    Raises:
        CorruptImage: No frame header before the first scan.
        UnsupportedFormat: A sample depth or number of components that is not read.
    """
    frame, orientation, frames = None, 1, 1
    for marker, start, end in _jpeg_segments(data):
        if marker in _FRAME_MARKERS:
            frame = struct.unpack_from(">BHHB", data, start)
        elif marker == _EXIF and orientation == 1 and data.startswith(b"Exif\0\0", start):
            orientation = exif_orientation(data[start:end])
        elif marker == _MPF and data.startswith(b"MPF\0", start):
            frames = 2
    if frame is None:
        raise CorruptImage("The JPEG has no frame header before its first scan; export it again.")
    precision, height, width, components = frame
    if precision != 8 or components not in _JPEG_MODES:
        raise UnsupportedFormat(
            f"A JPEG of {components} components with {precision} bits each is not read; "
            "save it as greyscale, RGB or CMYK with 8 bits each.",
            supported=list(SUPPORTED_FORMATS),
        )
    return ImageHeader("jpeg", width, height, orientation, _JPEG_MODES[components], frames)


def require_whole_jpeg(data: bytes) -> None:
    """Refuse a JPEG that ends early, which decoders fill with grey, or that has a hostile number of scans.

    Raises:
        TruncatedImage: No end marker behind the first scan.
        CorruptImage: More scans than any encoder writes.
    """
    progressive, scan = False, 0
    for marker, start, _ in _jpeg_segments(data):
        progressive = progressive or marker in _PROGRESSIVE_MARKERS
        scan = start
    # Inside scan data 0xFF is escaped, so this is no accident; thumbnails' end markers lie before the scan.
    if data.rfind(b"\xff\xd9") < scan:
        raise TruncatedImage("The JPEG ends before its end marker; upload the whole file.")
    if progressive and data.count(b"\xff\xda", scan) > _MAX_SCANS:
        raise CorruptImage(f"The JPEG has more than {_MAX_SCANS} scans; export it again.")


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Marker, start and end of the payload of each segment, up to and with the first start of scan.

    Raises:
        CorruptImage: No scan follows.
    """
    position = 2
    for _ in range(_MAX_SEGMENTS):
        position = data.index(b"\xff", position)
        marker = data[position + 1]
        if marker in _BARE_MARKERS:
            position += 2
        elif marker == 0xFF:  # a fill byte
            position += 1
        elif marker == _EOI:
            raise CorruptImage("The JPEG ends without a picture in it; export it again.")
        else:
            (length,) = struct.unpack_from(">H", data, position + 2)
            yield marker, position + 4, position + 2 + length
            if marker == _SOS:
                return
            position += 2 + max(length, 2)
    raise CorruptImage(f"The JPEG has more than {_MAX_SEGMENTS} segments before its picture.")


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
    chunks: dict[bytes, bytes] = {}
    for kind, payload in _png_chunks(data):
        if kind != b"fcTL" or b"IDAT" not in chunks:
            chunks.setdefault(kind, payload)
    if b"IDAT" not in chunks:
        raise CorruptImage("The PNG holds no picture data; export it again.")
    # A frame control before the data makes the still picture a frame of the animation, not one more image.
    images = int.from_bytes(chunks.get(b"acTL", b"")[:4]) + (b"fcTL" not in chunks)
    return ImageHeader(
        "png",
        width,
        height,
        exif_orientation(chunks.get(b"eXIf", b"")),
        _PNG_KEYED_MODES.get(mode, mode) if b"tRNS" in chunks else mode,
        min(max(images, 1), 2),
    )


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and payload of each chunk; the payload of image data is left out.

    Some encoders write eXIf behind the data, so all chunks are walked; a file cut in its data just ends.

    Raises:
        CorruptImage: Too many chunks.
    """
    position, in_data = 8, False
    for _ in range(_MAX_SEGMENTS):
        if in_data and position + 8 > len(data):
            return
        length, kind = struct.unpack_from(">I4s", data, position)
        start, position = position + 8, position + 12 + length
        in_data = in_data or kind == b"IDAT"
        yield kind, b"" if kind in {b"IDAT", b"fdAT"} else data[start : start + length]
        if kind == b"IEND":
            return
    raise CorruptImage(f"The PNG has more than {_MAX_SEGMENTS} chunks; export it again.")


def require_whole_png(data: bytes) -> None:
    """Refuse a PNG that ends early, or in which a chunk claims gigabytes: OpenCV would allocate them.

    Raises:
        TruncatedImage: No whole chain of chunks up to IEND.
    """
    if not any(kind == b"IEND" for kind, _ in _png_chunks(data)):
        raise TruncatedImage("The PNG ends before its IEND chunk; upload the whole file.")


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
    for _ in range(_MAX_SEGMENTS):
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
