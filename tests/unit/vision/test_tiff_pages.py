"""Every page of a TIFF is a file of its own."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageSequence

from ocrdet.errors import CorruptImage, ImageTooLarge
from ocrdet.vision import tiff_pages
from ocrdet.vision.decode import decode_image, read_header
from ocrdet.vision.tiff_pages import TiffPages

MODES = ("RGB", "L", "1", "I;16", "CMYK", "RGBA", "P")


def draw(number: int, mode: str) -> Image.Image:
    """A picture of its own size, in a layout of its own."""
    pixels = np.random.default_rng(number).integers(0, 256, (20 + number, 30 + 2 * number, 3), np.uint8)
    if mode == "I;16":
        return Image.fromarray(pixels[..., 0].astype(np.uint16) * 257)
    return Image.fromarray(pixels).convert(mode)


def write(images: list[Image.Image], **options: object) -> bytes:
    """A TIFF of these pages."""
    stream = io.BytesIO()
    images[0].save(stream, "tiff", save_all=True, append_images=images[1:], **options)
    return stream.getvalue()


def chain(*directories: int, order: str = "<", end: int = 0) -> bytes:
    """A TIFF of empty directories at these offsets, in this order."""
    data = bytearray(max(directories, default=8) + 6)
    data[:4] = b"II*\0" if order == "<" else b"MM\0*"
    for place, following in zip(
        (4, *(offset + 2 for offset in directories)), (*directories, end), strict=True
    ):
        struct.pack_into(order + "I", data, place, following)
    return bytes(data)


@pytest.mark.parametrize("options", [{}, {"compression": "tiff_lzw"}, {"big_tiff": True}])
def test_every_page_decodes_to_what_pillow_reads_there(options: dict[str, object]) -> None:
    """In every layout, and as the image of one page without a warning of others."""
    images = [draw(number, mode) for number, mode in enumerate(MODES)]
    data = write(images, **options)
    pages = TiffPages.find(data)
    assert (len(pages.directories), pages.truncated) == (len(MODES), False)
    with Image.open(io.BytesIO(data)) as whole:
        for index, _ in enumerate(ImageSequence.Iterator(whole)):
            page = pages.page(index)
            alone = io.BytesIO()
            whole.save(alone, "tiff", compression="raw")
            decoded = decode_image(page, read_header(page))
            expected = decode_image(alone.getvalue(), read_header(alone.getvalue()))
            assert (decoded.pixels == expected.pixels).all()
            assert decoded.header.frames == 1
            assert "first_frame_only" not in [warning.code for warning in decoded.warnings]


@pytest.mark.parametrize("order", ["<", ">"])
def test_directories_are_found_in_the_order_of_the_chain(order: str) -> None:
    """Wherever they lie in the file, in either byte order."""
    data = chain(80, 8, 40, order=order)
    assert [offset for offset, _ in TiffPages.find(data).directories] == [80, 8, 40]
    (first,) = struct.unpack_from(order + "I", TiffPages.find(data).page(2), 4)
    assert first == 40


def test_a_chain_that_leads_back_ends_there() -> None:
    """No page comes twice, and no reader hangs."""
    pages = TiffPages.find(chain(8, 40, end=8))
    assert (len(pages.directories), pages.truncated) == (2, False)


@pytest.mark.parametrize("end", [4000, 0xFFFFFFFF, 44])
def test_a_chain_that_leads_out_of_the_file_is_truncated(end: int) -> None:
    """The pages before are there."""
    pages = TiffPages.find(chain(8, 40, end=end))
    assert (len(pages.directories), pages.truncated) == (2, True)


@pytest.mark.parametrize(
    "data", [b"II*\0" + b"\xff" * 4, b"II*\0" + bytes(4), b"II+\0\x08\0\0\0" + b"\xff" * 8]
)
def test_a_file_without_its_first_page_is_refused(data: bytes) -> None:
    """Also where the offset is larger than any file."""
    with pytest.raises(CorruptImage):
        TiffPages.find(data)


def test_the_number_of_directories_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of a hundred megabytes can hold millions."""
    monkeypatch.setattr(tiff_pages, "MOST_DIRECTORIES", 3)
    assert len(TiffPages.find(chain(8, 20, 32)).directories) == 3
    with pytest.raises(ImageTooLarge, match="more than 3 pages"):
        TiffPages.find(chain(8, 20, 32, 44))
