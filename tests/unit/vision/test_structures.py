"""What hostile structure is found before decoding, and what decoders never get to see."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest

from ocrdet.errors import CorruptImage, OcrdetError, TruncatedImage
from ocrdet.vision.av1 import coded_sizes
from ocrdet.vision.avif import is_avif, read_avif, still_avif
from ocrdet.vision.decode import decode_image, read_header
from ocrdet.vision.isobmff import read_boxes
from ocrdet.vision.jpeg import has_damaged_scans, strip_jpeg
from ocrdet.vision.jpeg2000 import require_whole_jpeg2000
from ocrdet.vision.png import strip_png
from tests.unit.vision.drawing import exif, picture, png_chunk, save
from tests.unit.vision.drawn_file import frames
from tests.unit.vision.drawn_png import write_png

STILL = save(picture(), "avif", speed=9)
RAW = save(picture(), "jpeg2000", no_jp2=True)


def test_a_png_loses_all_but_its_first_picture() -> None:
    """Text that unpacks to gigabytes and further frames stay away from the decoder."""
    text = png_chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(9_000_000)))
    animated = save(picture(), "png", **frames())
    stripped = strip_png(animated[:33] + text + animated[33:])
    assert not {kind for kind in (b"zTXt", b"acTL", b"fcTL", b"fdAT") if kind in stripped}
    assert stripped == save(picture(), "png")


def test_pixels_behind_the_last_one_are_not_unpacked() -> None:
    """Gigabytes of them would take a minute."""
    packer = zlib.compressobj(9)
    rows = packer.compress(bytes(8 * 25)) + b"".join(packer.compress(bytes(10**7)) for _ in range(20))
    png = write_png(np.zeros((8, 8, 3), np.uint8), 8, 2)
    start = png.index(b"IDAT") - 4
    bomb = png[:start] + png_chunk(b"IDAT", rows + packer.flush()) + png_chunk(b"IEND", b"")
    assert decode_image(bomb, read_header(bomb)).pixels.max() == 0


def test_a_jpeg_loses_its_metadata_but_not_its_profile() -> None:
    """Pillow joins EXIF blocks one by one, in a time that grows with the square of their number."""
    inks = picture().convert("CMYK")
    bare, full = save(inks, "jpeg"), save(inks, "jpeg", exif=exif(1), comment=b"c" * 99, icc_profile=b"p" * 9)
    stripped = strip_jpeg(full)
    assert b"Exif" not in stripped
    assert b"c" * 99 not in stripped
    assert b"ICC_PROFILE" in stripped
    assert strip_jpeg(bare) == bare


@pytest.mark.parametrize(
    "options", [{}, {"progressive": True}, {"restart_marker_blocks": 1}, {"quality": 20}]
)
def test_sound_jpegs_show_no_damage(options: dict[str, object]) -> None:
    """Nor do bytes behind their end."""
    whole = save(picture(300, 200), "jpeg", **options)
    assert not has_damaged_scans(whole)
    assert not has_damaged_scans(whole + b"\xff\xd3\xff\x05" * 9)


@pytest.mark.parametrize("marker", [b"\xff\x05", b"\xff\xd5", b"\xff\xd8", b"\xff\xc0"])
def test_a_marker_where_none_may_be_is_damage(marker: bytes) -> None:
    """Decoders hide it behind grey blocks."""
    whole = save(picture(300, 200), "jpeg")
    where = whole.index(b"\xff\xda") + 300
    assert has_damaged_scans(whole[:where] + marker + whole[where + 2 :])


def test_the_codestream_of_an_avif_must_not_be_larger_than_its_boxes_say() -> None:
    """It would be decoded whole and then made small."""
    at = STILL.index(b"ispe") + 8
    for width, height in ((59, 40), (60, 39)):
        lying = STILL[:at] + struct.pack(">II", width, height) + STILL[at + 8 :]
        with pytest.raises(CorruptImage, match=f"{width}x{height} pixels but holds 60x40"):
            read_avif(lying)


def test_the_sizes_of_stills_and_sequences_are_read() -> None:
    """A still's header is the reduced one, a sequence's has operating points."""
    for data in (STILL, save(picture(), "avif", speed=9, **frames())):
        assert coded_sizes(data[data.index(b"mdat") + 4 :][:64])[0] == (60, 40)


def test_only_the_still_picture_of_an_animated_avif_is_decoded() -> None:
    """Its decoder would go for the animation, whose size stands elsewhere."""
    animated = save(picture(), "avif", speed=9, **frames())
    still = still_avif(animated)
    assert b"moov" not in still[: still.index(b"mdat")]
    assert b"avis" not in still[:64]
    assert still_avif(STILL) == STILL


def test_what_is_avif_is_told_from_what_is_heif() -> None:
    """By the first brand, or by the others of a general one."""
    assert is_avif(STILL)
    assert is_avif(b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif")
    assert not is_avif(b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic")
    assert not is_avif(b"\0\0\0\x18ftypheic\0\0\0\0mif1avif")


@pytest.mark.parametrize("box", [b"meta", b"pitm", b"ipco", b"ispe"])
def test_an_avif_without_one_of_its_boxes_is_refused(box: bytes) -> None:
    """Never with another error than our own."""
    with pytest.raises(OcrdetError):
        read_header(STILL.replace(box, b"free"))


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


def _avif(
    items: int, extents: list[tuple[int, int]], *, references: bytes = b"", coded: bytes = b"\x12\0"
) -> bytes:
    """An AVIF whose items all have the same extents, counted from the beginning of what is coded."""
    numbers = range(1, items + 1)

    def meta(base: int) -> bytes:
        kinds = (_box(b"infe", b"\2\0\0\0" + struct.pack(">HH4sx", n, 0, b"av01")) for n in numbers)
        places = b"".join(struct.pack(">II", base + at, size) for at, size in extents)
        located = (struct.pack(">HHH", n, 0, len(extents)) + places for n in numbers)
        owned = (struct.pack(">HBBB", n, 2, 1, 2) for n in numbers)
        properties = _box(b"ispe", struct.pack(">4xII", 8, 8)) + _box(b"av1C", b"\x81\0\x0c\0")
        boxes = (
            _box(b"pitm", struct.pack(">4xH", 1)),
            _box(b"iinf", struct.pack(">4xH", items) + b"".join(kinds)),
            _box(b"iloc", struct.pack(">4xHH", 0x4400, items) + b"".join(located)),
            _box(
                b"iprp",
                _box(b"ipco", properties) + _box(b"ipma", struct.pack(">4xI", items) + b"".join(owned)),
            ),
            _box(b"iref", bytes(4) + references),
        )
        return _box(b"ftyp", b"avif\0\0\0\0") + _box(b"meta", bytes(4) + b"".join(boxes))

    return meta(len(meta(0)) + 8) + _box(b"mdat", coded)


def _auxiliary(source: int, *targets: int) -> bytes:
    return _box(b"auxl", struct.pack(f">HH{len(targets)}H", source, len(targets), *targets))


@pytest.mark.parametrize(
    ("avif", "words"),
    [
        (_avif(9, [(0, 2)] * 2000), "2048 items or parts"),
        (_avif(1, [], references=_auxiliary(2, *range(1, 1001)) * 9), "2048 items or parts"),
        (_avif(1, [(0, 30_000)] * 2000, coded=bytes(30_000)), "lie over each other"),
        (
            _avif(
                900,
                [(0, 30_000)],
                references=b"".join(_auxiliary(n + 1, n) for n in range(1, 900)),
                coded=b"\x12\0" + b"\x32\xac\xea\1" + bytes(29_996),
            ),
            "lie over each other",
        ),
        (_avif(1, [(0, 9000)], coded=b"\x12\0" * 4500), "units"),
    ],
    ids=["extents", "references", "extents of one item", "items on each other", "units"],
)
def test_an_avif_that_only_keeps_its_reader_busy_is_refused(avif: bytes, words: str) -> None:
    """A few kilobytes of tables can point at the same bytes millions of times."""
    with pytest.raises(CorruptImage, match=words):
        read_avif(avif)


def test_equal_tiles_of_an_avif_may_share_their_bytes() -> None:
    """As encoders write them."""
    tiles = _box(b"dimg", struct.pack(">HH8H", 1, 8, *range(2, 10)))
    assert read_avif(_avif(9, [(0, 2)], references=tiles)).width == 8


def test_endless_boxes_are_given_up() -> None:
    """As is one that is smaller than its own head."""
    with pytest.raises(CorruptImage, match="more than"):
        list(read_boxes(b"\0\0\0\x08free" * 5000, 0, 40_000))
    with pytest.raises(CorruptImage, match="smaller"):
        list(read_boxes(b"\0\0\0\x04free", 0, 8))


@pytest.mark.parametrize(
    ("offset", "content"),
    [(2, struct.pack(">H", 60_000)), (6, b"\0\0"), (5, b"\x21")],
    ids=["layers", "blocks of 4x4", "33 levels"],
)
def test_a_jpeg_2000_in_crumbs_is_refused(offset: int, content: bytes) -> None:
    """OpenJPEG keeps tables for each of them."""
    at = RAW.index(b"\xff\x52") + 4 + offset
    with pytest.raises(CorruptImage):
        require_whole_jpeg2000(RAW[:at] + content + RAW[at + len(content) :])


def test_small_precincts_are_refused_where_they_cover_little_of_the_picture() -> None:
    """Those of the small levels may be small."""
    require_whole_jpeg2000(save(picture(400, 300), "jpeg2000", precinct_size=(64, 64)))
    with pytest.raises(CorruptImage, match="few pixels"):
        require_whole_jpeg2000(save(picture(400, 300), "jpeg2000", precinct_size=(8, 8)))


def test_parts_of_a_jpeg_2000_must_follow_each_other() -> None:
    """Up to the end of the file; the end marker alone may be missing."""
    require_whole_jpeg2000(RAW[:-2])
    size_at = RAW.index(b"\xff\x90") + 6
    for size, error in ((5, CorruptImage), (1 << 30, TruncatedImage)):
        with pytest.raises(error):
            require_whole_jpeg2000(RAW[:size_at] + struct.pack(">I", size) + RAW[size_at + 4 :])
