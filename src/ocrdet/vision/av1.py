"""The sizes that the sequence headers of an AV1 codestream state (AV1 specification, 5.3 to 5.5)."""

from __future__ import annotations

from dataclasses import dataclass

from ocrdet.errors import CorruptImage

_SEQUENCE_HEADER = 1
_MAX_UNITS = 512  # of one tile; encoders write three
_MAX_HEADER_BYTES = 512  # 32 operating points take some 300


def coded_sizes(data: bytes) -> list[tuple[int, int]]:
    """Largest width and height of each sequence header.

    Raises:
        CorruptImage: The codestream has far more units than a picture.
    """
    sizes: list[tuple[int, int]] = []
    position = 0
    for _ in range(_MAX_UNITS):
        if position >= len(data):
            return sizes
        head = data[position]
        position += 2 if head & 4 else 1
        size = len(data) - position
        if head & 2:
            size, position = _leb128(data, position)
        if head >> 3 & 15 == _SEQUENCE_HEADER:
            sizes.append(_sequence_size(data[position : position + min(size, _MAX_HEADER_BYTES)]))
        position += size
    raise CorruptImage(f"The AVIF's picture has more than {_MAX_UNITS} units; export it again.")


def _leb128(data: bytes, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 56, 7):
        octet = data[position]
        position += 1
        value |= (octet & 0x7F) << shift
        if octet < 0x80:
            break
    return value, position


@dataclass(slots=True)
class _Bits:
    """Bits of a byte string, the highest first."""

    data: bytes
    position: int = 0

    def take(self, count: int) -> int:
        """The next bits as a number.

        Raises:
            IndexError: There are not so many.
        """
        end = self.position + count
        if end > 8 * len(self.data):
            raise IndexError
        value = int.from_bytes(self.data[self.position >> 3 : (end + 7) >> 3])
        self.position = end
        return value >> (-end % 8) & ((1 << count) - 1)


def _sequence_size(data: bytes) -> tuple[int, int]:
    bits = _Bits(data)
    bits.take(4)  # profile, still_picture
    if bits.take(1):  # reduced_still_picture_header
        bits.take(5)
    else:
        _skip_operating_points(bits, _skip_timing(bits))
    widths, heights = bits.take(4) + 1, bits.take(4) + 1
    return bits.take(widths) + 1, bits.take(heights) + 1


def _skip_timing(bits: _Bits) -> int | None:
    """Bits of a decoder buffer's delay, None where there is no decoder model."""
    if not bits.take(1):
        return None
    bits.take(64)
    if bits.take(1):  # equal_picture_interval: a number after as many ones as it has zeros before it
        zeros = 0
        while zeros < 32 and not bits.take(1):
            zeros += 1
        bits.take(zeros if zeros < 32 else 0)
    if not bits.take(1):
        return None
    delay = bits.take(5) + 1
    bits.take(42)
    return delay


def _skip_operating_points(bits: _Bits, delay: int | None) -> None:
    display_delays = bits.take(1)
    for _ in range(bits.take(5) + 1):
        bits.take(12)
        if bits.take(5) > 7:  # seq_level_idx
            bits.take(1)
        if delay is not None and bits.take(1):
            bits.take(2 * delay + 1)
        if display_delays and bits.take(1):
            bits.take(4)
