"""multipart/form-data, parsed in memory as it streams in; nothing is ever written to disk."""

from __future__ import annotations

from dataclasses import dataclass

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from ocrdet.errors import BodyTooLarge, InvalidParameter

# An option is a word or a number; more is a mistake.
MAX_FIELD_BYTES = 4096
MAX_FIELDS = 64
FILE_NAMES = ("file", "image")
_MALFORMED = "The multipart body is malformed: {}."


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a form.

    Attributes:
        name: The field's name.
        filename: The file's name as the client states it; None for a plain field.
        data: The part's bytes; nothing is kept of a file above the limit.
        too_large: Whether it is a file above the limit.
    """

    name: str
    filename: str | None
    data: bytes
    too_large: bool = False

    @property
    def is_file(self) -> bool:
        """Whether this is an image rather than an option."""
        return self.filename is not None or self.name in FILE_NAMES


class FormReader:
    """Turns pieces of a multipart body into parts."""

    def __init__(self, content_type: str, *, max_part_bytes: int, max_parts: int) -> None:
        """Prepare for one body.

        Args:
            content_type: The request's `Content-Type`, with its boundary.
            max_part_bytes: Largest file part; a larger one is dropped and marked, for others may follow.
            max_parts: Most file parts; plain fields have a limit of their own.

        Raises:
            InvalidParameter: There is no usable boundary.
        """
        boundary = parse_options_header(content_type)[1].get(b"boundary")
        if not boundary:
            raise InvalidParameter(_MALFORMED.format("its Content-Type names no boundary"), field="body")
        self._max_part_bytes = max_part_bytes
        self._max_parts = max_parts
        self._done: list[Part] = []
        self._files = self._fields = 0
        self._ended = False
        self._start_part()
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._start_part,
                    "on_header_field": self._on_header_field,
                    "on_header_value": self._on_header_value,
                    "on_header_end": self._on_header_end,
                    "on_headers_finished": self._on_headers_finished,
                    "on_part_data": self._on_part_data,
                    "on_part_end": self._on_part_end,
                    "on_end": self._on_end,
                },
            )
        except FormParserError as error:
            raise InvalidParameter(_MALFORMED.format("its boundary is too long"), field="body") from error

    def feed(self, piece: bytes) -> list[Part]:
        """The parts that this piece completes.

        Raises:
            InvalidParameter: The form is malformed or has too many parts.
        """
        try:
            self._parser.write(piece)
        except FormParserError as error:
            raise InvalidParameter(
                _MALFORMED.format("its parts cannot be told apart"), field="body"
            ) from error
        done, self._done = self._done, []
        return done

    def finish(self) -> None:
        """Confirm that the closing boundary has been seen.

        Raises:
            InvalidParameter: The form ends before it.
        """
        if not self._ended:
            raise InvalidParameter(
                _MALFORMED.format("its closing boundary is missing, so the upload is incomplete"),
                field="body",
            )

    def _start_part(self) -> None:
        self._disposition = self._header_name = self._header_value = b""
        # A part has data only after its headers, which fill this in.
        self._part = Part("", None, b"")
        self._slices: list[bytes] = []
        self._size_bytes = 0

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _on_header_end(self) -> None:
        if self._header_name.lower() == b"content-disposition":
            self._disposition = self._header_value
        self._header_name = self._header_value = b""

    def _on_headers_finished(self) -> None:
        options = parse_options_header(self._disposition)[1]
        filename = options.get(b"filename")
        self._part = Part(
            options.get(b"name", b"").decode("utf-8", "replace"),
            None if filename is None else filename.decode("utf-8", "replace"),
            b"",
        )
        self._files += self._part.is_file
        self._fields += not self._part.is_file
        if self._files > self._max_parts:
            one = "one image; send several to /detect/batch"
            raise InvalidParameter(
                f"The form holds more than {one if self._max_parts == 1 else f'{self._max_parts} images'}.",
                field="file",
                maximum=self._max_parts,
            )
        if self._fields > MAX_FIELDS:
            raise InvalidParameter(
                _MALFORMED.format(f"it has more than {MAX_FIELDS} plain fields"), field="body"
            )

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        self._size_bytes += end - start
        if self._size_bytes <= (self._max_part_bytes if self._part.is_file else MAX_FIELD_BYTES):
            self._slices.append(data[start:end])
        elif self._part.is_file:
            self._slices.clear()
        else:
            raise BodyTooLarge(
                f"A plain field of the form is larger than the limit of {MAX_FIELD_BYTES} bytes.",
                limit_bytes=MAX_FIELD_BYTES,
            )

    def _on_part_end(self) -> None:
        too_large = self._part.is_file and self._size_bytes > self._max_part_bytes
        data = b"".join(self._slices)
        self._done.append(Part(self._part.name, self._part.filename, data, too_large))
        self._slices = []

    def _on_end(self) -> None:
        self._ended = True
