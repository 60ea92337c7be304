"""Reading headers: format, size, orientation, layout and limits, before any pixel is decoded."""

from __future__ import annotations

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ocrdet.errors import (
    CorruptImage,
    ImageTooLarge,
    MissingImage,
    OcrdetError,
    TruncatedImage,
    UnsupportedFormat,
)
from ocrdet.values import ImageHeader
from ocrdet.vision.header import SUPPORTED_FORMATS, check_limits, read_header
from tests.unit.vision.drawing import exif, png_chunk, save


@pytest.mark.parametrize("name", SUPPORTED_FORMATS)
def test_each_supported_format_states_its_own_size(name: str) -> None:
    """Format and size follow from the bytes alone."""
    header = read_header(save(Image.new("RGB", (37, 21), "navy"), name))
    assert (header.format, header.stored_width, header.stored_height) == (name, 37, 21)
    assert (header.orientation, header.frames) == (1, 1)


@pytest.mark.parametrize(
    ("mode", "name", "expected"),
    [
        ("L", "jpeg", "L"),
        ("CMYK", "jpeg", "CMYK"),
        ("1", "png", "1"),
        ("LA", "png", "LA"),
        ("P", "png", "P"),
        ("RGBA", "png", "RGBA"),
        ("I;16", "png", "I;16"),
        ("RGBA", "webp", "RGBA"),
        ("1", "tiff", "1"),
        ("I;16", "tiff", "I;16"),
        ("F", "tiff", "F"),
        ("I", "tiff", "I"),
        ("CMYK", "tiff", "CMYK"),
        ("RGBA", "tiff", "RGBA"),
        ("L", "bmp", "P"),
    ],
)
def test_the_mode_is_what_the_container_states(mode: str, name: str, expected: str) -> None:
    """The pixel layout is told without decoding."""
    image = Image.new(mode, (9, 5))
    if mode == "RGBA":
        image.putpixel((0, 0), (1, 2, 3, 4))
    assert read_header(save(image, name)).mode == expected


def test_a_transparent_colour_counts_as_alpha() -> None:
    """A PNG with tRNS has an A in its mode, so that it is composited like any other transparency."""
    assert read_header(save(Image.new("RGB", (4, 4)), "png", transparency=(0, 0, 0))).mode == "RGBA"
    assert read_header(save(Image.new("P", (4, 4)), "png", transparency=0)).mode == "PA"


@pytest.mark.parametrize("name", ["jpeg", "png", "webp", "tiff"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_is_read_from_every_format_that_has_one(name: str, orientation: int) -> None:
    """EXIF in JPEG, PNG and WebP and the tag in TIFF exchange the displayed sides from 5 on."""
    header = read_header(save(Image.new("RGB", (30, 20)), name, exif=exif(orientation)))
    assert header.orientation == orientation
    assert (header.stored_width, header.stored_height) == (30, 20)
    assert (header.width, header.height) == ((20, 30) if orientation >= 5 else (30, 20))


def test_exif_behind_the_data_of_a_png_is_found() -> None:
    """Some encoders write eXIf after IDAT."""
    whole = save(Image.new("RGB", (30, 20)), "png")
    cut = whole.rindex(b"\0\0\0\0IEND")
    late = whole[:cut] + png_chunk(b"eXIf", exif(6).removeprefix(b"Exif\0\0")) + whole[cut:]
    assert read_header(late).orientation == 6


@pytest.mark.parametrize(
    "block",
    [
        b"Exif\0\0",
        b"Exif\0\0garbage that is no TIFF",
        b"Exif\0\0II*\0\xff\xff\xff\x7f",
        b"Exif\0\0II*\0\x08\0\0\0\xff\xff",
        exif(0),
        exif(9),
        exif(4711),
    ],
)
@pytest.mark.parametrize("name", ["jpeg", "png", "webp"])
def test_unreadable_exif_means_upright(name: str, block: bytes) -> None:
    """Bad EXIF is never an error."""
    assert read_header(save(Image.new("RGB", (30, 20)), name, exif=block)).orientation == 1


@pytest.mark.parametrize("name", ["gif", "png", "webp", "tiff"])
def test_more_than_one_image_is_told(name: str) -> None:
    """Animations and multi-page files say 2, whatever their number of frames."""
    first, *rest = (Image.new("RGB", (8, 8), colour) for colour in ("red", "green", "blue"))
    assert read_header(save(first, name, save_all=True, append_images=rest)).frames == 2


def test_a_multi_picture_jpeg_is_told() -> None:
    """MPO, as phones write it, is a JPEG with more than one image."""
    second = Image.new("RGB", (8, 8), "red")
    header = read_header(save(Image.new("RGB", (8, 8)), "mpo", save_all=True, append_images=[second]))
    assert (header.format, header.frames) == ("jpeg", 2)


def test_a_gif_frame_beyond_the_screen_widens_it() -> None:
    """The size covers the first frame, so that a small screen cannot hide a large image."""
    data = bytearray(save(Image.new("P", (50, 40)), "gif"))
    data[6:10] = struct.pack("<HH", 1, 1)
    header = read_header(bytes(data))
    assert (header.width, header.height) == (50, 40)


def test_a_top_down_bmp_has_a_positive_height() -> None:
    """A negative height only means that rows start at the top."""
    data = bytearray(save(Image.new("RGB", (6, 4)), "bmp"))
    data[22:26] = struct.pack("<i", -4)
    assert read_header(bytes(data)).height == 4


def test_a_bomb_states_its_size_and_is_refused_by_the_limits() -> None:
    """A PNG of a hundred bytes that claims 100000x100000 pixels is read, then refused, never decoded."""
    ihdr = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", ihdr) + png_chunk(b"IDAT", b"") + png_chunk(b"IEND", b"")
    header = read_header(bomb)
    assert header.pixels == 10_000_000_000
    with pytest.raises(ImageTooLarge) as refused:
        check_limits(header, max_pixels=50_000_000, max_side_px=1_000_000)
    assert refused.value.facts == {"width": 100_000, "height": 100_000, "limit": 50_000_000}


def test_limits_include_their_own_value() -> None:
    """An image exactly at both limits passes; one pixel more does not."""
    check_limits(ImageHeader("png", 200, 100), max_pixels=20_000, max_side_px=200)
    with pytest.raises(ImageTooLarge, match="at most 19999 are accepted"):
        check_limits(ImageHeader("png", 200, 100), max_pixels=19_999, max_side_px=200)
    with pytest.raises(ImageTooLarge, match="at most 199 along a side") as refused:
        check_limits(ImageHeader("png", 200, 100), max_pixels=20_000, max_side_px=199)
    assert refused.value.facts["limit"] == 199


def test_no_bytes_is_a_missing_image() -> None:
    """Zero bytes are no image at all."""
    with pytest.raises(MissingImage, match="0 bytes"):
        read_header(b"")


@pytest.mark.parametrize(
    ("data", "looks"),
    [
        (b"%PDF-1.7\n", "a PDF"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "an SVG"),
        (b"<?xml version='1.0'?>\n<!-- x -->\n<svg/>", "an SVG"),
        (b"<!DOCTYPE svg PUBLIC '-//W3C//DTD SVG 1.1//EN' 'x.dtd'><svg/>", "an SVG"),
        (b"<!-- made by hand --><svg/>", "an SVG"),
        (b"<?xml version='1.0'?><feed/>", "XML"),
        (b"\0\0\0\x1cftypheic\0\0\0\0", "a HEIF"),
        (b"<!DOCTYPE html><html><svg/></html>", "HTML"),
        (b"\0\0\2\0\0\0\0\0\0\0\0\0\x2d\1\xad\0\x18\0", "no known"),
        (b"{\\rtf1\\ansi A letter.}", "text"),
        (b'{"image": "..."}', "JSON"),
        (b"PK\x03\x04rest", "a ZIP"),
        (b"P6\n8 8\n255\n", "a Netpbm"),
        (b"data:image/png;base64,iVBORw0KGgo=", "a data: URI"),
        (b"iVBORw0KGgoAAAANSUhEUg==", "base64"),
        (b"BMW builds cars in Munich and elsewhere.", "text"),
        ("只有文字没有图像".encode(), "text"),
        (b"\x00\x01\x02\x03\x04\x05\x06\x07", "no known image format"),
    ],
)
def test_what_is_no_image_is_named_with_what_is_supported(data: bytes, looks: str) -> None:
    """The sentence says what the bytes look like and lists what would be read."""
    with pytest.raises(UnsupportedFormat, match=looks) as refused:
        read_header(data)
    assert "jpeg, png, webp, bmp, tiff, gif" in refused.value.detail
    assert refused.value.facts["supported"] == list(SUPPORTED_FORMATS)


@pytest.mark.parametrize("name", SUPPORTED_FORMATS)
def test_a_file_cut_inside_its_header_is_refused(name: str) -> None:
    """Twenty bytes hold a signature and no image; a BMP or RIFF cut so short is hardly recognisable."""
    whole = save(Image.new("RGB", (37, 21), "navy"), name)
    with pytest.raises(TruncatedImage):
        read_header(whole[:20])


def test_a_png_mangled_by_a_text_transfer_is_corrupt() -> None:
    """The signature was made to show it."""
    with pytest.raises(CorruptImage, match="text-mode"):
        read_header(save(Image.new("RGB", (8, 8)), "png").replace(b"\r\n", b"\n"))


def test_a_size_of_zero_is_corrupt() -> None:
    """No image has no pixels."""
    data = bytearray(save(Image.new("RGB", (8, 8)), "bmp"))
    data[18:22] = bytes(4)
    with pytest.raises(CorruptImage, match="0x8"):
        read_header(bytes(data))


def test_a_jpeg_of_12_bits_is_an_unsupported_variant() -> None:
    """The sentence names the depth and what to save instead."""
    data = save(Image.new("RGB", (8, 8)), "jpeg").replace(b"\xff\xc0\0\x11\x08", b"\xff\xc0\0\x11\x0c")
    with pytest.raises(UnsupportedFormat, match="12 bits"):
        read_header(data)


def test_a_bigtiff_whose_directory_lies_beyond_all_memory_is_truncated() -> None:
    """An offset of 64 bits need not be one that can be looked up; inside EXIF it means upright."""
    bigtiff = b"II+\0\x08\0\0\0" + b"\xff" * 8
    with pytest.raises(TruncatedImage):
        read_header(bigtiff)
    assert read_header(save(Image.new("RGB", (8, 8)), "jpeg", exif=b"Exif\0\0" + bigtiff)).orientation == 1


def test_a_jpeg_without_picture_is_corrupt() -> None:
    """Start and end markers alone are a JPEG of nothing."""
    with pytest.raises(CorruptImage):
        read_header(b"\xff\xd8\xff\xd9")


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xd8" + b"\xff\xfe\0\x02" * 100_000,
        b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0))
        + bytes(1_200_000),
        b"GIF89a" + struct.pack("<HHBBB", 8, 8, 0, 0, 0) + b"\x21\xfe" + b"\x01x" * 500_000,
    ],
    ids=["jpeg", "png", "gif"],
)
def test_endless_segments_are_given_up(data: bytes) -> None:
    """A reader walks a bounded number of segments, however many a hostile file has."""
    with pytest.raises(OcrdetError):
        read_header(data)


@given(
    st.sampled_from([b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"II*\0", b"MM\0*", b"II+\0", b"BM"]),
    st.binary(),
)
def test_arbitrary_bytes_raise_nothing_but_our_own_errors(signature: bytes, rest: bytes) -> None:
    """Whatever follows a signature, the answer is a header with pixels or an OcrdetError."""
    with contextlib.suppress(OcrdetError):
        assert read_header(signature + rest).pixels > 0
