"""TIFF tags of the first directory: the header of a TIFF, and the orientation inside any EXIF block."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from ocrdet.errors import CorruptImage, UnsupportedFormat
from ocrdet.values import ImageHeader

if TYPE_CHECKING:
    from collections.abc import Iterator

_TAGS = {
    256: "width",
    257: "height",
    258: "bits",
    259: "compression",
    262: "photometric",
    273: "strip_offsets",
    274: "orientation",
    277: "samples",
    278: "strip_rows",
    279: "strip_bytes",
    284: "planes",
    322: "tile_width",
    323: "tile_height",
    339: "sample_format",
}
_NEXT_DIRECTORY = "next_directory"
_INTEGERS = {1: "B", 3: "H", 4: "I", 16: "Q"}  # TIFF type -> struct code
_SINGLE_BYTES = frozenset({1, 2, 6, 7})  # types that Pillow keeps as one string
_BYTE_ORDERS = {b"II": "<", b"MM": ">"}
_MODES = {0: "L", 1: "L", 2: "RGB", 3: "P", 5: "CMYK", 6: "RGB", 8: "LAB"}  # by photometric interpretation
_DEEP_GREY_MODES = {(16, 1): "I;16", (16, 2): "I", (32, 1): "I", (32, 2): "I", (32, 3): "F"}

_MAX_VALUES = 1 << 20  # Pillow makes a Python number of each; one strip for each row are 65,500
_MAX_PIXEL_BITS = 128  # four samples of 32 bits
_MAX_TILE_PIXELS = 1 << 20  # a tile may be larger than a small image, such as 512x512
_MAX_TILE_SHARE = 4
_NOT_COMPRESSED = 1


class _Entry(NamedTuple):
    """A tag of integers or of something else.

    Attributes:
        tag: Its number.
        kind: Its type.
        values: How many it has.
        start: Where they lie.
        place: Where their number stands; an offset, or few enough of them, follow.
        number: How struct writes it, with the byte order.
    """

    tag: int
    kind: int
    values: int
    start: int
    place: int
    number: str

    @property
    def code(self) -> str:
        """How struct writes a value."""
        return self.number[0] + _INTEGERS[self.kind]

    def first(self, data: bytes) -> int:
        """The first value."""
        return int(struct.unpack_from(self.code, data, self.start)[0])

    def every(self, data: bytes) -> tuple[int, ...]:
        """All values."""
        return struct.unpack_from(f"{self.code[0]}{self.values}{self.code[1]}", data, self.start)

    def shorten(self, data: bytearray, values: int) -> None:
        """Leave only so many of the values."""
        room = struct.calcsize(self.number)
        content = data[self.start : self.start + values * struct.calcsize(self.code)]
        struct.pack_into(self.number, data, self.place, values)
        if len(content) <= room:
            data[self.place + room : self.place + 2 * room] = content.ljust(room, b"\0")


def read_tiff(data: bytes) -> ImageHeader:
    """The header of a TIFF or BigTIFF; `frames` is 2 where a second directory follows.

    Raises:
        CorruptImage: The first directory names no width or height, or makes decoders take far more memory
            than its pixels need.
        UnsupportedFormat: A pixel has more bits than any kind of image that is read here.
    """
    tags = _read_tags(data)
    if "width" not in tags or "height" not in tags:
        raise CorruptImage("The TIFF's first directory states no width or height; export it again.")
    frames = 2 if tags[_NEXT_DIRECTORY] else 1
    header = ImageHeader("tiff", tags["width"], tags["height"], _valid_orientation(tags), _mode(tags), frames)
    tile = tags.get("tile_width", 0) * tags.get("tile_height", 0)
    if tile > max(_MAX_TILE_SHARE * header.pixels, _MAX_TILE_PIXELS):
        raise CorruptImage(
            f"The TIFF is {header.stored_width}x{header.stored_height} pixels, but a tile of it "
            f"{tags['tile_width']}x{tags['tile_height']}; export it again."
        )
    if sum(entry.values for entry in _entries(data) if entry.kind not in _SINGLE_BYTES) > _MAX_VALUES:
        raise CorruptImage(f"The TIFF's tags have more than {_MAX_VALUES} values; export it again.")
    if tags.get("bits", 1) * tags.get("samples", 1) > _MAX_PIXEL_BITS:
        raise UnsupportedFormat(
            f"A TIFF of {tags.get('samples', 1)} samples with {tags.get('bits', 1)} bits each is not read; "
            "save it as grey, RGB or CMYK with 8 or 16 bits each."
        )
    return header


def crop_tiff(data: bytes, header: ImageHeader) -> bytes | None:
    """A TIFF that ends early as a whole upright one of the rows that are there; None if none is.

    Of compressed rows only whole strips count. A tiled or planar TIFF has its rows scattered over the file,
    and gives none.
    """
    found = _known_entries(data)
    first = {name: entry.first(data) for name, entry in found.items()}
    if "tile_width" in first or first.get("planes", 1) != 1:
        return None
    starts, sizes = (found[name].every(data) for name in ("strip_offsets", "strip_bytes"))
    strip_rows = first.get("strip_rows", header.stored_height)
    rows = 0
    for start, size in zip(starts, sizes, strict=False):
        if start + size > len(data):
            rows += max(0, len(data) - start) // _row_bytes(header, first)
            break
        rows += strip_rows
    rows = min(rows, header.stored_height)
    if not rows:
        return None
    patched = bytearray(data)
    for name, value in (("height", rows), ("orientation", 1)):
        if name in found:
            struct.pack_into(found[name].code, patched, found[name].start, value)
    for name in ("strip_offsets", "strip_bytes"):
        found[name].shorten(patched, -(-rows // strip_rows))
    return bytes(patched)


def _row_bytes(header: ImageHeader, tags: dict[str, int]) -> int:
    """Bytes of a row; more than there can be where rows are compressed."""
    if tags.get("compression", 1) != _NOT_COMPRESSED:
        return 1 << 62
    return (header.stored_width * tags.get("bits", 1) * tags.get("samples", 1) + 7) // 8


def exif_orientation(exif: bytes) -> int:
    """The orientation 1-8 that an EXIF block states; 1 where it states none or cannot be read."""
    try:
        return _valid_orientation(_read_tags(exif.removeprefix(b"Exif\0\0")))
    except (KeyError, OverflowError, struct.error):
        return 1


def _valid_orientation(tags: dict[str, int]) -> int:
    orientation = tags.get("orientation", 1)
    return orientation if 1 <= orientation <= 8 else 1


def _mode(tags: dict[str, int]) -> str:
    mode, bits = _MODES.get(tags.get("photometric", 1), "L"), tags.get("bits", 1)
    deep = f"{mode};{bits}" if bits > 8 else mode
    if mode == "L":
        return "1" if bits == 1 else _DEEP_GREY_MODES.get((bits, tags.get("sample_format", 1)), deep)
    return deep.replace("RGB", "RGBA") if tags.get("samples") == 4 else deep


def _read_tags(data: bytes) -> dict[str, int]:
    """First value of each known tag, and where the next directory lies (0: there is none)."""
    _, _, _, end, head = _directory(data)
    tags = {name: entry.first(data) for name, entry in _known_entries(data).items()}
    return tags | {_NEXT_DIRECTORY: int.from_bytes(data[end : end + head])}


def _known_entries(data: bytes) -> dict[str, _Entry]:
    """The entries of the integer tags that are read here; of a tag that comes twice, the first."""
    found: dict[str, _Entry] = {}
    for entry in _entries(data):
        if entry.kind in _INTEGERS and entry.values and entry.tag in _TAGS:
            found.setdefault(_TAGS[entry.tag], entry)
    return found


def _directory(data: bytes) -> tuple[str, str, int, int, int]:
    """Byte order, code of an offset, start and end of the first directory's entries, bytes of an offset."""
    order = _BYTE_ORDERS[data[:2]]
    (version,) = struct.unpack_from(order + "H", data, 2)
    offset_code, count_code, head = ("Q", "Q", 8) if version == 43 else ("I", "H", 4)
    (directory,) = struct.unpack_from(order + offset_code, data, head)
    (count,) = struct.unpack_from(order + count_code, data, directory)
    start = directory + struct.calcsize(order + count_code)
    return order, offset_code, start, start + min(count, 0xFFFF) * (4 + 2 * head), head


def _entries(data: bytes) -> Iterator[_Entry]:
    """The entries of the first directory.

    Raises:
        struct.error: They are not all there.
    """
    order, offset_code, start, end, head = _directory(data)
    if end > len(data):
        raise struct.error("the directory is cut")
    layout = struct.Struct(f"{order}HH{offset_code}{head}s")
    entries = zip(range(start, end, layout.size), layout.iter_unpack(data[start:end]), strict=True)
    for position, (tag, kind, count, inline) in entries:
        fits = struct.calcsize(order + _INTEGERS.get(kind, "Q")) * count <= head
        where = position + layout.size - head if fits else struct.unpack(order + offset_code, inline)[0]
        yield _Entry(tag, kind, count, where, position + 4, order + offset_code)
