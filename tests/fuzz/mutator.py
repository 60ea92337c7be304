"""Mutations that keep a file's structure: its pieces changed one by one, lengths and checksums made right.

A blind change of a byte is mostly refused by the first check; what these make gets behind it.
"""

from __future__ import annotations

import random
import re
import struct
import zlib
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from tests.fuzz.choices import CONTROL_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Mutate = Callable[[bytes, int], bytes]

NUMBERS = (
    *(0, 1, 2, 3, 4, 7, 8, 15, 16, 31, 32, 63, 64, 100, 127, 128, 255, 256, 257, 511, 512, 1000, 1023),
    *(1024, 2047, 4095, 4096, 8191, 9999, 10000, 16384, 30000, 32767, 32768, 65499, 65500, 65501, 65535),
    *(65536, 1 << 20, 1 << 24, 50_000_000, (1 << 31) - 1, 1 << 31, (1 << 32) - 1),
)
WORDS = (
    *(b"score_threshold", b"iou_threshold", b"fit", b"tile", b"stretch", b"polygons", b"true", b"scene"),
    *(b"coordinates", b"stored", b"normalized", b"allow_truncated", b"max_regions", b"output", b"webui"),
    *(b'"image":', b'"images":', b"null", b"1e999", b"-0", b"\\ud800", b"[", b"]", b"{", b"}", b",", b'"'),
    *(b"\r\n--fuzz\r\n", b"--fuzz--\r\n", b'Content-Disposition: form-data; name="file"\r\n\r\n', b"="),
    *(b"data:image/png;base64,", b"\xff\xd8", b"\xff\xd9", b"\xff\xda", b"II*\0", b"MM\0*", b"Exif\0\0"),
)


class Piece(NamedTuple):
    """A piece of a file: what kind it is, and its bytes."""

    kind: bytes
    payload: bytes


class Format(NamedTuple):
    """How one container is taken apart and put together."""

    begins: re.Pattern[bytes]
    split: Callable[[bytes], Iterator[Piece]]
    join: Callable[[Sequence[Piece]], bytes]


class Mutator:
    """Makes the next input of one."""

    def __init__(self, mutate: Mutate, files: Sequence[bytes]) -> None:
        """Remember libFuzzer's own mutation and the files to splice in."""
        self._mutate = mutate
        self._files = files

    def __call__(self, data: bytes, max_size: int, seed: int) -> bytes:
        """A mutated input, always the same for the same arguments but for libFuzzer's own part in it."""
        rng = random.Random(seed)  # noqa: S311 - drawn, not secret
        control, body = data[:CONTROL_BYTES].ljust(CONTROL_BYTES, b"\0"), data[CONTROL_BYTES:]
        room = max_size - CONTROL_BYTES
        roll = rng.random()
        if roll < 0.4:
            control = self._control(control, rng)
        if roll > 0.3:
            for _ in range(rng.choice((1, 1, 1, 2, 3))):
                body = self._body(body, room, rng)
        return control + body[:room]

    @staticmethod
    def _control(control: bytes, rng: random.Random) -> bytes:
        block = bytearray(control)
        for _ in range(rng.randint(1, 4)):
            block[rng.randrange(len(block))] = rng.randrange(256)
        return bytes(block)

    def _body(self, body: bytes, room: int, rng: random.Random) -> bytes:
        roll = rng.random()
        if roll < 0.3:
            return self._mutate(body, max(1, room))
        if roll < 0.65:
            return self._structured(body, room, rng)
        plain = (self._number, self._cut, self._splice, self._word, self._fields, self._whole)
        return rng.choice(plain)(body, rng)

    def _structured(self, body: bytes, room: int, rng: random.Random) -> bytes:
        known = next((form for form in FORMATS if form.begins.match(body)), None)
        if known is None:
            return self._fields(body, rng)
        pieces = list(known.split(body))
        if not pieces:
            return body
        at = rng.randrange(len(pieces))
        roll = rng.random()
        if roll < 0.6:
            pieces[at] = Piece(pieces[at].kind, self._payload(pieces[at], room, rng))
        elif roll < 0.7:
            del pieces[at]
        elif roll < 0.8:
            pieces.insert(rng.randrange(len(pieces) + 1), pieces[at])
        elif roll < 0.9:
            other = rng.randrange(len(pieces))
            pieces[at], pieces[other] = pieces[other], pieces[at]
        else:
            same = [file for file in self._files if known.begins.match(file)]
            lent = list(known.split(rng.choice(same))) if same else []
            pieces[at : at + rng.randint(0, 1)] = [rng.choice(lent)] if lent else []
        return known.join(pieces)

    def _payload(self, piece: Piece, room: int, rng: random.Random) -> bytes:
        if piece.kind == b"IDAT" and rng.random() < 0.5:
            raw = zlib.decompressobj()
            try:
                rows = raw.decompress(piece.payload, room)
            except zlib.error:
                return piece.payload
            return zlib.compress(self._mutate(rows, max(1, room)), 1)
        if rng.random() < 0.3:
            return self._mutate(piece.payload, max(1, room))
        return rng.choice((self._number, self._number, self._cut, self._fields))(piece.payload, rng)

    @staticmethod
    def _number(body: bytes, rng: random.Random) -> bytes:
        """A number of some width written somewhere, most often near the beginning."""
        width, order = rng.choice((1, 1, 2, 2, 4, 4, 8)), rng.choice("<>")
        at = int(len(body) * rng.random() ** 3)
        value = rng.choice(NUMBERS) & (1 << 8 * width) - 1
        code = {1: "B", 2: "H", 4: "I", 8: "Q"}[width]
        return body[:at] + struct.pack(order + code, value) + body[at + width :]

    @staticmethod
    def _cut(body: bytes, rng: random.Random) -> bytes:
        """Without its end, or without some bytes within, or with some twice."""
        start = rng.randint(0, len(body))
        end = min(len(body), start + rng.choice((1, 2, 4, 12, 64, 512)))
        return rng.choice((body[:start], body[:start] + body[end:], body[:end] + body[start:]))

    def _splice(self, body: bytes, rng: random.Random) -> bytes:
        other = rng.choice(self._files)
        start, end = rng.randint(0, len(other)), rng.randint(0, len(body))
        return rng.choice((body[:end] + other[start:], other[:start] + body[end:], body + other))

    @staticmethod
    def _word(body: bytes, rng: random.Random) -> bytes:
        at = rng.randint(0, len(body))
        return body[:at] + rng.choice(WORDS) + body[at + rng.choice((0, 0, 1, 4)) :]

    def _whole(self, _: bytes, rng: random.Random) -> bytes:
        return rng.choice(self._files)

    @staticmethod
    def _fields(body: bytes, rng: random.Random) -> bytes:
        """An entry of a directory or a field of a header: where TIFF, EXIF and BMP keep theirs."""
        at = body.find(b"Exif\0\0") + 6 if b"Exif\0\0" in body else 0
        order = ">" if body[at : at + 2] == b"MM" else "<"
        if body[at : at + 2] in {b"II", b"MM"} and len(body) >= at + 8:
            (offset,) = struct.unpack_from(order + "I", body, at + 4)
            entry = at + offset + 2 + 12 * rng.randrange(24) + rng.choice((0, 2, 4, 8, 8, 8))
        else:
            entry = rng.randrange(64)
        if entry + 4 > len(body):
            return body
        long = rng.random() < 0.5
        value = rng.choice(NUMBERS) & (0xFFFFFFFF if long else 0xFFFF)
        number = struct.pack(order + ("I" if long else "H"), value)
        return body[:entry] + number + body[entry + len(number) :]


def _png_pieces(data: bytes) -> Iterator[Piece]:
    at = 8
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        yield Piece(kind, data[at + 8 : at + 8 + length])
        at += 12 + length


def _join_png(pieces: Sequence[Piece]) -> bytes:
    chunks = (
        struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))
        for kind, payload in pieces
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def _riff_pieces(data: bytes) -> Iterator[Piece]:
    at = 12
    while at + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, at)
        yield Piece(kind, data[at + 8 : at + 8 + length])
        at += 8 + length + (length & 1)


def _join_riff(pieces: Sequence[Piece]) -> bytes:
    chunks = b"".join(
        kind + struct.pack("<I", len(payload)) + payload + bytes(len(payload) & 1) for kind, payload in pieces
    )
    return b"RIFF" + struct.pack("<I", len(chunks) + 4) + b"WEBP" + chunks


def _jpeg_pieces(data: bytes) -> Iterator[Piece]:
    """Segments; what is between two markers without being one's payload belongs to the marker before."""
    for match in re.finditer(rb"\xff[\xc0-\xfe]", data):
        following = re.compile(rb"\xff[\xc0-\xfe]").search(data, match.end())
        content = data[match.end() : following.start() if following else len(data)]
        yield Piece(match.group(), content)


def _join_jpeg(pieces: Sequence[Piece]) -> bytes:
    return b"".join(
        # A scan's data stand behind its header, whose length is its own.
        kind + (struct.pack(">H", len(payload)) + payload[2:] if _has_length(kind) else payload)
        for kind, payload in pieces
    )


def _has_length(kind: bytes) -> bool:
    return kind[1] not in {0xDA, 0xD8, 0xD9} and not 0xD0 <= kind[1] <= 0xD7


def _box_pieces(data: bytes) -> Iterator[Piece]:
    at = 0
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + length if length >= 8 else len(data)
        yield Piece(kind, data[at + 8 : end])
        at = end


def _join_boxes(pieces: Sequence[Piece]) -> bytes:
    return b"".join(struct.pack(">I4s", len(payload) + 8, kind) + payload for kind, payload in pieces)


def _gif_pieces(data: bytes) -> Iterator[Piece]:
    """The header with its palette, then everything from one block's mark to the next."""
    marks = [match.start() for match in re.finditer(rb"[\x21\x2c\x3b]", data[13:])]
    starts = [0, *(13 + mark for mark in marks), len(data)]
    for start, end in pairwise(starts):
        yield Piece(b"", data[start:end])


def _join_plain(pieces: Sequence[Piece]) -> bytes:
    return b"".join(kind + payload for kind, payload in pieces)


def _codestream_pieces(data: bytes) -> Iterator[Piece]:
    starts = [match.start() for match in re.finditer(rb"\xff[\x4f-\x93\xd9]", data)]
    for start, end in zip(starts, [*starts[1:], len(data)], strict=True):
        yield Piece(data[start : start + 2], data[start + 2 : end])


FORMATS = (
    Format(re.compile(rb"\x89PNG"), _png_pieces, _join_png),
    Format(re.compile(rb"RIFF.{4}WEBP", re.DOTALL), _riff_pieces, _join_riff),
    Format(re.compile(rb"\xff\xd8"), _jpeg_pieces, _join_jpeg),
    Format(re.compile(rb"\xff\x4f"), _codestream_pieces, _join_plain),
    Format(re.compile(rb"GIF8"), _gif_pieces, _join_plain),
    Format(re.compile(rb"\0{3}.(ftyp|jP  )", re.DOTALL), _box_pieces, _join_boxes),
)
