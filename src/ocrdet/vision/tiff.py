"""TIFF tags of the first directory: the header of a TIFF, and the orientation inside any EXIF block."""

from __future__ import annotations

import struct

from ocrdet.errors import CorruptImage
from ocrdet.values import ImageHeader

_TAGS = {
    256: "width",
    257: "height",
    258: "bits",
    262: "photometric",
    274: "orientation",
    277: "samples",
    339: "sample_format",
}
_NEXT_DIRECTORY = "next_directory"
_INTEGERS = {1: "B", 3: "H", 4: "I", 16: "Q"}  # TIFF type -> struct code
_BYTE_ORDERS = {b"II": "<", b"MM": ">"}
_MODES = {0: "L", 1: "L", 2: "RGB", 3: "P", 5: "CMYK", 6: "RGB", 8: "LAB"}  # by photometric interpretation
_DEEP_GREY_MODES = {(16, 1): "I;16", (16, 2): "I", (32, 1): "I", (32, 2): "I", (32, 3): "F"}


def read_tiff(data: bytes) -> ImageHeader:
    """The header of a TIFF or BigTIFF; `frames` is 2 where a second directory follows.

    Raises:
        CorruptImage: The first directory names no width or height.
    """
    tags = _read_tags(data)
    if "width" not in tags or "height" not in tags:
        raise CorruptImage("The TIFF's first directory states no width or height; export it again.")
    frames = 2 if tags[_NEXT_DIRECTORY] else 1
    return ImageHeader("tiff", tags["width"], tags["height"], _valid_orientation(tags), _mode(tags), frames)


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
    order = _BYTE_ORDERS[data[:2]]
    (version,) = struct.unpack_from(order + "H", data, 2)
    offset_code, count_code, head = ("Q", "Q", 8) if version == 43 else ("I", "H", 4)
    (directory,) = struct.unpack_from(order + offset_code, data, head)
    (count,) = struct.unpack_from(order + count_code, data, directory)
    entry = struct.Struct(f"{order}HH{offset_code}{head}s")
    start = directory + struct.calcsize(order + count_code)
    end = start + min(count, 0xFFFF) * entry.size
    tags = {_NEXT_DIRECTORY: int.from_bytes(data[end : end + head])}
    for tag, kind, values, inline in entry.iter_unpack(data[start:end]):
        if tag in _TAGS and kind in _INTEGERS and values:
            code = order + _INTEGERS[kind]
            fits = struct.calcsize(code) * values <= head
            where = 0 if fits else struct.unpack(order + offset_code, inline)[0]
            (value,) = struct.unpack_from(code, inline if fits else data, where)
            tags.setdefault(_TAGS[tag], value)  # of a tag that comes twice, the first counts
    return tags
