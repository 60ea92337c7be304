"""Files that end early: refused, or the part that is there where a caller allows it."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from PIL import Image

from ocrdet.errors import TruncatedImage
from ocrdet.vision.decode import decode_image, read_header
from tests.unit.vision.drawing import exif, picture, save
from tests.unit.vision.drawn_tiff import write_bmp, write_tiff

# Rows of the table in docs/images.md that are held here.
HELD = ("truncated",)
NOISE = Image.fromarray(np.random.default_rng(7).integers(0, 256, (64, 48, 3), np.uint8))
ROWS = np.asarray(NOISE)
STRIPS = [ROWS[top : top + 8].tobytes() for top in range(0, 64, 8)]
WHOLE = {
    "png": save(NOISE, "png"),
    "rgba png": save(NOISE.convert("RGBA"), "png"),
    "palette png": save(NOISE.quantize(64), "png"),
    "bmp": write_bmp(ROWS[::-1, :, ::-1].tobytes(), (48, 64), 24),
    "top-down bmp": write_bmp(ROWS[..., ::-1].tobytes(), (48, -64), 24),
    "os/2 bmp": write_bmp(ROWS[::-1, :, ::-1].tobytes(), (48, 64), 24, header_bytes=12),
    "jpeg": save(NOISE, "jpeg"),
    "cmyk jpeg": save(NOISE.convert("CMYK"), "jpeg"),
    "gif": save(NOISE.quantize(64), "gif", interlace=0),
    "uncompressed tiff": save(NOISE, "tiff"),
}


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
@pytest.mark.parametrize("kind", WHOLE)
def test_the_rows_before_the_cut_are_read(kind: str, share: float) -> None:
    """About as many as bytes; the image keeps its size, and a warning says what is missing."""
    whole = WHOLE[kind]
    cut = whole[: int(len(whole) * share)]
    expected = decode_image(whole, read_header(whole)).pixels.astype(int)
    with pytest.raises(TruncatedImage, match="allow_truncated=true"):
        decode_image(cut, read_header(cut))
    image = decode_image(cut, read_header(cut), allow_truncated=True)
    assert image.pixels.shape == (64, 48, 3)
    assert image.warnings[-1].code == "truncated_image"
    there = (np.abs(image.pixels - expected) <= 3).all(axis=(1, 2))
    kept = there[::-1] if kind in {"bmp", "os/2 bmp"} else there
    rows = int(kept.argmin()) if not kept.all() else 64
    assert abs(rows / 64 - share) < 0.35
    if "bmp" in kind or "png" in kind or "tiff" in kind:
        missing = image.pixels[~there]
        assert (missing == 255).all()
        assert f"{1 - rows / 64:.0%} of its rows are missing and were left white" in image.warnings[-1].detail


def test_a_tiff_cut_in_a_strip_is_read_to_there() -> None:
    """Turned as its tag says, like the whole."""
    whole = _directory_first(write_tiff(STRIPS, (48, 64), bits=(8,) * 3, t262=2, t278=8, t274=3))
    header = read_header(whole)
    image = decode_image(whole[: -len(STRIPS[0]) * 3 - 5], header, allow_truncated=True)
    upright = ROWS[::-1, ::-1]
    assert (image.pixels[-39:] == upright[-39:]).all()
    assert (image.pixels[:24] == 255).all()


def _directory_first(tiff: bytes) -> bytes:
    """A file with its directory and all that belongs to it before the strips, as cameras write."""
    (at,) = struct.unpack_from("<I", tiff, 4)
    strips, tail = tiff[8:at], bytearray(tiff[at:])
    moved = 8 + len(tail)
    (count,) = struct.unpack_from("<H", tail)
    for index in range(count):
        start = 2 + 12 * index
        tag, kind, values, where = struct.unpack_from("<HHII", tail, start)
        if values * (4 if kind == 4 else 2) > 4:
            struct.pack_into("<I", tail, start + 8, where - at + 8)
        if tag == 273:
            first = where - at
            offsets = struct.unpack_from(f"<{values}I", tail, first)
            struct.pack_into(f"<{values}I", tail, first, *(offset - 8 + moved for offset in offsets))
    return tiff[:4] + struct.pack("<I", 8) + bytes(tail) + strips


def test_a_progressive_jpeg_comes_out_blurred() -> None:
    """Its first scans cover the whole picture."""
    whole = save(picture(400, 300), "jpeg", progressive=True)
    cut = whole[: int(len(whole) * 0.8)]
    image = decode_image(cut, read_header(cut), allow_truncated=True)
    assert np.abs(image.pixels.astype(int) - np.asarray(picture(400, 300))).mean() < 12


def test_a_cut_and_turned_jpeg_is_turned() -> None:
    """Also at a fraction of its size; what is missing is white."""
    flat = Image.new("RGB", (320, 160), (200, 30, 30))
    cut = save(flat, "jpeg", exif=exif(6))[:-60]
    image = decode_image(cut, read_header(cut), reduction=4, allow_truncated=True)
    assert image.pixels.shape == (80, 40, 3)
    assert image.reduction == 4
    noise = save(NOISE.resize((320, 160)), "jpeg", exif=exif(6))
    image = decode_image(noise[: len(noise) // 2], read_header(noise), reduction=4, allow_truncated=True)
    assert (image.pixels[:, 0] == 255).all()  # the last stored row is the first column seen
    assert not (image.pixels[:, -1] == 255).all()


@pytest.mark.parametrize("name", ["webp", "avif", "jpeg2000"])
def test_what_has_no_part_stays_truncated(name: str) -> None:
    """And nobody is told to ask for one."""
    whole = save(NOISE, name)
    cut = whole[: int(len(whole) * 0.9)]
    with pytest.raises(TruncatedImage, match=r"upload the whole file\.$"):
        decode_image(cut, read_header(whole), allow_truncated=True)


@pytest.mark.parametrize("kind", ["png", "uncompressed tiff", "bmp"])
def test_a_file_cut_before_its_first_row_stays_truncated(kind: str) -> None:
    """There is no part."""
    whole = WHOLE[kind]
    start = whole.index(b"IDAT") + 8 if kind == "png" else 150
    with pytest.raises(TruncatedImage):
        decode_image(whole[:start], read_header(whole), allow_truncated=True)


def test_a_whole_file_is_read_as_ever() -> None:
    """The option changes nothing for it."""
    for whole in WHOLE.values():
        header = read_header(whole)
        image, same = decode_image(whole, header), decode_image(whole, header, allow_truncated=True)
        assert (image.pixels == same.pixels).all()
        assert image.warnings == same.warnings
