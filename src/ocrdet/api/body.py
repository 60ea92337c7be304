"""The request's body as it comes from the socket: bounded in size and in time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

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
    from starlette.types import Message, Receive

    from ocrdet.engine.ticket import Ticket

MAX_TIMEOUT_DIGITS = 12
_TOO_LARGE = "The body is larger than the limit of {} bytes; send a smaller or more compressed image."


def declared_length(headers: Headers, limit_bytes: int) -> int | None:
    """What `Content-Length` says, refused before a byte is read where it is too much.

    Args:
        headers: The request's headers.
        limit_bytes: Largest body taken here.

    Returns:
        Bytes, or None where the length is not declared (chunked).

    Raises:
        BodyTooLarge: More than the limit is declared.
        MissingImage: An empty body is declared.
    """
    declared = headers.get("content-length")
    if declared is None:
        if "transfer-encoding" not in headers:
            raise MissingImage("The request has no body; send the image's bytes as the body.")
        return None
    # The HTTP parser has already refused anything but digits.
    length = int(declared)
    if length == 0:
        raise MissingImage("The request's body is empty; send the image's bytes as the body.")
    if length > limit_bytes:
        raise BodyTooLarge(_TOO_LARGE.format(limit_bytes), limit_bytes=limit_bytes)
    return length


class Body:
    """A body being read. One reader at a time."""

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
        self.size_bytes = 0

    @property
    def ended(self) -> bool:
        """Whether the last piece has been received."""
        return self._ended.is_set()

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body piece by piece.

        Yields:
            Non-empty pieces, in order.

        Raises:
            BodyTooLarge: It is longer than the limit.
            Cancelled: The client went away.
        """
        while not self._ended.is_set():
            message = await self._next_message()
            if message["type"] == "http.disconnect":
                self._ticket.cancel()
                raise Cancelled("The client went away during the upload.", stage="body")
            if not message.get("more_body", False):
                self._ended.set()
            piece = message.get("body", b"")
            self.size_bytes += len(piece)
            if self.size_bytes > self._limit_bytes:
                raise BodyTooLarge(_TOO_LARGE.format(self._limit_bytes), limit_bytes=self._limit_bytes)
            if piece:
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


def requested_timeout_ms(headers: Headers, limit_ms: int) -> int:
    """How long this request may take: what the client asks for, capped by the server's own limit.

    Raises:
        InvalidParameter: The header is not a whole number of milliseconds above 0.
    """
    given = headers.get("x-request-timeout-ms")
    if given is None:
        return limit_ms
    if not (given.isascii() and given.isdigit() and len(given) <= MAX_TIMEOUT_DIGITS and int(given) > 0):
        raise InvalidParameter(
            f"X-Request-Timeout-Ms must be a whole number of milliseconds from 1 to {limit_ms}.",
            field="X-Request-Timeout-Ms",
            minimum=1,
            maximum=limit_ms,
        )
    return min(int(given), limit_ms)
