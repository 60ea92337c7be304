"""Files for every row of the table in docs/images.md, drawn by code, with the pixels that a person sees."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
from PIL import Image, ImageCms

from tests.unit.vision.drawing import exif, picture, png_chunk, save, turned_back
from tests.unit.vision.drawn_file import (
    ALPHA,
    GREY,
    GREY_ON_WHITE,
    ON_WHITE,
    RGB,
    SEEN,
    VEILED,
    File,
    frames,
    turned,
)
from tests.unit.vision.drawn_png import grey_palette, write_png
from tests.unit.vision.drawn_scans import SCANS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def _jpeg() -> Iterator[File]:
    for options in (
        {},
        {"subsampling": 1},
        {"subsampling": 2},
        {"restart_marker_blocks": 1},
        {"keep_rgb": True},
    ):
        yield File(save(SEEN, "jpeg", **options), RGB, 6, (), "pillow")
    yield File(save(SEEN.convert("L"), "jpeg"), GREY, 4, (), "pillow")


def _jpeg_progressive() -> Iterator[File]:
    yield File(save(SEEN, "jpeg", progressive=True), RGB, 6, (), "pillow")
    yield File(save(SEEN.convert("L"), "jpeg", progressive=True), GREY, 4, (), "pillow")


def _jpeg_cmyk() -> Iterator[File]:
    codes, inks = ("cmyk_converted",), SEEN.convert("CMYK")
    inverted = save(inks, "jpeg")
    yield File(inverted, RGB, 8, codes, "opencv")
    yield File(save(inks, "jpeg", progressive=True), RGB, 8, codes, "opencv")
    yield File(save(inks, "jpeg", icc_profile=b"no profile at all"), RGB, 8, codes, "opencv")
    # YCCK: the first three inks as luminance and two colours, and the marker that says so.
    luminance = np.asarray(Image.fromarray(np.asarray(inks)[..., :3]).convert("YCbCr"))
    planes = [Image.fromarray(255 - luminance[..., index]) for index in range(3)]
    ycck = bytearray(save(Image.merge("CMYK", [*planes, inks.getchannel("K")]), "jpeg"))
    ycck[ycck.index(b"Adobe") + 11] = 2
    yield File(bytes(ycck), RGB, 8, codes, "opencv")


def _jpeg_mpo() -> Iterator[File]:
    yield File(
        save(SEEN, "mpo", quality=95, subsampling=0, **frames()), RGB, 6, ("first_frame_only",), "pillow"
    )


def _jpeg_damaged() -> Iterator[File]:
    whole = save(SEEN, "jpeg", restart_marker_rows=1)
    lost = whole.index(b"\xff\xd2")
    # The rows of blocks from the lost marker on are wrong, which no decoder mends.
    yield File(whole[:lost] + whole[lost + 2 :], RGB, 255, ("damaged_image",))


def _png() -> Iterator[File]:
    yield File(save(SEEN, "png"), RGB, 0, (), "opencv")
    for depth in (1, 2, 4, 8):
        levels = GREY >> (8 - depth)
        seen = (levels.astype(int) * 255 // ((1 << depth) - 1)).astype(np.uint8)
        yield File(write_png(levels, depth, 0), seen, 0, (), "opencv")
        yield File(write_png(levels, depth, 3, extra=grey_palette(depth)), seen, 0, (), "opencv")
    gamma = png_chunk(b"gAMA", (100_000).to_bytes(4))
    yield File(write_png(RGB, 8, 2, extra=gamma), RGB, 0, (), "opencv")


def _png_interlaced() -> Iterator[File]:
    yield File(write_png(RGB, 8, 2, interlaced=True), RGB, 0, (), "opencv")
    yield File(
        write_png(GREY >> 4, 4, 0, interlaced=True), np.asarray((GREY >> 4) * 17, np.uint8), 0, (), "opencv"
    )
    yield File(write_png(RGB * np.uint16(257), 16, 2, interlaced=True), RGB, 0, (), "opencv")


def _png_alpha() -> Iterator[File]:
    codes = ("alpha_composited",)
    yield File(save(VEILED, "png"), ON_WHITE, 1, codes)
    yield File(write_png(np.dstack([GREY, ALPHA]), 8, 4), GREY_ON_WHITE, 1, codes)
    yield File(write_png(np.dstack([RGB, ALPHA]) * np.uint16(257), 16, 6), ON_WHITE, 1, codes)
    for depth in (4, 8, 16):  # one grey level is transparent
        levels = GREY * np.uint16(257) >> (16 - depth)
        shown = GREY if depth > 4 else (GREY >> 4) * 17
        seen = np.where(levels == levels[0, 0], np.uint8(255), shown).astype(np.uint8)
        key = png_chunk(b"tRNS", int(levels[0, 0]).to_bytes(2))
        yield File(write_png(levels, depth, 0, extra=key), seen, 0, codes)
    shares = png_chunk(b"tRNS", bytes(range(0, 256, 17)))
    faded = np.round((GREY >> 4) * 17.0 * ((GREY >> 4) / 15) + 255 - (GREY >> 4) * 17.0).astype(np.uint8)
    yield File(write_png(GREY >> 4, 4, 3, extra=grey_palette(4) + shares), faded, 1, codes)
    bright = np.full_like(RGB, 250)
    on_black = np.round(bright * (ALPHA[..., None] / 255)).astype(np.uint8)
    yield File(save(Image.fromarray(np.dstack([bright, ALPHA])), "png"), on_black, 1, codes)
    clear = np.dstack([RGB, np.zeros_like(GREY)])
    yield File(save(Image.fromarray(clear), "png"), np.full_like(RGB, 255), 0, ("fully_transparent",))
    opaque = np.dstack([RGB, np.full_like(GREY, 255)])
    yield File(save(Image.fromarray(opaque), "png"), RGB, 0, (), "opencv")


def _png_16() -> Iterator[File]:
    yield File(write_png(GREY * np.uint16(257), 16, 0), GREY, 0, (), "opencv")
    yield File(write_png(RGB * np.uint16(257), 16, 2), RGB, 0, (), "opencv")
    yield File(write_png(GREY * np.uint16(16), 16, 0), GREY, 0, ("depth_reduced",))


def _png_animated() -> Iterator[File]:
    yield File(save(SEEN, "png", **frames()), RGB, 0, ("first_frame_only",), "opencv")


def _webp() -> Iterator[File]:
    yield File(save(SEEN, "webp"), RGB, 0, (), "pillow")
    yield File(save(SEEN, "webp", lossless=False), RGB, 40, (), "pillow")


def _webp_alpha() -> Iterator[File]:
    yield File(save(VEILED, "webp", exact=True), ON_WHITE, 1, ("alpha_composited",))
    yield File(save(VEILED, "webp", lossless=False, exact=True), ON_WHITE, 60, ("alpha_composited",))


def _webp_animated() -> Iterator[File]:
    yield File(save(SEEN, "webp", **frames()), RGB, 0, ("first_frame_only",), "opencv")


def _gif() -> Iterator[File]:
    few = SEEN.quantize(64)
    yield File(save(few, "gif", interlace=0), np.asarray(few.convert("RGB")), 0, (), "opencv")
    yield File(save(few, "gif", interlace=1), np.asarray(few.convert("RGB")), 0, (), "opencv")


def _gif_alpha() -> Iterator[File]:
    few = Image.fromarray(GREY // 2)
    seen = np.where(GREY // 2 == 3, np.uint8(255), GREY // 2)
    yield File(save(few, "gif", transparency=3), seen, 0, ("alpha_composited",))


def _gif_animated() -> Iterator[File]:
    few = SEEN.quantize(64)
    yield File(save(few, "gif", **frames()), np.asarray(few.convert("RGB")), 0, ("first_frame_only",))


def _avif() -> Iterator[File]:
    exact = {"quality": 100, "subsampling": "4:4:4", "speed": 8}
    yield File(save(SEEN, "avif", **exact), RGB, 3, (), "opencv")
    yield File(save(SEEN, "avif", speed=8), RGB, 40, (), "opencv")
    yield File(save(SEEN.convert("L"), "avif", **(exact | {"subsampling": "4:0:0"})), GREY, 3, (), "opencv")


def _avif_alpha() -> Iterator[File]:
    yield File(
        save(VEILED, "avif", quality=100, subsampling="4:4:4", speed=8), ON_WHITE, 4, ("alpha_composited",)
    )


def _avif_orientation() -> Iterator[File]:
    for orientation in range(1, 9):
        stored, how = Image.fromarray(turned_back(RGB, orientation)), exif(orientation)
        data = save(stored, "avif", quality=100, subsampling="4:4:4", speed=8, exif=how)
        yield File(data, RGB, 3, (), "pillow")


def _avif_animated() -> Iterator[File]:
    data = save(SEEN, "avif", quality=100, subsampling="4:4:4", speed=8, **frames())
    yield File(data, RGB, 4, ("first_frame_only",))


def _jp2() -> Iterator[File]:
    for options in ({}, {"no_jp2": True}, {"tile_size": (16, 16)}, {"quality_layers": [40, 20, 1]}):
        yield File(save(SEEN, "jpeg2000", **options), RGB, 0, (), "pillow")
    lossy = {"irreversible": True, "quality_layers": [5]}
    yield File(save(SEEN, "jpeg2000", **lossy), RGB, 6, (), "pillow")
    yield File(save(SEEN.convert("L"), "jpeg2000"), GREY, 0, (), "pillow")
    yield File(save(SEEN, "jpeg2000", tile_size=(16, 16), offset=(3, 5)), RGB)


def _jp2_alpha() -> Iterator[File]:
    yield File(save(VEILED, "jpeg2000"), ON_WHITE, 1, ("alpha_composited",))
    yield File(save(VEILED.convert("LA"), "jpeg2000"), GREY_ON_WHITE, 1, ("alpha_composited",))


def _jp2_16() -> Iterator[File]:
    for deep in (GREY, RGB):
        stored = deep if deep.ndim == 2 else deep[..., ::-1]
        data = cv2.imencode(".jp2", stored * np.uint16(257))[1].tobytes()
        yield File(data, deep, 1, (), "pillow")


def _jp2_cmyk() -> Iterator[File]:
    yield File(save(SEEN.convert("CMYK"), "jpeg2000"), RGB, 0, ("cmyk_converted",))


def _profile() -> Iterator[File]:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()
    for name in ("png", "tiff", "webp"):
        yield File(save(SEEN, name, icc_profile=profile), RGB)
    yield File(save(SEEN, "jpeg", icc_profile=profile), RGB, 6)


def _sizes() -> Iterator[File]:
    for size in ((1, 1), (1, 500), (500, 1), (1720, 40), (40, 1720), (257, 3), (7, 129)):
        drawn = picture(*size)
        for name in ("png", "bmp", "tiff", "webp", "jpeg2000"):
            yield File(save(drawn, name), np.asarray(drawn))
        smooth = picture(*size).convert("L").point(lambda value: 100 + value // 16).convert("RGB")
        yield File(save(smooth, "jpeg"), np.asarray(smooth), 12)
        yield File(save(smooth, "avif", quality=100, speed=8), np.asarray(smooth), 12)
        few = drawn.quantize(64)
        yield File(save(few, "gif"), np.asarray(few.convert("RGB")))


def _trailing_garbage() -> Iterator[File]:
    for name in ("jpeg", "png", "webp", "bmp", "tiff", "avif", "jpeg2000"):
        exact = {"quality": 100, "subsampling": "4:4:4"} if name == "avif" else {}
        tolerance = 6 if name in {"jpeg", "avif"} else 0
        yield File(save(SEEN, name, **exact) + b"\r\n--appended--" * 9, RGB, tolerance)


ROWS: dict[str, Callable[[], Iterator[File]]] = SCANS | {
    "jpeg": _jpeg,
    "jpeg-progressive": _jpeg_progressive,
    "jpeg-cmyk": _jpeg_cmyk,
    "jpeg-exif": lambda: turned("jpeg", 6, "pillow"),
    "jpeg-mpo": _jpeg_mpo,
    "jpeg-damaged": _jpeg_damaged,
    "png": _png,
    "png-interlaced": _png_interlaced,
    "png-alpha": _png_alpha,
    "png-16": _png_16,
    "png-exif": lambda: turned("png", 0, "opencv"),
    "png-animated": _png_animated,
    "webp": _webp,
    "webp-alpha": _webp_alpha,
    "webp-exif": lambda: turned("webp", 0, "pillow"),
    "webp-animated": _webp_animated,
    "gif": _gif,
    "gif-alpha": _gif_alpha,
    "gif-animated": _gif_animated,
    "avif": _avif,
    "avif-alpha": _avif_alpha,
    "avif-orientation": _avif_orientation,
    "avif-animated": _avif_animated,
    "jp2": _jp2,
    "jp2-alpha": _jp2_alpha,
    "jp2-16": _jp2_16,
    "jp2-cmyk": _jp2_cmyk,
    "profile": _profile,
    "sizes": _sizes,
    "trailing-garbage": _trailing_garbage,
}
