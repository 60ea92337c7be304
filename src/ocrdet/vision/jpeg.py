"""A JPEG's structure: its header, whether it is whole, and the part of it that decoders need."""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING

import numpy as np

from ocrdet.errors import CorruptImage, TruncatedImage, UnsupportedFormat
from ocrdet.values import ImageHeader
from ocrdet.vision.containers import SUPPORTED_FORMATS
from ocrdet.vision.tiff import exif_orientation

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAX_SEGMENTS = 65_536  # ten times what the longest extended XMP takes
_MAX_SCANS = 100  # every scan walks the whole picture; encoders write about ten

_MAX_MARKERS = 65_536  # looked at inside the scans, for signs of damage

_EOI, _SOS, _EXIF, _APP2 = 0xD9, 0xDA, 0xE1, 0xE2
_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_BARE_MARKERS = frozenset({0x00, 0x01, *range(0xD0, 0xD9)})
_RESTART_MARKERS = range(0xD0, 0xD8)
# What may stand between two scans: tables, the restart interval, the number of lines, metadata.
_SEGMENT_MARKERS = frozenset({0xC4, 0xCC, 0xDA, 0xDB, 0xDC, 0xDD, *range(0xE0, 0xF0), 0xFE})
_AFTER_SCAN = re.compile(b"\xff[%s]" % re.escape(bytes({*_SEGMENT_MARKERS, _EOI})))
_METADATA_MARKERS = frozenset({*range(0xE1, 0xEE), 0xEF, 0xFE})  # not JFIF (0xE0), not Adobe (0xEE)
_JPEG_MODES = {1: "L", 3: "RGB", 4: "CMYK"}


def read_jpeg(data: bytes) -> ImageHeader:
    """The header of a JPEG; `frames` is 2 for a multi-picture file.

    Raises:
        CorruptImage: No frame header before the first scan.
        UnsupportedFormat: A sample depth or number of components that is not read.
    """
    frame, orientation, frames = None, 1, 1
    for marker, start, end in _jpeg_segments(data):
        if marker in _FRAME_MARKERS:
            frame = struct.unpack_from(">BHHB", data, start)
        elif marker == _EXIF and orientation == 1 and data.startswith(b"Exif\0\0", start):
            orientation = exif_orientation(data[start:end])
        elif marker == _APP2 and data.startswith(b"MPF\0", start):
            frames = 2
    if frame is None:
        raise CorruptImage("The JPEG has no frame header before its first scan; export it again.")
    precision, height, width, components = frame
    if precision != 8 or components not in _JPEG_MODES:
        raise UnsupportedFormat(
            f"A JPEG of {components} components with {precision} bits each is not read; "
            "save it as greyscale, RGB or CMYK with 8 bits each.",
            supported=list(SUPPORTED_FORMATS),
        )
    return ImageHeader("jpeg", width, height, orientation, _JPEG_MODES[components], frames)


def require_whole_jpeg(data: bytes) -> None:
    """Refuse a JPEG that ends early, which decoders fill with grey, or that has a hostile number of scans.

    Raises:
        TruncatedImage: No end marker behind the first scan.
        CorruptImage: More scans than any encoder writes.
    """
    *_, (_, scan, position) = _jpeg_segments(data)
    # Inside scan data 0xFF is escaped, so this is no accident; thumbnails' end markers lie before the scan.
    if data.rfind(b"\xff\xd9") < scan:
        raise TruncatedImage("The JPEG ends before its end marker; upload the whole file.")
    # By NumPy, because a search for two bytes takes 0.3 ms in which no other Python runs.
    markers = np.frombuffer(data, np.uint8, offset=scan)
    found = np.count_nonzero((markers[:-1] == 0xFF) & (markers[1:] == _SOS))
    if found > _MAX_SCANS:  # in a thumbnail or behind the end they do no harm
        _require_few_scans(data, position)


def _require_few_scans(data: bytes, position: int) -> None:
    scans = 1
    for _ in range(_MAX_SEGMENTS):
        found = _AFTER_SCAN.search(data, position)
        if found is None or data[found.end() - 1] == _EOI:
            return
        scans += data[found.end() - 1] == _SOS
        if scans > _MAX_SCANS:
            raise CorruptImage(f"The JPEG has more than {_MAX_SCANS} scans; export it again.")
        position = found.end() + int.from_bytes(data[found.end() : found.end() + 2])
    raise CorruptImage(f"The JPEG has more than {_MAX_SEGMENTS} segments between its scans.")


def has_damaged_scans(data: bytes) -> bool:
    """Whether restart markers are out of order, or markers stand where none may be.

    Decoders hide such damage behind grey or shifted blocks. Other damage cannot be told from a picture
    without decoding it. Costs about a hundredth of the decoding.
    """
    *_, (_, _, position) = _jpeg_segments(data)
    octets = np.frombuffer(data, np.uint8)
    where = np.flatnonzero(octets[position:-1] == 0xFF) + position
    following = octets[where + 1]
    restart = 0
    for start in where[(following != 0x00) & (following != 0xFF)][:_MAX_MARKERS].tolist():
        marker = data[start + 1]
        if start < position:  # inside a segment
            continue
        if marker in _SEGMENT_MARKERS:
            position, restart = start + 2 + int.from_bytes(data[start + 2 : start + 4]), 0
        elif marker in _RESTART_MARKERS:
            if marker != _RESTART_MARKERS[restart]:
                return True
            restart = (restart + 1) % 8
        else:
            return bool(marker != _EOI)
    return False


def strip_jpeg(data: bytes) -> bytes:
    """The same picture without metadata; the colour profile stays.

    Pillow joins and parses what it finds there, in a time that grows with its square.
    """
    kept = [data[:2]]
    for marker, start, end in _jpeg_segments(data):
        if marker == _SOS:
            kept.append(data[start - 4 :])
        elif marker not in _METADATA_MARKERS or data.startswith(b"ICC_PROFILE\0", start):
            kept.append(data[start - 4 : end])
    return b"".join(kept)


def complete_jpeg(data: bytes) -> bytes:
    """A JPEG that ends early with an end of its own: decoders make what is missing grey."""
    return data.rstrip(b"\xff") + bytes((0xFF, _EOI))


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Marker, start and end of the payload of each segment, up to and with the first start of scan.

    Raises:
        CorruptImage: No scan follows.
    """
    position = 2
    for _ in range(_MAX_SEGMENTS):
        position = data.index(b"\xff", position)
        marker = data[position + 1]
        if marker in _BARE_MARKERS:
            position += 2
        elif marker == 0xFF:  # a fill byte
            position += 1
        elif marker == _EOI:
            raise CorruptImage("The JPEG ends without a picture in it; export it again.")
        else:
            (length,) = struct.unpack_from(">H", data, position + 2)
            yield marker, position + 4, position + 2 + length
            if marker == _SOS:
                return
            position += 2 + max(length, 2)
    raise CorruptImage(f"The JPEG has more than {_MAX_SEGMENTS} segments before its picture.")
