"""The image and the options inside one body: raw bytes, a form, or JSON."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ocrdet.api.forms import FILE_NAMES, FormReader
from ocrdet.api.options import OPTIONS, collect_pairs
from ocrdet.errors import InvalidParameter, MissingImage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ocrdet.api.forms import Part
    from ocrdet.api.options import Option

FORM_TYPE = "multipart/form-data"
JSON_TYPE = "application/json"
_WHITESPACE = b" \t\r\n"
# Parsed, a value of three bytes takes twenty times as much, and all of them at once stop every other thread.
MAX_JSON_VALUES = 100_000


@dataclass(frozen=True, slots=True)
class Upload:
    """What one body holds.

    Attributes:
        data: The image file's bytes, not empty.
        name: The file's name as the client states it, or empty.
        options: Raw options that came along, by name.
    """

    data: bytes
    name: str = ""
    options: Mapping[str, object] = field(default_factory=dict)


def media_type(content_type: str | None) -> str:
    """The bare media type of a `Content-Type` header, lower case."""
    return (content_type or "").partition(";")[0].strip().lower()


def read_upload(body: bytes, content_type: str | None, known: Mapping[str, Option] = OPTIONS) -> Upload:
    """The image and options of one body that holds one image.

    Args:
        body: All of it.
        content_type: The request's header; it says which way in, never which image format.
        known: The options that there are.

    Raises:
        MissingImage: There is no image in it.
    """
    if not body:
        raise MissingImage("The request's body is empty; send the image's bytes as the body.")
    kind = media_type(content_type)
    if kind == FORM_TYPE:
        return _read_form(body, content_type or "", known)
    if kind == JSON_TYPE:
        return _read_json(body, known)
    return Upload(body)


def _read_form(body: bytes, content_type: str, known: Mapping[str, Option]) -> Upload:
    reader = FormReader(content_type, max_part_bytes=len(body), max_parts=1)
    parts = reader.feed(body)
    reader.finish()
    files = [part for part in parts if part.is_file]
    if not files or not files[0].data:
        raise MissingImage(
            "The form holds no image; send it as the file field `file`, e.g. curl -F file=@photo.jpg."
        )
    name = files[0].name
    if name not in FILE_NAMES:
        raise InvalidParameter(
            f"The form's file field must be named {' or '.join(FILE_NAMES)}, not {name[:64]!r}.",
            field=name[:64],
            allowed=list(FILE_NAMES),
        )
    return Upload(files[0].data, files[0].filename or "", form_options(parts, known))


def form_options(parts: list[Part], known: Mapping[str, Option] = OPTIONS) -> dict[str, object]:
    """The raw options among some parts: their plain fields."""
    fields = [part for part in parts if not part.is_file]
    return collect_pairs(((part.name, part.data.decode("utf-8", "replace")) for part in fields), known)


def _read_json(body: bytes, known: Mapping[str, Option]) -> Upload:
    image, options = read_json_body(body, "image", known)
    if image is None or image == "":
        raise MissingImage('The JSON holds no image; send {"image": "<base64 or data: URI>"}.')
    return Upload(decode_base64(image, "image"), "", options)


class JsonObject(list[tuple[str, Any]]):
    """A JSON object before anything has decided which of two equal names wins."""

    def take(self, name: str) -> Any:  # noqa: ANN401 - whatever JSON holds
        """The member of a name, removed; None where it is left out.

        Raises:
            InvalidParameter: It comes twice.
        """
        values = [value for given, value in self if given == name]
        self[:] = [pair for pair in self if pair[0] != name]
        if len(values) > 1:
            raise InvalidParameter(f"{name} is given more than once; give it once.", field=name)
        return values[0] if values else None


def read_json_body(
    body: bytes, member: str, known: Mapping[str, Option] = OPTIONS
) -> tuple[Any, dict[str, object]]:
    """One member of the JSON object that a body is, and the raw options beside it.

    Raises:
        InvalidParameter: The body is no JSON object, is one of very many values, or holds an unknown or
            repeated name.
    """
    # Each value opens a container or follows a comma; base64 knows neither.
    if sum(body.count(mark) for mark in (b",", b"[", b"{")) > MAX_JSON_VALUES:
        raise InvalidParameter(
            f"The JSON body holds more than {MAX_JSON_VALUES} values; send an image as one base64 text.",
            field="body",
            maximum=MAX_JSON_VALUES,
        )
    try:
        value = json.loads(body, object_pairs_hook=_json_object)
    except (ValueError, RecursionError):
        raise InvalidParameter("The body is not valid JSON.", field="body") from None
    if not isinstance(value, JsonObject):
        raise InvalidParameter('The JSON body must be an object, e.g. {"image": "<base64>"}.', field="body")
    return value.take(member), collect_pairs(value, known)


def _json_object(pairs: list[tuple[str, Any]]) -> JsonObject:
    """An object whose texts can be sent back: JSON can spell halves of characters, UTF-8 cannot."""
    for text in (text for pair in pairs for text in pair if isinstance(text, str)):
        if not text.isascii():
            text.encode()
    return JsonObject(pairs)


def decode_base64(value: object, field_name: str) -> bytes:
    """The bytes of a base64 text or a data: URI.

    Args:
        value: What the JSON holds.
        field_name: Its place, for the error's sentence.

    Raises:
        InvalidParameter: It is neither.
        MissingImage: It is empty.
    """
    if not isinstance(value, str):
        raise InvalidParameter(f"{field_name} must be a string: base64 or a data: URI.", field=field_name)
    text = value
    if value[:5].lower() == "data:":
        head, comma, text = value.partition(",")
        if not comma or not head.lower().endswith(";base64"):
            raise InvalidParameter(
                f"{field_name} is a data: URI without base64; use data:image/png;base64,...", field=field_name
            )
    try:
        # Many encoders break lines; everything else outside the alphabet is an error.
        data = base64.b64decode(text.encode("ascii").translate(None, _WHITESPACE), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        raise InvalidParameter(
            f"{field_name} is not valid base64; use the standard alphabet with its padding.", field=field_name
        ) from None
    if not data:
        raise MissingImage(f"{field_name} is empty; send the image's bytes as base64.")
    return data
