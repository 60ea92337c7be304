"""What an AVIF says of its image: its boxes (HEIF, AVIF 1.1) and the AV1 sequence headers in it.

libavif makes the picture that its codestream states and then scales it to the size in the boxes, so both are
read, for every item that makes up the picture: its tiles and its transparency among them.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from ocrdet.errors import CorruptImage, TruncatedImage
from ocrdet.values import ImageHeader
from ocrdet.vision.av1 import coded_sizes
from ocrdet.vision.isobmff import read_boxes

_MAX_ITEMS = 2048  # libavif looks them up one by one; also for their extents and references
_MAX_DECODED_SHARE = 4  # tiles that reach beyond the picture, and transparency
_MIN_DECODED_PIXELS = 1 << 20
_MAX_READ_SHARE = 2  # encoders write equal tiles once, so a small file may be read many times over
_MIN_READ_BYTES = 1 << 24
_MAX_CONFIGURATION_BYTES = 1024

_BRANDS = frozenset({b"avif", b"avis"})
_MAX_BRAND_BYTES = 256

# How quarter turns counter-clockwise and then a mirror (0: upside down, 1: left to right) show as EXIF.
_ORIENTATIONS = {
    (0, None): 1, (1, None): 8, (2, None): 3, (3, None): 6,
    (0, 0): 4, (1, 0): 5, (2, 0): 2, (3, 0): 7,
    (0, 1): 2, (1, 1): 7, (2, 1): 4, (3, 1): 5,
}  # fmt: skip


@dataclass(slots=True)
class _Item:
    """One coded image, grid or piece of metadata."""

    kind: bytes = b""
    extents: list[tuple[int, int]] = field(default_factory=list)
    properties: dict[bytes, bytes] = field(default_factory=dict)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height that the boxes state."""
        width, height = struct.unpack_from(">II", self.properties.get(b"ispe", b""), 4)
        return width, height

    def payload(self, data: bytes) -> bytes:
        """Its bytes.

        Raises:
            TruncatedImage: They are not all there.
        """
        if any(end > len(data) for _, end in self.extents):
            raise TruncatedImage("The AVIF ends before its image does; upload the whole file.")
        return b"".join(data[start:end] for start, end in self.extents)


@dataclass(slots=True)
class _Meta:
    """What the meta box holds.

    Attributes:
        primary: Number of the item that is the picture.
        items: All items by number.
        parts: Numbers of the tiles of an item.
        auxiliaries: Numbers of what belongs to an item, such as its transparency.
    """

    primary: int = 0
    items: dict[int, _Item] = field(default_factory=dict)
    parts: dict[int, list[int]] = field(default_factory=dict)
    auxiliaries: dict[int, list[int]] = field(default_factory=dict)


def is_avif(data: bytes) -> bool:
    """Whether the first box names AVIF as its brand, or among those of a general HEIF."""
    if data[4:8] != b"ftyp":
        return False
    end = min(int.from_bytes(data[:4]), _MAX_BRAND_BYTES)
    others = {data[at : at + 4] for at in range(16, end, 4)} if data[8:12] in {b"mif1", b"msf1"} else set()
    return not _BRANDS.isdisjoint({data[8:12], *others})


def read_avif(data: bytes) -> ImageHeader:
    """The header of an AVIF; `frames` is 2 for an animation, of which the still picture counts.

    Turned and mirrored images say so in their boxes; EXIF repeats it and is left aside (MIAF, 7.3.6.7).

    Raises:
        TruncatedImage: The bytes end before the picture does.
        CorruptImage: There is no picture in it, or its codestream is larger than its boxes state.
    """
    top = {kind: (start, end) for kind, start, end in reversed(list(read_boxes(data, 0, len(data))))}
    if b"meta" not in top:
        if b"mdat" not in top and b"moov" not in top:
            raise TruncatedImage("The AVIF ends inside its header; upload the whole file.")
        raise CorruptImage("The AVIF has no still picture in it; export it again.")
    if top[b"meta"][1] > len(data):
        raise TruncatedImage("The AVIF ends inside its header; upload the whole file.")
    meta = _read_meta(data, *top[b"meta"])
    if meta.primary not in meta.items:
        raise CorruptImage("The AVIF has no still picture in it; export it again.")
    primary = meta.items[meta.primary]
    width, height = primary.size
    parts = _parts(meta)
    configuration = next((c for item in parts if (c := item.properties.get(b"av1C"))), b"\0\0\0\0")
    bits = 8 + (configuration[2] >> 6 & 1) * (4 if configuration[2] >> 5 & 1 else 2)
    mode = "RGBA" if meta.primary in meta.auxiliaries else "L" if configuration[2] >> 4 & 1 else "RGB"
    mode += f";{bits}" if bits > 8 else ""
    header = ImageHeader("avif", width, height, _orientation(primary), mode, 2 if b"moov" in top else 1)
    _require_honest(data, header, parts)
    return header


def still_avif(data: bytes) -> bytes:
    """The same file without its animation: libavif would read that instead of the still picture."""
    patched = bytearray(data)
    for kind, start, end in read_boxes(data, 0, len(data)):
        if kind == b"ftyp":
            patched[start:end] = data[start:end].replace(b"avis", b"avif")
        elif kind == b"moov":
            name = data.rindex(b"moov", 0, start)
            patched[name : name + 4] = b"free"
    return bytes(patched)


def _parts(meta: _Meta) -> list[_Item]:
    """Every item that the picture is made of: itself, its tiles, its transparency and the tiles of that."""
    reached, waiting = set(), [meta.primary]
    while waiting:
        number = waiting.pop()
        if number in reached or number not in meta.items:
            continue
        reached.add(number)
        waiting += meta.parts.get(number, []) + meta.auxiliaries.get(number, [])
    return [meta.items[number] for number in sorted(reached)]


def _require_honest(data: bytes, header: ImageHeader, parts: list[_Item]) -> None:
    """Refuse what makes the decoder use far more memory than the stated pixels.

    Raises:
        CorruptImage: A codestream is larger than its box says, or the parts are larger than the whole.
    """
    decoded = read = 0
    for item in parts:
        stated: tuple[int, ...] = (0, 0)
        read += sum(end - start for start, end in item.extents)
        if read > max(_MAX_READ_SHARE * len(data), _MIN_READ_BYTES):
            raise CorruptImage("The AVIF's parts lie over each other; export it again.")
        if item.kind == b"grid":
            payload = item.payload(data)
            stated = struct.unpack_from(">II" if payload[1] & 1 else ">HH", payload, 4)
        elif item.kind == b"av01":
            payload = item.payload(data)
            decoded += item.size[0] * item.size[1]
            configuration = item.properties.get(b"av1C", b"")[4:_MAX_CONFIGURATION_BYTES]
            sizes = coded_sizes(payload) + coded_sizes(configuration)
            stated = tuple(max((size[axis] for size in sizes), default=0) for axis in (0, 1))
        if stated[0] > item.size[0] or stated[1] > item.size[1]:
            raise CorruptImage(
                f"The AVIF states a size of {item.size[0]}x{item.size[1]} pixels but holds "
                f"{stated[0]}x{stated[1]}; export it again."
            )
    if decoded > max(_MAX_DECODED_SHARE * header.pixels, _MIN_DECODED_PIXELS):
        raise CorruptImage("The AVIF's tiles are far larger than its image; export it again.")


def _orientation(item: _Item) -> int:
    turns = item.properties.get(b"irot", b"\0")[0] & 3
    mirror = item.properties.get(b"imir")
    return _ORIENTATIONS[turns, mirror[0] & 1 if mirror else None]


def _read_meta(data: bytes, start: int, end: int) -> _Meta:
    meta, inline = _Meta(), 0
    boxes = {kind: (at, stop) for kind, at, stop in read_boxes(data, start + 4, end)}
    if b"idat" in boxes:
        inline = boxes[b"idat"][0]
    if b"pitm" in boxes:
        at = boxes[b"pitm"][0]
        (meta.primary,) = struct.unpack_from(">H" if data[at] == 0 else ">I", data, at + 4)
    if b"iinf" in boxes:
        _read_kinds(data, *boxes[b"iinf"], meta)
    if b"iloc" in boxes:
        _read_locations(data, boxes[b"iloc"][0], inline, meta)
    if b"iprp" in boxes:
        _read_properties(data, *boxes[b"iprp"], meta)
    if b"iref" in boxes:
        _read_references(data, *boxes[b"iref"], meta)
    return meta


def _read_kinds(data: bytes, start: int, end: int, meta: _Meta) -> None:
    for kind, at, _ in read_boxes(data, start + (6 if data[start] == 0 else 8), end):
        if kind == b"infe" and data[at] >= 2:
            code = ">HxxI" if data[at] == 2 else ">IxxI"
            number, name = struct.unpack_from(code.replace("xxI", "xx4s"), data, at + 4)
            meta.items.setdefault(number, _Item()).kind = name


def _read_locations(data: bytes, at: int, inline: int, meta: _Meta) -> None:
    version, sizes = data[at], int.from_bytes(data[at + 4 : at + 6])
    offset_size, length_size, base_size = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15
    index_size = sizes & 15 if version in {1, 2} else 0
    wide = 4 if version == 2 else 2
    cursor = at + 6

    def take(octets: int) -> int:
        nonlocal cursor
        if cursor + octets > len(data):
            raise IndexError
        cursor += octets
        return int.from_bytes(data[cursor - octets : cursor])

    extents = 0
    for _ in range(_bounded(take(wide))):
        item = meta.items.setdefault(take(wide), _Item())
        method = take(2) & 15 if version in {1, 2} else 0
        take(2)
        base = take(base_size) + (inline if method == 1 else 0)
        count = take(2)
        extents = _bounded(extents + count)
        for _ in range(count):
            take(index_size)
            start = base + take(offset_size)
            length = take(length_size)
            item.extents.append((start, start + length if length else len(data)))


def _bounded(count: int) -> int:
    if count > _MAX_ITEMS:
        raise CorruptImage(f"The AVIF has more than {_MAX_ITEMS} items or parts of them; export it again.")
    return count


def _read_properties(data: bytes, start: int, end: int, meta: _Meta) -> None:
    boxes = {kind: (at, stop) for kind, at, stop in read_boxes(data, start, end)}
    every = [(kind, data[at:stop]) for kind, at, stop in read_boxes(data, *boxes[b"ipco"])]
    at = boxes[b"ipma"][0]
    version, wide = data[at], data[at + 3] & 1
    (entries,) = struct.unpack_from(">I", data, at + 4)
    at += 8
    for _ in range(_bounded(entries)):
        number, count = struct.unpack_from(">HB" if version == 0 else ">IB", data, at)
        at += 3 if version == 0 else 5
        for index in struct.unpack_from(f">{count}{'H' if wide else 'B'}", data, at):
            place = index & (0x7FFF if wide else 0x7F)
            if 0 < place <= len(every):
                kind, content = every[place - 1]
                meta.items.setdefault(number, _Item()).properties.setdefault(kind, content)
        at += count * (2 if wide else 1)


def _read_references(data: bytes, start: int, end: int, meta: _Meta) -> None:
    wide, references = "I" if data[start] else "H", 0
    for kind, at, _ in read_boxes(data, start + 4, end):
        source, count = struct.unpack_from(f">{wide}H", data, at)
        references = _bounded(references + count)
        targets = struct.unpack_from(f">{count}{wide}", data, at + (6 if wide == "I" else 4))
        if kind == b"dimg":
            meta.parts.setdefault(source, []).extend(targets)
        elif kind == b"auxl":
            for target in targets:
                meta.auxiliaries.setdefault(target, []).append(source)
