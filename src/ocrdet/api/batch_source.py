"""The images of one batch body, one after the other, read from the socket no faster than they are wanted."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from ocrdet.api.forms import FormReader
from ocrdet.api.options import collect_pairs, read_options
from ocrdet.api.upload import decode_base64, field_pairs, read_json_object
from ocrdet.errors import BodyTooLarge, InvalidParameter, MissingImage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from ocrdet.api.body import Body
    from ocrdet.api.forms import Part
    from ocrdet.values import DetectOptions

NO_IMAGES = 'The batch holds no image; send file parts, or {"images": ["<base64>", ...]}.'


@dataclass(frozen=True, slots=True)
class BatchImage:
    """One image of a batch.

    Attributes:
        index: Its place in the batch, from 0.
        name: The name that the client gave it, or empty.
        load: Gives its bytes, or raises what is wrong with them.
    """

    index: int
    name: str
    load: Callable[[], bytes]


class BatchSource(Protocol):
    """Where the images of one batch come from.

    Attributes:
        complete: Set when the whole body has been read and is well-formed.
    """

    complete: asyncio.Event

    async def next_image(self) -> BatchImage | None:
        """The next image; None at the end."""

    @property
    def options(self) -> DetectOptions:
        """The options of every image; known once the first image is."""


class FormSource:
    """Images of a multipart body, parsed as it streams in."""

    def __init__(
        self,
        body: Body,
        content_type: str,
        query: Mapping[str, object],
        *,
        max_image_bytes: int,
        max_images: int,
    ) -> None:
        """Prepare to read.

        Args:
            body: The request's body.
            content_type: Its header, with the boundary.
            query: Raw options of the query string.
            max_image_bytes: Largest image.
            max_images: Most images.
        """
        self.complete = asyncio.Event()
        self._body = body
        self._pieces: AsyncIterator[bytes] = aiter(body.pieces())
        self._reader = FormReader(content_type, max_part_bytes=max_image_bytes, max_parts=max_images)
        self._query = query
        self._max_image_bytes = max_image_bytes
        self._turn = asyncio.Lock()
        self._ready: deque[BatchImage] = deque()
        self._fields: list[Part] = []
        self._count = 0
        self._options: DetectOptions | None = None

    @property
    def options(self) -> DetectOptions:
        """Those of the query string and of the fields before the first image."""
        if self._options is None:
            self._options = batch_options(self._query, collect_pairs(field_pairs(self._fields)))
        return self._options

    async def next_image(self) -> BatchImage | None:
        """The next image, read from the socket if need be; None at the end."""
        async with self._turn:
            while not self._ready and not self.complete.is_set():
                piece = await anext(self._pieces, None)
                if piece is not None:
                    self._take(self._reader.feed(piece))
                if self._body.ended:
                    self._finish()
            return self._ready.popleft() if self._ready else None

    def _finish(self) -> None:
        self._reader.finish()
        if self._count == 0:
            raise MissingImage(NO_IMAGES)
        self.complete.set()

    def _take(self, parts: list[Part]) -> None:
        for part in parts:
            if part.is_file:
                # Also checks the options, before any image costs work.
                _ = self.options
                self._ready.append(BatchImage(self._count, part.filename or "", partial(self._data_of, part)))
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


class JsonSource:
    """Images of a JSON body that has been read as a whole."""

    def __init__(
        self, body: bytes, query: Mapping[str, object], *, max_image_bytes: int, max_images: int
    ) -> None:
        """Parse the body; base64 stays as it is until a worker takes the image.

        Args:
            body: All of it.
            query: Raw options of the query string.
            max_image_bytes: Largest image.
            max_images: Most images.

        Raises:
            MissingImage: There are no images in it.
            InvalidParameter: It is no JSON of the documented shape, holds too many images or a wrong option.
        """
        pairs = read_json_object(body)
        images = next((value for name, value in pairs if name == "images"), None)
        if not images:
            raise MissingImage(NO_IMAGES)
        if type(images) is not list:
            raise InvalidParameter('images must be a list: {"images": ["<base64>", ...]}.', field="images")
        if len(images) > max_images:
            raise InvalidParameter(
                f"The batch holds {len(images)} images; {max_images} at most are taken at a time.",
                field="images",
                maximum=max_images,
            )
        self.options = batch_options(query, collect_pairs(pair for pair in pairs if pair[0] != "images"))
        self.complete = asyncio.Event()
        self.complete.set()
        self._max_image_bytes = max_image_bytes
        self._left = deque(enumerate(images))

    async def next_image(self) -> BatchImage | None:
        """The next image; None at the end."""
        if not self._left:
            return None
        index, given = self._left.popleft()
        members: dict[str, Any] = dict(given) if isinstance(given, list) else {"image": given}
        name = members.get("name")
        return BatchImage(
            index, name if isinstance(name, str) else "", partial(self._data_of, index, members)
        )

    def _data_of(self, index: int, members: dict[str, Any]) -> bytes:
        unknown = sorted(members.keys() - {"image", "name"})
        if unknown:
            raise InvalidParameter(
                f"images[{index}] holds an unknown member {unknown[0][:64]!r}; it takes image and name.",
                field=f"images[{index}]",
            )
        data = decode_base64(members.get("image"), f"images[{index}]")
        if len(data) > self._max_image_bytes:
            raise _image_too_large(self._max_image_bytes)
        return data


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
