"""A running server as a predictor: kept connections, patience while it is full, its refusals told."""

from __future__ import annotations

import http.server
import json
import threading
from contextlib import closing
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
from typing_extensions import override

from ocrdet.errors import ConfigurationError, InvalidParameter
from ocrdet.lab.server import Server

if TYPE_CHECKING:
    from collections.abc import Iterator

INFO = {"model": {"name": "m", "version": "2"}, "provider": "CPU"}
QUAD = [[0, 0], [9, 0], [9, 5], [0, 5]]
ANSWER = {
    "image": {"width": 30, "height": 20},
    "regions": [{"quad": QUAD, "score": 0.8}, {"quad": QUAD, "score": 0.7, "polygon": QUAD[:3]}],
    "timings_ms": {"total": 12.5},
}


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers by what the body asks for."""

    protocol_version = "HTTP/1.1"
    log: list[tuple[str, str, str | None]]
    clients: set[tuple[str, int]]
    refusals: int

    def do_GET(self) -> None:
        """`/info`, for those with the right key."""
        if self.path.endswith("/none/info"):
            self.reply(404, {"error": "what?"})
        elif self.headers["Authorization"] == "Bearer wrong":
            self.reply(401, {"detail": "A valid API key is needed."})
        else:
            self.reply(200, INFO)

    def do_POST(self) -> None:
        """`/detect`."""
        kind = type(self)
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        kind.log.append((body, self.path, self.headers["Authorization"]))
        kind.clients.add(self.client_address)
        if body == "busy" and kind.refusals:
            kind.refusals -= 1
            self.reply(503, {"detail": "Full."}, {"Retry-After": "1"})
        elif body == "bad":
            self.reply(415, {"detail": "Not an image."})
        else:
            self.reply(200, ANSWER)
            self.close_connection = body == "last"

    def reply(self, status: int, answer: object, headers: dict[str, str] | None = None) -> None:
        """Send JSON."""
        body = json.dumps(answer).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    @override
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    """Where a server of fixed answers listens."""
    Handler.log, Handler.clients, Handler.refusals = [], set(), 2
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        httpd.daemon_threads = True
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()
        thread.join()


def test_an_answer_becomes_a_prediction(url: str) -> None:
    """Polygons win over quads where there are any; options and stored coordinates are asked for."""
    with closing(
        Server(f"{url}/prefix/", {"score_threshold": "0.3", "coordinates": "displayed"}, "key")
    ) as server:
        assert server.model() == {"name": "m", "version": "2", "provider": "CPU"}
        found = server.predict(b"image")
    assert [len(outline) for outline in found.outlines] == [4, 3]
    assert (found.scores, found.size, found.ms, found.problem) == ((0.8, 0.7), (30, 20), 12.5, None)
    ((_, path, authorization),) = Handler.log
    assert urlsplit(path).path == "/prefix/detect"
    assert parse_qs(urlsplit(path).query) == {"score_threshold": ["0.3"], "coordinates": ["stored"]}
    assert authorization == "Bearer key"


def test_connections_are_kept_and_replaced_when_the_server_closed_them(url: str) -> None:
    """Three images on one connection; after the server's end of it, a second one."""
    with closing(Server(url, {})) as server:
        for body in (b"a", b"b", b"last", b"c"):
            assert server.predict(body).problem is None
    assert len(Handler.clients) == 2


def test_a_full_server_is_asked_again(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """After as long as it wants, and no image is lost."""
    pauses: list[float] = []
    monkeypatch.setattr("ocrdet.lab.server.time.sleep", pauses.append)
    with closing(Server(url, {})) as server:
        assert server.predict(b"busy").problem is None
    assert pauses == [1, 1]


def test_a_server_that_stays_full_is_a_problem(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Patience ends."""
    Handler.refusals = 1000
    monkeypatch.setattr("ocrdet.lab.server.time.sleep", lambda _: None)
    with closing(Server(url, {})) as server:
        assert server.predict(b"busy").problem == "Full. (status 503)"


def test_a_refusal_is_told_in_the_words_of_the_server(url: str) -> None:
    """Its detail and its status."""
    with closing(Server(url, {})) as server:
        assert server.predict(b"bad").problem == "Not an image. (status 415)"


@pytest.mark.parametrize(
    ("path", "key", "told"),
    [("", "wrong", "status 401: A valid API key is needed"), ("/none", None, "No ocrdet answers")],
)
def test_what_is_no_open_ocrdet_is_told_before_any_image(
    url: str, path: str, key: str | None, told: str
) -> None:
    """A wrong key and another program's port are not found out image by image."""
    with closing(Server(url + path, {}, key)) as server, pytest.raises(ConfigurationError, match=told):
        server.model()


def test_a_port_where_nothing_listens_is_told() -> None:
    """With the reason of the operating system."""
    with (
        closing(Server("http://127.0.0.1:9", {})) as server,
        pytest.raises(ConfigurationError, match="No ocrdet"),
    ):
        server.model()


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "ftp://host", "http://", "http://host:port"])
def test_a_wrong_url_is_refused(url: str) -> None:
    """The sentence shows a right one."""
    with pytest.raises(InvalidParameter, match="http://127"):
        Server(url, {})
