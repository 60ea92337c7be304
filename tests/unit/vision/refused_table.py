"""What is refused, row by row as in docs/images.md: the files, the error, and words of its sentence."""

from __future__ import annotations

import struct

import numpy as np
from PIL import Image

from ocrdet.errors import CorruptImage, ImageRejected, ImageTooLarge, MissingImage, UnsupportedFormat
from tests.unit.vision.drawing import picture, png_chunk, save
from tests.unit.vision.drawn_tiff import write_bmp, write_tiff

Refusal = tuple[bytes, type[ImageRejected], str]

_SVG = b"<svg xmlns='http://www.w3.org/2000/svg'/>"
_WIDE = save(Image.new("RGB", (300, 200), "navy"), "avif", speed=9)
_JP2 = save(picture(), "jpeg2000")
_RAW_JP2 = save(picture(), "jpeg2000", no_jp2=True)


def _patched(data: bytes, near: bytes, offset: int, content: bytes) -> bytes:
    """The file with other bytes so far behind the first place where `near` stands."""
    at = data.index(near) + offset
    return data[:at] + content + data[at + len(content) :]


def _png_header(width: int, height: int) -> bytes:
    head = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + png_chunk(b"IDAT", b"") + png_chunk(b"IEND", b"")


def _lossy_webp_in_a_canvas_of(width: int) -> bytes:
    veiled = save(Image.new("RGBA", (60, 40), (9, 9, 9, 99)), "webp", lossless=False)
    return _patched(veiled, b"VP8X", 12, (width - 1).to_bytes(3, "little"))


REFUSED: dict[str, list[Refusal]] = {
    "empty": [(b"", MissingImage, "0 bytes")],
    "not-an-image": [
        (b"To whom it may concern: see the picture.", UnsupportedFormat, "text"),
        (b"PK\x03\x04rest", UnsupportedFormat, "ZIP"),
        (b"P6\n8 8\n255\n", UnsupportedFormat, "Netpbm"),
        (b"\0\0\1\0\1\0", UnsupportedFormat, "icon"),
        (b"8BPS\0\1", UnsupportedFormat, "Photoshop"),
        (bytes(64), UnsupportedFormat, "no known image format"),
    ],
    "svg": [
        (_SVG, UnsupportedFormat, "an SVG.*export it as PNG"),
        (b"<?xml?>" + _SVG, UnsupportedFormat, "SVG"),
    ],
    "html": [(b"<!DOCTYPE html><html></html>", UnsupportedFormat, "HTML")],
    "pdf": [(b"%PDF-1.7\n", UnsupportedFormat, "POST /detect/pages")],
    "heic": [
        (b"\0\0\0\x18ftyp" + brand + b"\0\0\0\0mif1heic", UnsupportedFormat, "Most Compatible")
        for brand in (b"heic", b"heix", b"mif1")
    ],
    "rare": [
        (
            save(picture(), "jpeg").replace(b"\xff\xc0\0\x11\x08", b"\xff\xc0\0\x11\x0c"),
            UnsupportedFormat,
            "12 bits",
        ),
        (write_tiff([bytes(9000)], (10, 10), bits=(64,) * 3, t262=2), UnsupportedFormat, "64 bits"),
        (
            write_tiff([bytes(900)], (10, 10), bits=(8,) * 5, t262=5, t338=2),
            UnsupportedFormat,
            "rare variant",
        ),
        (
            write_bmp(bytes(4096), (8, 8), 16, packing=3, masks=(0xF00, 0xF0, 0xF)),
            UnsupportedFormat,
            "rare variant",
        ),
        (_patched(_RAW_JP2, b"\xff\x51", 38, b"\0\7"), ImageRejected, "contradicts|7 components"),
    ],
    "too-large": [
        (_png_header(100_000, 100_000), ImageTooLarge, "100000x100000"),
        (_png_header(70_000, 1), ImageTooLarge, "along a side"),
    ],
    "lying-header": [
        (_patched(_WIDE, b"ispe", 8, struct.pack(">II", 30, 20)), CorruptImage, "states a size of 30x20"),
        (
            _patched(_JP2, b"ihdr", 4, struct.pack(">II", 4000, 6000)),
            CorruptImage,
            "states a size of 6000x4000",
        ),
        (_patched(_RAW_JP2, b"\xff\x51", 22, struct.pack(">II", 1, 1)), CorruptImage, "2400 tiles"),
        (_lossy_webp_in_a_canvas_of(600), CorruptImage, "WEBP"),
        (
            write_tiff([bytes(64)], (10, 10), t322=60_000, t323=60_000),
            CorruptImage,
            "10x10 pixels, but a tile of it 60000x60000",
        ),
        (write_tiff([b""] * 600_000, (10, 10), t278=1), CorruptImage, "values"),
        (
            save(Image.fromarray(np.zeros((8, 8), np.uint8)), "gif").replace(
                struct.pack("<HHHH", 0, 0, 8, 8), struct.pack("<HHHH", 0, 0, 0, 0)
            ),
            CorruptImage,
            "GIF",
        ),
    ],
}
