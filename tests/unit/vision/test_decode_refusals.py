"""Refusals: what cannot be decoded gets an error of our own, whatever the bytes."""

from __future__ import annotations

import contextlib
import struct
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from ocrdet.errors import CorruptImage, ImageTooLarge, OcrdetError, TruncatedImage, UnsupportedFormat
from ocrdet.vision.decode import SUPPORTED_FORMATS, check_limits, decode_image, read_header
from tests.unit.vision.drawing import picture, save

if TYPE_CHECKING:
    from ocrdet.values import DecodedImage


def read(data: bytes) -> DecodedImage:
    """Both steps at once."""
    return decode_image(data, read_header(data))


@pytest.mark.parametrize("name", ["jpeg", "png", "webp", "bmp", "gif"])
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_a_file_cut_short_is_truncated(name: str, share: float) -> None:
    """A picture of which the end is missing is refused, never filled with grey."""
    noise = Image.fromarray(np.random.default_rng(7).integers(0, 256, (64, 64, 3), np.uint8))
    whole = save(noise, name)
    with pytest.raises(TruncatedImage, match="upload the whole file"):
        read(whole[: int(len(whole) * share)])


def test_a_truncated_progressive_jpeg_is_not_taken_for_a_blurred_one() -> None:
    """Its first scans alone would make a picture."""
    whole = save(picture(400, 300).filter(ImageFilter.EDGE_ENHANCE), "jpeg", progressive=True)
    with pytest.raises(TruncatedImage):
        read(whole[: int(len(whole) * 0.7)])


def test_the_end_of_a_thumbnail_does_not_end_a_jpeg() -> None:
    """An embedded preview has an end marker of its own."""
    thumbnail = save(picture(16, 16), "jpeg")
    whole = save(picture(), "jpeg", exif=b"Exif\0\0" + thumbnail)
    assert (read(whole).pixels == read(save(picture(), "jpeg")).pixels).all()
    with pytest.raises(TruncatedImage):
        read(whole[:-200])


def test_a_chunk_that_claims_gigabytes_is_refused_before_they_are_allocated() -> None:
    """OpenCV would reserve and clear 4 GB for a file of a few hundred bytes."""
    data = bytearray(save(picture(), "png"))
    at = data.index(b"IDAT")
    data[at - 4 : at] = b"\xff\0\0\0"
    with pytest.raises(TruncatedImage):
        read(bytes(data))


def test_damaged_data_are_corrupt() -> None:
    """A PNG with a flipped byte fails its checksum and is refused by both decoders."""
    data = bytearray(save(picture(), "png"))
    data[data.index(b"IDAT") + 20] ^= 0xFF
    with pytest.raises(CorruptImage):
        read(bytes(data))


@pytest.mark.parametrize("progressive", [True, False])
@pytest.mark.parametrize("comment", [b"", b"\xff\xfe\0\4\xff\xd9"], ids=["plain", "with an end in a comment"])
def test_a_jpeg_of_endless_scans_is_corrupt(comment: bytes, *, progressive: bool) -> None:
    """A thousand scans over one picture would keep a core busy; no encoder writes them."""
    whole = save(picture(), "jpeg", progressive=progressive)
    scan = whole.rindex(b"\xff\xda")
    with pytest.raises(CorruptImage, match="100 scans"):
        read(whole[:-2] + comment + whole[scan:-2] * 1000 + b"\xff\xd9")


@pytest.mark.parametrize("progressive", [True, False])
def test_scans_behind_the_end_of_a_jpeg_do_not_count(*, progressive: bool) -> None:
    """Nothing reads them: other pictures, and bytes that only look like scans."""
    whole = save(picture(), "jpeg", progressive=progressive)
    assert (read(whole + b"\xff\xda\0\2" * 1000).pixels == read(whole).pixels).all()


@pytest.mark.parametrize("name", ["png", "webp", "bmp", "tiff"])
def test_a_header_of_another_size_is_corrupt(name: str) -> None:
    """The header bounded the memory; a picture of another size is not handed on."""
    header = read_header(save(picture(59, 40), name))
    with pytest.raises(CorruptImage, match="59x40"):
        decode_image(save(picture(), name), header)


def test_memory_that_runs_out_is_the_images_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client hears of the size, and the facts name it."""

    def exhausted(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr("PIL.Image.open", exhausted)
    data = save(picture(), "bmp")
    with pytest.raises(ImageTooLarge, match="60x40") as refused:
        read(data)
    assert refused.value.facts == {"width": 60, "height": 40}


def test_a_variant_that_no_decoder_reads_is_unsupported() -> None:
    """A BMP with odd bit fields is whole, but of a kind that is not read."""
    data = bytearray(save(picture(8, 8), "bmp"))
    data[14:18], data[28:34] = struct.pack("<I", 56), struct.pack("<HI", 16, 3)
    data[54:70] = struct.pack("<4I", 0xF, 0xF0, 0xF00, 0xF000)
    with pytest.raises(UnsupportedFormat, match="rare variant"):
        read(bytes(data) + bytes(999))


SAMPLES = [
    *(save(picture(24, 16), name) for name in SUPPORTED_FORMATS),
    save(picture(24, 16).convert("CMYK"), "jpeg"),
    save(picture(24, 16), "jpeg", progressive=True),
    save(picture(24, 16).quantize(8), "png", transparency=0),
    save(picture(24, 16), "tiff", compression="tiff_lzw"),
    save(picture(24, 16).convert("F"), "tiff"),
    save(picture(24, 16).convert("1"), "tiff", compression="group4"),
    cv2.imencode(".tiff", np.asarray(picture(24, 16), np.float32))[1].tobytes(),
]


@pytest.mark.filterwarnings("ignore:::PIL")  # odd metadata: silenced at import, but pytest resets the filters
@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    data=st.sampled_from(SAMPLES),
    edits=st.lists(st.tuples(st.floats(0, 0.999), st.binary(min_size=1, max_size=4)), min_size=1, max_size=4),
    cut=st.floats(0.1, 1.0),
)
def test_mutated_files_raise_nothing_but_our_own_errors(
    data: bytes, edits: list[tuple[float, bytes]], cut: float
) -> None:
    """Whatever is overwritten or cut off, the answer is an image of the stated size or an OcrdetError."""
    mutated = bytearray(data)
    for where, replacement in edits:
        start = int(where * len(data))
        mutated[start : start + len(replacement)] = replacement
    damaged = bytes(mutated[: int(cut * len(mutated))])
    with contextlib.suppress(OcrdetError):
        header = read_header(damaged)
        check_limits(header, max_pixels=1_000_000, max_side_px=10_000)
        assert decode_image(damaged, header).pixels.shape == (header.height, header.width, 3)
