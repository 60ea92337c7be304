"""A JPEG 2000's structure, bare or in a .jp2 file: its header, and whether it is whole (ISO 15444-1)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from ocrdet.errors import CorruptImage, TruncatedImage, UnsupportedFormat
from ocrdet.values import ImageHeader
from ocrdet.vision.isobmff import read_boxes

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAX_SEGMENTS = 200_000  # three for each of as many tiles as fit into 65 million pixels
_MAX_BITS = 16
# OpenJPEG keeps about 9 KB for each tile, 100 bytes for each block and precinct, and counters for each layer.
_MIN_TILE_PIXELS = 1024
_FEW_TILES = 64
_MIN_BLOCK_BITS = 8  # blocks of 16x16 or 64x4
_MIN_PRECINCT_BITS = 4
_MAX_LAYERS = 256

_SOC, _SIZ, _COD, _COC, _SOT, _SOD, _EOC = 0xFF4F, 0xFF51, 0xFF52, 0xFF53, 0xFF90, 0xFF93, 0xFFD9
_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
_CMYK = 12


def read_jpeg2000(data: bytes) -> ImageHeader:
    """The header of a JPEG 2000: the size that its codestream states.

    Raises:
        CorruptImage: The file around the codestream states another size, or tables that take far more memory
            than the pixels.
        UnsupportedFormat: A number of components or a depth that is not read.
    """
    start, stated, colours = _find_codestream(data)
    (length, right, bottom, left, top) = struct.unpack_from(">H2xIIII", data, start + 4)
    tile_width, tile_height = struct.unpack_from(">II", data, start + 24)
    (components,) = struct.unpack_from(">H", data, start + 40)
    width, height = right - left, bottom - top
    if length < 38 + 3 * components or min(tile_width, tile_height) < 1 or min(width, height) < 1:
        raise CorruptImage("The JPEG2000's header contradicts itself; export it again.")
    bits = max((data[start + 42 + 3 * index] & 0x7F) + 1 for index in range(max(components, 1)))
    if components not in _MODES or bits > _MAX_BITS:
        raise UnsupportedFormat(
            f"A JPEG 2000 of {components} components with {bits} bits each is not read; "
            "save it as grey or RGB with 8 or 16 bits each."
        )
    if stated not in {None, (width, height, components)}:
        raise CorruptImage(
            f"The JPEG2000 states a size of {stated[0]}x{stated[1]} pixels but holds {width}x{height}; "
            "export it again."
        )
    tiles = -(-right // tile_width) * -(-bottom // tile_height)
    if tiles > max(_FEW_TILES, width * height // _MIN_TILE_PIXELS):
        raise CorruptImage(
            f"The JPEG2000 has {tiles} tiles for its {width}x{height} pixels; export it again."
        )
    mode = "CMYK" if colours == _CMYK and components == 4 else _MODES[components]
    return ImageHeader("jpeg2000", width, height, mode=f"{mode};{bits}" if bits > 8 else mode)


def require_whole_jpeg2000(data: bytes) -> None:
    """Refuse a JPEG 2000 that ends early, or is cut into so small parts that their tables take the memory.

    Raises:
        TruncatedImage: A tile part is not all there.
        CorruptImage: The chain of tile parts is broken, or blocks, precincts or layers are hostile.
    """
    start, _, _ = _find_codestream(data)
    for marker, at in _segments(data, start):
        if marker == _COD:
            (layers,) = struct.unpack_from(">H", data, at + 2)
            if layers > _MAX_LAYERS:
                raise CorruptImage(f"The JPEG2000 has more than {_MAX_LAYERS} layers; export it again.")
            _require_large_blocks(data, at + 5, precincts=data[at] & 1)
        elif marker == _COC:
            _require_large_blocks(data, at + 2, precincts=data[at + 1] & 1)


def _require_large_blocks(data: bytes, at: int, *, precincts: int) -> None:
    levels, width, height = data[at : at + 3]
    small = (width & 15) + (height & 15) + 4 < _MIN_BLOCK_BITS
    # From the smallest level up: a precinct of each covers twice as much of the picture as of the next.
    sizes = enumerate(data[at + 5 : at + 6 + levels] if precincts else b"")
    covered = (min(size & 15, size >> 4) + levels - level for level, size in sizes)
    if small or levels > 32 or min(covered, default=_MIN_PRECINCT_BITS) < _MIN_PRECINCT_BITS:
        raise CorruptImage("The JPEG2000 is cut into blocks of a few pixels; export it again.")


def _segments(data: bytes, start: int) -> Iterator[tuple[int, int]]:
    """Marker and start of the payload of each segment of the main header and of each tile part's.

    Raises:
        TruncatedImage: The bytes end before the last tile part does.
        CorruptImage: Something else stands where a marker must be.
    """
    position, part_end = start + 2, 0
    for _ in range(_MAX_SEGMENTS):
        marker = int.from_bytes(data[position : position + 2])
        if marker == _EOC or (part_end and position == len(data)):  # the end marker may be missing
            return
        if marker == _SOD:
            if part_end <= position:  # the part would end where its data begin, again and again
                break
            position = part_end
            continue
        (length,) = struct.unpack_from(">H", data, position + 2)
        if marker < _SOC or length < 2:
            break
        if marker == _SOT:
            part_end = _part_end(data, position)
        yield marker, position + 4
        position += 2 + length
    raise CorruptImage("The JPEG2000's parts do not follow each other, or are too many; export it again.")


def _part_end(data: bytes, start: int) -> int:
    """Where a tile part ends.

    Raises:
        TruncatedImage: Behind the end of the file.
        CorruptImage: Before its own header does.
    """
    (size,) = struct.unpack_from(">I", data, start + 6)
    end = start + size if size else data.rfind(b"\xff\xd9")  # the last part may reach to the end marker
    if not start + 14 <= end <= len(data):
        if size and end < start + 14:
            raise CorruptImage("A part of the JPEG2000 is smaller than its own head; export it again.")
        raise TruncatedImage("The JPEG2000 ends before its image does; upload the whole file.")
    return end


def _find_codestream(data: bytes) -> tuple[int, tuple[int, int, int] | None, int | None]:
    """Where the codestream begins, and size, components and colour space that the file around it states.

    Raises:
        TruncatedImage: There is none yet.
        CorruptImage: The file around it says too little, or has something else in its place.
    """
    if data.startswith(b"\xff\x4f"):
        return 0, None, None
    stated, colours = None, None
    for kind, start, end in read_boxes(data, 0, len(data)):
        if kind == b"jp2h":
            inner = {kind: at for kind, at, _ in read_boxes(data, start, min(end, len(data)))}
            if b"ihdr" not in inner:
                break
            height, width, components = struct.unpack_from(">IIH", data, inner[b"ihdr"])
            stated = (width, height, components)
            if b"colr" in inner and data[inner[b"colr"]] == 1:
                (colours,) = struct.unpack_from(">I", data, inner[b"colr"] + 3)
        elif kind == b"jp2c":
            if stated is None or data[start : start + 4] != b"\xff\x4f\xff\x51":
                break
            return start, stated, colours
    else:
        raise TruncatedImage("The JPEG2000 ends before its image; upload the whole file.")
    raise CorruptImage("The JPEG2000's header does not describe its image; export it again.")
