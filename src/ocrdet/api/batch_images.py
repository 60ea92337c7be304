"""The images of one batch body, one after the other, read from the socket no faster than they are wanted."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from ocrdet.api.options import read_options
from ocrdet.api.upload import JsonObject, decode_base64, form_options, read_json_body
from ocrdet.errors import BodyTooLarge, InvalidParameter, MissingImage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping

    from ocrdet.api.forms import FormReader, Part
    from ocrdet.api.request import Body
    from ocrdet.api.service import Limits
    from ocrdet.detector import Detector
    from ocrdet.engine.admission import Slot
    from ocrdet.engine.ticket import Ticket
    from ocrdet.options import DetectOptions
    from ocrdet.values import Detection

NO_IMAGES = 'The batch holds no image; send file parts, or {"images": ["<base64>", ...]}.'


@dataclass(frozen=True, slots=True)
class BatchImage:
    """One image of a batch.

    Attributes:
        index: Its place in the batch, from 0.
        name: The name that the client gave it, or empty.
        options: Those of the whole batch.
        load: Gives its bytes, or raises what is wrong with them.
        facts: Further members of its result, known when that is written.
    """

    index: int
    name: str
    options: DetectOptions
    load: Callable[[], bytes]
    facts: dict[str, object] = field(default_factory=dict)

    def detect(self, detector: Detector, ticket: Ticket, slot: Slot) -> Detection:
        """What is found in it; on a worker thread."""
        return detector.detect(self.load(), self.options, ticket=ticket, slot=slot)


class FormImages:
    """The images of a multipart body, parsed as it streams in."""

    def __init__(self, body: Body, reader: FormReader, query: Mapping[str, object], limits: Limits) -> None:
        """Prepare to read; options are those of the query and of the fields before the first image."""
        self._body = body
        self._reader = reader
        self._query = query
        self._max_image_bytes = limits.max_body_bytes
        self._fields: list[Part] = []
        self._options: DetectOptions | None = None
        self._count = 0

    async def __aiter__(self) -> AsyncIterator[BatchImage]:
        """Every image; the last ones once the whole body is known to be well-formed.

        Raises:
            InvalidParameter: The form is malformed, holds too many images or a wrong option.
            MissingImage: There are no images in it.
        """
        async for piece in self._body.pieces():
            images = list(self._take(self._reader.feed(piece)))
            if self._body.ended:
                self._reader.finish()
            for image in images:
                yield image
        if self._count == 0:
            raise MissingImage(NO_IMAGES)

    def _take(self, parts: list[Part]) -> Iterator[BatchImage]:
        for part in parts:
            if part.is_file:
                if self._options is None:
                    self._options = batch_options(self._query, form_options(self._fields))
                yield BatchImage(
                    self._count, part.filename or "", self._options, partial(self._data_of, part)
                )
                self._count += 1
            elif self._count:
                raise InvalidParameter(
                    f"The option {part.name[:64]!r} comes after an image; send options first.",
                    field=part.name[:64],
                )
            else:
                self._fields.append(part)

    def _data_of(self, part: Part) -> bytes:
        if part.too_large:
            raise _image_too_large(self._max_image_bytes)
        if not part.data:
            raise MissingImage("This file part is empty.")
        return part.data


def json_images(body: bytes, query: Mapping[str, object], limits: Limits) -> list[BatchImage]:
    """The images of a JSON body; their base64 stays as it is until a worker takes them.

    Raises:
        MissingImage: There are no images in it.
        InvalidParameter: It is no JSON of the documented shape, holds too many images or a wrong option.
    """
    images, given_options = read_json_body(body, "images")
    if not images:
        raise MissingImage(NO_IMAGES)
    if type(images) is not list:
        raise InvalidParameter('images must be a list: {"images": ["<base64>", ...]}.', field="images")
    if len(images) > limits.max_batch_images:
        raise InvalidParameter(
            f"The batch holds {len(images)} images; {limits.max_batch_images} at most are taken at a time.",
            field="images",
            maximum=limits.max_batch_images,
        )
    options = batch_options(query, given_options)
    return [_json_image(index, given, options, limits) for index, given in enumerate(images)]


def _json_image(index: int, given: object, options: DetectOptions, limits: Limits) -> BatchImage:
    name = dict(given).get("name") if isinstance(given, JsonObject) else None

    def load() -> bytes:
        place, image = f"images[{index}]", given
        if isinstance(given, JsonObject):
            rest = JsonObject(given)
            image, _ = rest.take("image"), rest.take("name")
            if rest:
                raise InvalidParameter(
                    f"{place} holds an unknown member {rest[0][0][:64]!r}; it takes image and name.",
                    field=place,
                )
        data = decode_base64(image, place)
        if len(data) > limits.max_body_bytes:
            raise _image_too_large(limits.max_body_bytes)
        return data

    return BatchImage(index, name if isinstance(name, str) else "", options, load)


def batch_options(*sources: Mapping[str, object]) -> DetectOptions:
    """The options of every image of a batch; later sources win.

    Raises:
        InvalidParameter: One of them is out of range, or means nothing for a batch.
    """
    options = read_options(*sources)
    if options.output != "json":
        raise InvalidParameter(
            f"output={options.output} is for single images; a batch answers in JSON.",
            field="output",
            allowed=["json"],
        )
    return options.detect


def _image_too_large(limit_bytes: int) -> BodyTooLarge:
    return BodyTooLarge(
        f"This image has more bytes than the limit of {limit_bytes}; send it smaller or more compressed.",
        limit_bytes=limit_bytes,
    )
