"""The rows of the decode table for TIFF and BMP."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageCms

from tests.unit.vision.drawing import save
from tests.unit.vision.drawn_file import (
    ALPHA,
    BITS,
    GREY,
    GREY_ON_WHITE,
    ON_WHITE,
    RGB,
    SEEN,
    SIZE,
    VEILED,
    File,
    frames,
    turned,
)
from tests.unit.vision.drawn_png import write_png
from tests.unit.vision.drawn_tiff import tiles_of, write_bmp, write_tiff

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.unit.vision.drawn_file import Witness

EIGHT, SIXTEEN = (8, 8, 8), (16, 16, 16)


def _bmp() -> Iterator[File]:
    upward, bgr = SIZE, RGB[::-1, :, ::-1]
    greys = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 4, axis=1)
    greys[:, 3] = 0
    yield File(write_bmp(bgr.tobytes(), upward, 24), RGB, 0, (), "opencv")
    yield File(write_bmp(bgr[::-1].tobytes(), (SIZE[0], -SIZE[1]), 24), RGB, 0, (), "opencv")
    yield File(write_bmp(bgr.tobytes(), upward, 24, header_bytes=12), RGB, 0, (), "opencv")
    unused = np.dstack([bgr, np.zeros_like(GREY)])
    yield File(write_bmp(unused.tobytes(), upward, 32), RGB, 0, (), "opencv")
    high = bgr.astype(np.uint16) >> 3
    for shifts, masks in (((0, 5, 10), ()), ((0, 6, 11), (0xF800, 0x7E0, 0x1F))):
        packed = sum(high[..., index] << shift for index, shift in enumerate(shifts))
        rows = np.asarray(packed, "<u2").tobytes()
        yield File(write_bmp(rows, upward, 16, packing=3 if masks else 0, masks=masks), RGB, 8)
    yield File(write_bmp(GREY[::-1].tobytes(), upward, 8, palette=greys.tobytes()), GREY, 0, (), "opencv")
    runs = b"".join(b"".join(bytes((1, v)) for v in row.tolist()) + b"\0\0" for row in GREY[::-1]) + b"\0\1"
    yield File(write_bmp(runs, upward, 8, packing=1, palette=greys.tobytes()), GREY, 0, (), "pillow")
    for bits in (1, 4):
        most = (1 << bits) - 1
        packed_rows = write_png(GREY[::-1] >> (8 - bits), bits, 0)
        rows = zlib.decompress(packed_rows[41:-16])
        stride = len(rows) // SIZE[1]
        padded = b"".join(
            rows[at + 1 : at + stride].ljust(-(-(stride - 1) // 4) * 4, b"\0")
            for at in range(0, len(rows), stride)
        )
        palette = b"".join(bytes((index * 255 // most,) * 3) + b"\0" for index in range(most + 1))
        seen = ((GREY >> (8 - bits)).astype(int) * 255 // most).astype(np.uint8)
        yield File(write_bmp(padded, upward, bits, palette=palette), seen, 0, (), "opencv")


def _bmp_alpha() -> Iterator[File]:
    masks = (0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    layers = np.dstack([RGB[..., ::-1], ALPHA])[::-1]
    for header_bytes in (108, 124):
        data = write_bmp(layers.tobytes(), SIZE, 32, packing=3, masks=masks, header_bytes=header_bytes)
        yield File(data, ON_WHITE, 1, ("alpha_composited",))
    layers[..., 3] = 0  # forgotten, not meant
    yield File(write_bmp(layers.tobytes(), SIZE, 32, packing=3, masks=masks, header_bytes=124), RGB)


def _tiff() -> Iterator[File]:
    for compression in ("raw", "tiff_lzw", "tiff_deflate", "packbits", "zstd", "lzma"):
        witness: Witness = None if compression in {"lzma", "zstd"} else "opencv"
        yield File(save(SEEN, "tiff", compression=compression), RGB, 0, (), witness)
    yield File(save(SEEN, "tiff", compression="jpeg", quality=95), RGB, 8, (), "opencv")
    luminance = np.asarray(SEEN.convert("YCbCr"))
    yield File(write_tiff([luminance.tobytes()], SIZE, bits=EIGHT, t262=6, t530=(1, 1)), RGB, 4, (), "opencv")


def _tiff_layout() -> Iterator[File]:
    whole, planes = RGB.tobytes(), [RGB[..., index].tobytes() for index in range(3)]
    for order in "<>":
        yield File(write_tiff([whole], SIZE, bits=EIGHT, t262=2, order=order), RGB, 0, (), "opencv")
        yield File(write_tiff([whole], SIZE, bits=EIGHT, t262=2, order=order, big=True), RGB)
    strips = [RGB[top : top + 7].tobytes() for top in range(0, SIZE[1], 7)]
    yield File(write_tiff(strips, SIZE, bits=EIGHT, t262=2, t278=7), RGB, 0, (), "opencv")
    tiles = [zlib.compress(tile) for tile in tiles_of(RGB, 16)]
    tiled: dict[str, Any] = {"t262": 2, "t259": 8, "t322": 16, "t323": 16}
    yield File(write_tiff(tiles, SIZE, bits=EIGHT, **tiled), RGB, 0, (), "opencv")
    yield File(write_tiff(planes, SIZE, bits=EIGHT, t262=2, t284=2), RGB)
    steps = np.diff(RGB, axis=1, prepend=np.zeros_like(RGB[:, :1]))
    packed = [zlib.compress(steps.tobytes())]
    yield File(write_tiff(packed, SIZE, bits=EIGHT, t262=2, t259=8, t317=2), RGB, 0, (), "opencv")


def _tiff_bits() -> Iterator[File]:
    bits = np.packbits(BITS > 0, axis=1).tobytes()
    yield File(write_tiff([bits], SIZE, bits=(1,)), BITS, 0, (), "opencv")
    yield File(write_tiff([bits], SIZE, bits=(1,), t262=0), 255 - BITS, 0, (), "opencv")
    mirrored = np.packbits(BITS > 0, axis=1, bitorder="little").tobytes()
    yield File(write_tiff([mirrored], SIZE, bits=(1,), t266=2), BITS, 0, (), "opencv")
    for compression in ("group3", "group4", "tiff_ccitt"):
        yield File(save(Image.fromarray(BITS > 0), "tiff", compression=compression), BITS, 0, (), "opencv")
    nibbles = (GREY[:, ::2] & 0xF0 | GREY[:, 1::2] >> 4).tobytes()
    yield File(write_tiff([nibbles], SIZE, bits=(4,)), np.asarray((GREY >> 4) * 17, np.uint8))
    yield File(write_tiff([(255 - GREY).tobytes()], SIZE, t262=0), GREY, 0, (), "opencv")
    few = SEEN.quantize(13)
    yield File(save(few, "tiff"), np.asarray(few.convert("RGB")), 0, (), "opencv")


def _tiff_alpha() -> Iterator[File]:
    codes, straight = ("alpha_composited",), np.asarray(VEILED)
    yield File(write_tiff([straight.tobytes()], SIZE, bits=(8,) * 4, t262=2, t338=2), ON_WHITE, 1, codes)
    mixed = np.round(straight[..., :3] * (ALPHA[..., None] / 255)).astype(np.uint8)
    premultiplied = np.dstack([mixed, ALPHA]).tobytes()
    yield File(write_tiff([premultiplied], SIZE, bits=(8,) * 4, t262=2, t338=1), ON_WHITE, 2, codes)
    layers = np.dstack([GREY, ALPHA]).tobytes()
    yield File(write_tiff([layers], SIZE, bits=(8, 8), t338=2), GREY_ON_WHITE, 1, codes)
    yield File(write_tiff([layers], SIZE, bits=(8, 8), t338=0), GREY)


def _tiff_cmyk() -> Iterator[File]:
    inks = np.asarray(SEEN.convert("CMYK"))
    codes = ("cmyk_converted",)
    yield File(write_tiff([inks.tobytes()], SIZE, bits=(8,) * 4, t262=5), RGB, 0, codes)
    yield File(write_tiff([(inks * np.uint16(257)).tobytes()], SIZE, bits=(16,) * 4, t262=5), RGB, 0, codes)


def _tiff_16() -> Iterator[File]:
    for order in "<>":
        grey, colours = (pixels.astype(f"{order}u2") * 257 for pixels in (GREY, RGB))
        grey, colours = grey.astype(f"{order}u2"), colours.astype(f"{order}u2")
        yield File(write_tiff([grey.tobytes()], SIZE, bits=(16,), order=order), GREY, 0, (), "opencv")
        yield File(
            write_tiff([colours.tobytes()], SIZE, bits=SIXTEEN, t262=2, order=order), RGB, 0, (), "opencv"
        )
    dark = (255 - GREY) * np.uint16(257)
    yield File(write_tiff([dark.tobytes()], SIZE, bits=(16,), t262=0), GREY)


def _tiff_float() -> Iterator[File]:
    codes = ("depth_reduced",)
    full = RGB.copy()
    full[0, 0], full[0, 1] = 0, 255
    grey = full[..., 0]
    for kind, sample_format in (("f4", 3), ("f8", 3), ("i4", 2), ("i2", 2)):
        bits = (8 * int(kind[1]),)
        data = write_tiff([grey.astype(kind).tobytes()], SIZE, bits=bits, t339=sample_format)
        yield File(data, grey, 1, codes)
    colours = (full / np.float32(255)).astype("f4").tobytes()
    yield File(write_tiff([colours], SIZE, bits=(32,) * 3, t262=2, t339=(3, 3, 3)), full, 1, codes)


def _tiff_lab() -> Iterator[File]:
    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    greys = SEEN.convert("L").convert("RGB")
    converted = ImageCms.profileToProfile(greys, srgb, lab, outputMode="LAB")
    assert converted is not None
    yield File(save(converted, "tiff"), GREY, 4)


def _tiff_pages() -> Iterator[File]:
    yield File(save(SEEN, "tiff", **frames()), RGB, 0, ("first_frame_only",), "opencv")


SCANS: dict[str, Callable[[], Iterator[File]]] = {
    "bmp": _bmp,
    "bmp-alpha": _bmp_alpha,
    "tiff": _tiff,
    "tiff-layout": _tiff_layout,
    "tiff-bits": _tiff_bits,
    "tiff-alpha": _tiff_alpha,
    "tiff-cmyk": _tiff_cmyk,
    "tiff-16": _tiff_16,
    "tiff-float": _tiff_float,
    "tiff-lab": _tiff_lab,
    "tiff-exif": lambda: turned("tiff", 0, "opencv"),
    "tiff-pages": _tiff_pages,
}
