"""What happens to the rest of an upload that was answered before it was read.

Closing the connection at once would reset it under the client's feet: most clients, and Nginx, would then
see a broken connection instead of the 413 or 429 that was sent. Leaving it to uvicorn means reading without
an end. So the answer goes out complete, the rest is read and thrown away within bounds, and the connection
stays usable where that rest is known to be short; else it is closed after a moment, as web servers do.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LINGER_BYTES = 32 * 1024 * 1024
LINGER_SECONDS = 5.0
REQUEST_TIMEOUT = 408


class Lingering:
    """ASGI middleware, outermost: sends early answers without breaking the connection."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; return when its body is read, or given up."""
        if scope["type"] == "http":
            exchange = _Exchange(Headers(scope=scope), receive, send)
            await self._app(scope, exchange.receive, exchange.send)
        else:
            await self._app(scope, receive, send)


class _Exchange:
    """One request's body and its answer."""

    def __init__(self, headers: Headers, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        chunked = "transfer-encoding" in headers
        # How much of the body is still to come, as far as that is declared.
        self._rest_bytes = math.inf if chunked else int(headers.get("content-length", "0"))
        self._ended = self._rest_bytes == 0
        # A client that asks first sends nothing until it is invited.
        self._coming = headers.get("expect", "").lower() != "100-continue"
        self._linger = False

    async def receive(self) -> Message:
        # Asking for the body is what makes the server send "100 Continue".
        self._coming = True
        message = await self._receive()
        self._ended = self._ended or not message.get("more_body", False)
        self._rest_bytes -= len(message.get("body", b""))
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            stalled = message["status"] == REQUEST_TIMEOUT
            self._linger = self._coming and not self._ended and not stalled
            if not self._ended and (not self._linger or self._rest_bytes > LINGER_BYTES):
                MutableHeaders(scope=message)["Connection"] = "close"
        elif self._linger and not message.get("more_body", False):
            await self._send({**message, "more_body": True})
            await self._discard()
            message = {"type": "http.response.body"}
        await self._send(message)

    async def _discard(self) -> None:
        discarded = 0
        try:
            async with asyncio.timeout(LINGER_SECONDS):
                while not self._ended and discarded <= LINGER_BYTES:
                    discarded += len((await self.receive()).get("body", b""))
        except TimeoutError:
            pass  # the client is too slow to be waited for
