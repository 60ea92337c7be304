"""Files that take as much memory or time as their format can, drawn by code: small until they are decoded."""

from __future__ import annotations

import io
import struct
import zlib
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

COLOUR = (120, 130, 90)


def draw_bombs(folder: Path, megapixels: float) -> Iterator[Path]:
    """Each file, written into the folder when its turn comes and gone after it."""
    width = int(1.5 * (side := int((megapixels * 1e6 / 1.5) ** 0.5)))
    size = (width, side)
    makers: dict[str, Callable[[], bytes]] = {
        **{name: (lambda make=make: make(size)) for name, make in _HONEST.items()},  # type: ignore[misc]
        **_HOSTILE,
    }
    for name, make in makers.items():
        path = folder / name
        path.write_bytes(make())
        yield path
        path.unlink()


def _flat(size: tuple[int, int], mode: str = "RGB") -> Image.Image:
    return Image.new("RGB", size, COLOUR).convert(mode)


def _veiled(size: tuple[int, int]) -> Image.Image:
    return Image.new("RGBA", size, (*COLOUR, 128))


def _save(image: Image.Image, name: str, **options: Any) -> bytes:  # noqa: ANN401 - whatever Pillow takes
    stream = io.BytesIO()
    image.save(stream, name, **options)
    return stream.getvalue()


def _frames(size: tuple[int, int], name: str, **options: Any) -> bytes:  # noqa: ANN401 - whatever Pillow takes
    return _save(_veiled(size), name, save_all=True, append_images=[_flat(size, "RGBA")], **options)


def _deep(extension: str, size: tuple[int, int], kind: type[np.generic], channels: int) -> bytes:
    values = np.full((size[1], size[0], channels), 30_000, kind)
    values[0, 0] = 0
    return cv2.imencode(extension, values)[1].tobytes()


def _exif(orientation: int) -> Image.Exif:
    block = Image.Exif()
    block[274] = orientation
    return block


def _rle_bmp(size: tuple[int, int]) -> bytes:
    """Rows of runs that each end where the row does."""
    full, rest = divmod(size[0], 255)
    row = b"\xff\1" * full + (bytes((rest, 1)) if rest else b"") + b"\0\0"
    pixels = row * size[1] + b"\0\1"
    head = struct.pack("<IiiHHIIiiII", 40, *size, 1, 8, 1, len(pixels), 0, 0, 256, 0)
    start = 14 + 40 + 1024
    return struct.pack("<2sIHHI", b"BM", start + len(pixels), 0, 0, start) + head + bytes(1024) + pixels


_HONEST: dict[str, Callable[[tuple[int, int]], bytes]] = {
    "baseline.jpg": lambda size: _save(_flat(size), "jpeg", subsampling=0),
    "turned.jpg": lambda size: _save(_flat(size), "jpeg", exif=_exif(6)),
    "progressive.jpg": lambda size: _save(_flat(size), "jpeg", subsampling=0, progressive=True),
    "progressive cmyk.jpg": lambda size: _save(_flat(size, "CMYK"), "jpeg", progressive=True),
    "rgb.png": lambda size: _save(_flat(size), "png"),
    "rgba.png": lambda size: _save(_veiled(size), "png"),
    "rgba turned.png": lambda size: _save(_veiled(size), "png", exif=_exif(5)),
    "grey and alpha.png": lambda size: _save(_veiled(size).convert("LA"), "png"),
    "palette.png": lambda size: _save(Image.new("P", size), "png", transparency=0, bits=1),
    "bits.png": lambda size: _save(_flat(size, "1"), "png"),
    "grey 16.png": lambda size: _deep(".png", size, np.uint16, 1),
    "rgba 16.png": lambda size: _deep(".png", size, np.uint16, 4),
    "two frames.png": lambda size: _frames(size, "png"),
    "lossy.webp": lambda size: _save(_flat(size), "webp"),
    "lossless.webp": lambda size: _save(_flat(size), "webp", lossless=True),
    "alpha.webp": lambda size: _save(_veiled(size), "webp", lossless=True),
    "two frames.webp": lambda size: _frames(size, "webp", lossless=True),
    "rle.bmp": _rle_bmp,
    "palette.gif": lambda size: _save(Image.new("P", size), "gif"),
    "two frames.gif": lambda size: _frames(size, "gif"),
    "lzw.tif": lambda size: _save(_flat(size), "tiff", compression="tiff_lzw"),
    "fax.tif": lambda size: _save(_flat(size, "1"), "tiff", compression="group4"),
    "jpeg.tif": lambda size: _save(_flat(size), "tiff", compression="jpeg"),
    "cmyk.tif": lambda size: _save(_flat(size, "CMYK"), "tiff", compression="tiff_deflate"),
    "rgba turned.tif": lambda size: _save(
        _veiled(size), "tiff", compression="tiff_deflate", tiffinfo={274: 6}
    ),
    "float grey.tif": lambda size: _save(_flat(size, "F"), "tiff", compression="tiff_deflate"),
    "integer grey.tif": lambda size: _save(_flat(size, "I"), "tiff", compression="tiff_deflate"),
    "float colour.tif": lambda size: _deep(".tiff", size, np.float32, 3),
    "double grey.tif": lambda size: _deep(".tiff", size, np.float64, 1),
    "rgb 16.tif": lambda size: _deep(".tiff", size, np.uint16, 3),
    "444.avif": lambda size: _save(_flat(size), "avif", subsampling="4:4:4", speed=10),
    "alpha.avif": lambda size: _save(_veiled(size), "avif", subsampling="4:4:4", speed=10),
    "rgb.jp2": lambda size: _save(_flat(size), "jpeg2000"),
    "rgba.jp2": lambda size: _save(_veiled(size), "jpeg2000"),
    "rgb 16.jp2": lambda size: _deep(".jp2", size, np.uint16, 3),
}


def _chunk(kind: bytes, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))


def _unpacking_text() -> bytes:
    """A PNG in which 2 MiB of text unpack to 2 GiB."""
    png = _save(_flat((32, 32)), "png")
    text = _chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(7_900_000), 9))
    return png[:33] + text * 260 + png[33:]


def _endless_pixels() -> bytes:
    """A PNG whose pixels unpack to gigabytes behind the last of them."""
    packer = zlib.compressobj(9)
    pixels = packer.compress(bytes(32 * 97)) + b"".join(
        packer.compress(bytes(10_000_000)) for _ in range(300)
    )
    head = _chunk(b"IHDR", struct.pack(">IIBBBBB", 32, 32, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + _chunk(b"IDAT", pixels + packer.flush()) + _chunk(b"IEND", b"")


def _piles_of_exif() -> bytes:
    """A CMYK JPEG with 60,000 EXIF blocks, which Pillow would join one by one."""
    jpeg = _save(_flat((32, 32), "CMYK"), "jpeg")
    block = b"Exif\0\0" + bytes(250)
    return jpeg[:2] + (b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block) * 60_000 + jpeg[2:]


def _many_scans() -> bytes:
    """A progressive JPEG of 24 megapixels that is walked ninety times."""
    jpeg = _save(_flat((6000, 4000)), "jpeg", progressive=True, subsampling=0)
    return jpeg[:-2] + jpeg[jpeg.rindex(b"\xff\xda") : -2] * 80 + b"\xff\xd9"


def _tags(*tags: tuple[int, int, int, int], extra: bytes = b"") -> bytes:
    """A TIFF of one directory; an offset of -1 is that of the extra bytes."""
    start = 8 + 2 + 12 * len(tags) + 4
    entries = b"".join(struct.pack("<HHII", t, k, n, start if v == -1 else v) for t, k, n, v in sorted(tags))
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4) + extra


_TIFF = ((256, 3, 1, 10), (257, 3, 1, 10), (258, 3, 1, 8), (259, 3, 1, 8), (262, 3, 1, 1), (277, 3, 1, 1))


_HOSTILE: dict[str, Callable[[], bytes]] = {
    "unpacking text.png": _unpacking_text,
    "endless pixels.png": _endless_pixels,
    "piles of exif.jpg": _piles_of_exif,
    "many scans.jpg": _many_scans,
    "huge tile.tif": lambda: _tags(
        *_TIFF, (322, 4, 1, 60_000), (323, 4, 1, 60_000), (324, 4, 1, 8), (325, 4, 1, 100), extra=bytes(4096)
    ),
    "large tile.tif": lambda: _tags(
        *_TIFF, (322, 4, 1, 2048), (323, 4, 1, 2048), (324, 4, 1, 8), (325, 4, 1, 100), extra=bytes(4096)
    ),
    "ten million strips.tif": lambda: _tags(
        *_TIFF, (273, 3, 9_900_000, -1), (279, 3, 9_900_000, -1), (278, 3, 1, 1), extra=bytes(19_800_000)
    ),
    "a million strips.tif": lambda: _tags(
        *_TIFF, (273, 3, 520_000, -1), (279, 3, 520_000, -1), (278, 3, 1, 1), extra=bytes(1_040_000)
    ),
    "one pixel.png": lambda: _save(_flat((1, 1)), "png"),
    "a row.png": lambda: _save(_flat((65_500, 1)), "png"),
    "a column.png": lambda: _save(_flat((1, 65_500)), "png"),
}
