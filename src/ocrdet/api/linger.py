"""What happens to the rest of an upload that was answered before it was read.

Closing the connection at once would reset it under the client's feet: most clients, and Nginx, would then
see a broken connection instead of the 413 or 429 that was sent. Leaving it to uvicorn means reading without
an end. So the answer goes out complete, the rest is read and thrown away within bounds, and the connection
stays usable where that rest is known to be short; else it is closed after a moment, as web servers do.
"""

from __future__ import annotations

import asyncio
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
        if scope["type"] != "http" or not _has_body(Headers(scope=scope)):
            await self._app(scope, receive, send)
            return
        upload = _Upload(receive, Headers(scope=scope))
        status = 0

        async def send_early(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if upload.must_close(status):
                    MutableHeaders(scope=message)["Connection"] = "close"
            elif not message.get("more_body", False) and upload.worth_reading(status):
                await send({**message, "more_body": True})
                await upload.discard()
                message = {"type": "http.response.body", "body": b"", "more_body": False}
            await send(message)

        await self._app(scope, upload.receive, send_early)


class _Upload:
    """How far one request's body has been read."""

    def __init__(self, receive: Receive, headers: Headers) -> None:
        self._receive = receive
        declared = headers.get("content-length")
        self._left_bytes = None if declared is None else int(declared)
        self._invited = headers.get("expect", "").lower() != "100-continue"
        self._ended = False

    async def receive(self) -> Message:
        # Asking for the body is what makes the server send "100 Continue".
        self._invited = True
        message = await self._receive()
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            self._ended = True
        elif self._left_bytes is not None:
            self._left_bytes -= len(message.get("body", b""))
        return message

    def must_close(self, status: int) -> bool:
        """Whether the connection cannot serve another request after this answer."""
        if self._ended:
            return False
        unbounded = self._left_bytes is None or self._left_bytes > LINGER_BYTES
        return unbounded or not self.worth_reading(status)

    def worth_reading(self, status: int) -> bool:
        """Whether something is still coming that would otherwise reset the connection."""
        return not self._ended and self._invited and status != REQUEST_TIMEOUT

    async def discard(self) -> None:
        """Read and throw away what is left, within bounds."""
        discarded = 0
        try:
            async with asyncio.timeout(LINGER_SECONDS):
                while not self._ended and discarded <= LINGER_BYTES:
                    discarded += len((await self.receive()).get("body", b""))
        except TimeoutError:
            pass  # the client is too slow to be waited for


def _has_body(headers: Headers) -> bool:
    return headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
