"""A server that looks like ocrdet, and answers as a test wants."""

from __future__ import annotations

import contextlib
import http.server
import json
import threading
import time
from typing import TYPE_CHECKING, Any

from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Iterator

INFO = {"model": {"name": "m", "version": "2"}, "provider": "CPU"}
ANSWER = {"regions": [{}, {}], "timings_ms": {"decode": 1.5, "total": 4.0}}
PATIENCE_S = 30.0


class Answering(http.server.ThreadingHTTPServer):
    """Answers `POST /detect` by what the body asks for.

    Attributes:
        requests: Path, authorization and body of each that came.
        clients: The connections that they came on.
        released: What bodies `hold` wait for.
        stall_s: How long all answers wait, once, beginning with the body `stall`.
    """

    request_queue_size = 512
    daemon_threads = True

    def __init__(self) -> None:
        """Listen on a free port."""
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[tuple[str, str | None, bytes]] = []
        self.clients: set[tuple[str, int]] = set()
        self.released = threading.Event()
        self.stall_s = 0.0
        self.busy = threading.Lock()
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class Handler(http.server.BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Answering

    def do_GET(self) -> None:
        """`/info`."""
        self.reply(200, INFO)

    def do_POST(self) -> None:
        """`/detect`."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append((self.path, self.headers["Authorization"], body))
        self.server.clients.add(self.client_address)
        with self.server.busy:
            if body == b"stall":
                time.sleep(self.server.stall_s)
                self.server.stall_s = 0.0
        if body == b"hold":
            self.server.released.wait(PATIENCE_S)
        elif body == b"full":
            self.reply(429, {"detail": "All is\ntaken."})
            return
        elif body in {b"leave", b"vanish"}:
            self.close_connection = True
            if body == b"vanish":
                return
        with contextlib.suppress(ConnectionError):  # of those who have gone
            self.reply(200, ANSWER)

    def reply(self, status: int, answer: object) -> None:
        """Send JSON."""
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    @override
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@contextlib.contextmanager
def answering() -> Iterator[Answering]:
    """One for a block."""
    with Answering() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield server
        finally:
            server.released.set()
            server.shutdown()
