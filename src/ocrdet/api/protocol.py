"""HTTP on one connection: uvicorn's own protocol, with bounds on headers and problems for plain text."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from ocrdet.api.problems import MALFORMED_REQUEST, MEDIA_TYPE, Problem

if TYPE_CHECKING:
    import asyncio

MAX_HEADER_BYTES = 64 * 1024
# At the end of the process, an idle connection may have a request on its way.
GRACE_SECONDS = 0.25


class Protocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol with bounds on headers, and problems where it would answer in plain text."""

    header_timeout_s = 10.0

    _ending = False
    _header_bytes = 0
    _in_headers = True
    _header_timer: asyncio.TimerHandle | None = None

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_headers()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    @override
    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._header_bytes = 0
        self._await_headers()

    @override
    def on_headers_complete(self) -> None:
        self._in_headers = False
        self._stop_timer()
        super().on_headers_complete()
        if self._ending:
            self.cycle.keep_alive = False

    @override
    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._in_headers:
            self._header_bytes += len(data)
            if self._header_bytes > MAX_HEADER_BYTES and not self.transport.is_closing():
                self.send_400_response(f"The headers are larger than {MAX_HEADER_BYTES} bytes.")

    @override
    def send_400_response(self, msg: str) -> None:
        request_id = secrets.token_hex(16)
        body = Problem(MALFORMED_REQUEST, f"{msg} The connection is closed.").body(request_id)
        head = (
            f"content-type: {MEDIA_TYPE}\r\ncontent-length: {len(body)}\r\n"
            f"x-request-id: {request_id}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(STATUS_LINE[MALFORMED_REQUEST.status] + head.encode() + body)
        self.transport.close()

    @override
    def shutdown(self) -> None:
        # uvicorn would close an idle connection at once, and with it a request that is just arriving.
        if self._idle():
            self._ending = True
            self.loop.call_later(GRACE_SECONDS, self._close_if_idle)
        else:
            super().shutdown()

    def _idle(self) -> bool:
        # Before the first request there is no cycle, whatever uvicorn's annotation says.
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is None or cycle.response_complete

    def _close_if_idle(self) -> None:
        if self._idle() and not self.transport.is_closing():
            self.transport.close()

    def _await_headers(self) -> None:
        self._in_headers = True
        self._stop_timer()
        self._header_timer = self.loop.call_later(self.header_timeout_s, self.timeout_keep_alive_handler)

    def _stop_timer(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None
