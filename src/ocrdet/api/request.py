"""One request for work on its way: its key, its model, its deadline, and a body bounded in size and time."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ocrdet.api.middleware import record_of
from ocrdet.api.service import service_of
from ocrdet.engine.ticket import Ticket
from ocrdet.errors import (
    BodyTimeout,
    BodyTooLarge,
    Cancelled,
    DeadlineExceeded,
    InvalidParameter,
    MissingImage,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.datastructures import Headers
    from starlette.requests import Request
    from starlette.types import Message, Receive

    from ocrdet.api.middleware import Record
    from ocrdet.api.service import Service
    from ocrdet.detector import Detector

_TIMEOUT = re.compile("0*[1-9][0-9]{0,11}")


@dataclass(frozen=True, slots=True)
class RequestContext:
    """What a request carries once it may ask for work.

    Attributes:
        service: The process's service.
        detector: The detector that was live when the request came.
        record: What the request leaves behind.
        ticket: Its deadline and cancellation.
    """

    service: Service
    detector: Detector
    record: Record
    ticket: Ticket

    @classmethod
    def enter(cls, request: Request) -> RequestContext:
        """Check the key, that there is a model, and how long the client waits; errors are the answer."""
        service = service_of(request)
        service.require_key(request)
        detector = service.require_detector()
        timeout_ms = requested_timeout_ms(request.headers, service.limits.request_timeout_ms)
        return cls(service, detector, record_of(request.scope), Ticket(timeout_ms / 1e3))

    def body_of(self, request: Request, limit_bytes: int) -> Body:
        """The request's body, refused where it declares itself empty or larger than `limit_bytes`."""
        stall_s = self.service.limits.body_timeout_ms / 1e3
        body = Body(request.receive, self.ticket, limit_bytes=limit_bytes, stall_s=stall_s)
        body.check_declared(request.headers)
        return body


def requested_timeout_ms(headers: Headers, limit_ms: int) -> int:
    """How long this request may take: what the client asks for, capped by the server's own limit.

    Raises:
        InvalidParameter: The header is not a whole number of milliseconds above 0.
    """
    given = headers.get("x-request-timeout-ms")
    if given is None:
        return limit_ms
    if not _TIMEOUT.fullmatch(given):
        raise InvalidParameter(
            f"X-Request-Timeout-Ms must be a whole number of milliseconds from 1 to {limit_ms}.",
            field="X-Request-Timeout-Ms",
            minimum=1,
            maximum=limit_ms,
        )
    return min(int(given), limit_ms)


class Body:
    """A body being read, by one reader at a time.

    Attributes:
        expected_bytes: What it declares to hold, or the limit where it declares nothing (chunked).
        size_bytes: What has been read of it so far.
    """

    def __init__(self, receive: Receive, ticket: Ticket, *, limit_bytes: int, stall_s: float) -> None:
        """Read from an ASGI `receive`.

        Args:
            receive: The request's own.
            ticket: Its deadline and cancellation.
            limit_bytes: Largest body taken here.
            stall_s: Longest pause between two pieces.
        """
        self._receive = receive
        self._ticket = ticket
        self._limit_bytes = limit_bytes
        self._stall_s = stall_s
        self._ended = asyncio.Event()
        self.expected_bytes = limit_bytes
        self.size_bytes = 0

    def check_declared(self, headers: Headers) -> None:
        """Take note of `Content-Length`, before a byte is read.

        Raises:
            BodyTooLarge: More than the limit is declared.
            MissingImage: No body or an empty one is declared.
        """
        # The HTTP parser has already refused anything but digits.
        declared = headers.get("content-length")
        if declared is None and "transfer-encoding" in headers:
            return
        self.expected_bytes = int(declared or 0)
        if self.expected_bytes == 0:
            raise MissingImage("The request has no body; send the image's bytes as the body.")
        self._check_size(self.expected_bytes)

    @property
    def ended(self) -> bool:
        """Whether the last piece has been received."""
        return self._ended.is_set()

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body piece by piece.

        Yields:
            Pieces in order; `ended` tells the last one, which may be empty.

        Raises:
            BodyTooLarge: It is longer than the limit.
            Cancelled: The client went away.
        """
        while not self.ended:
            message = await self._next_message()
            if message["type"] == "http.disconnect":
                self._ticket.cancel()
                raise Cancelled("The client went away during the upload.", stage="body")
            if not message.get("more_body", False):
                self._ended.set()
            piece = message.get("body", b"")
            self.size_bytes += len(piece)
            self._check_size(self.size_bytes)
            yield piece

    async def read(self) -> bytes:
        """All of it."""
        return b"".join([piece async for piece in self.pieces()])

    async def client_gone(self) -> None:
        """Return when the client goes away after its body has been read; the ticket is cancelled then."""
        await self._ended.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._ticket.cancel()

    def _check_size(self, size_bytes: int) -> None:
        if size_bytes > self._limit_bytes:
            raise BodyTooLarge(
                f"The body is larger than the limit of {self._limit_bytes} bytes; "
                "send a smaller or more compressed image.",
                limit_bytes=self._limit_bytes,
            )

    async def _next_message(self) -> Message:
        remaining_s = self._ticket.remaining_s()
        wait_s = self._stall_s if remaining_s is None else min(self._stall_s, remaining_s)
        try:
            async with asyncio.timeout(wait_s):
                return await self._receive()
        except TimeoutError:
            if wait_s < self._stall_s:
                raise DeadlineExceeded(
                    "The upload did not finish before the deadline. Ask for more time or send less.",
                    stage="body",
                ) from None
            raise BodyTimeout(
                f"Nothing arrived for {self._stall_s:g} s in the middle of the upload; send it again."
            ) from None
