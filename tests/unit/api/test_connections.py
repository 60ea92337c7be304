"""What only a real socket shows: early answers, stalls, clients that leave, keep-alive, bad HTTP."""

from __future__ import annotations

import contextlib
import functools
import json
import socket
import threading
from typing import TYPE_CHECKING

import httpx
import pytest

from ocrdet.api import linger, protocol
from tests.fakes import IMAGE, PATIENCE_S, FakeDetector, make_app, running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fakes import LiveServer


@pytest.fixture
def detector() -> FakeDetector:
    """One that finds two regions."""
    return FakeDetector()


@pytest.fixture
def live(detector: FakeDetector) -> Iterator[LiveServer]:
    """A server with small limits and little patience."""
    app = make_app(detector, max_body_bytes=100_000, body_timeout_ms=300)
    with running(app, header_timeout_s=0.5) as live:
        yield live


class RawConnection:
    """A client that can do what clients should not."""

    def __init__(self, live: LiveServer) -> None:
        """Connect."""
        self.sock = socket.create_connection(("127.0.0.1", live.port), timeout=PATIENCE_S)
        self.file = self.sock.makefile("rb")

    def send(self, text: str, body: bytes = b"") -> None:
        """Send a head with its line ends, then bytes."""
        self.sock.sendall(text.replace("\n", "\r\n").encode() + body)

    def answer(self) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of the next answer."""
        status = int(self.file.readline().split()[1])
        headers = {}
        while line := self.file.readline().strip():
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        return status, headers, self.file.read(int(headers.get("content-length", "0")))

    def closed(self) -> bool:
        """Whether the server closes the connection."""
        return self.file.read(1) == b""

    def close(self) -> None:
        """Go away."""
        self.file.close()
        self.sock.close()


@pytest.fixture
def connection(live: LiveServer) -> Iterator[RawConnection]:
    """One connection to the server."""
    connection = RawConnection(live)
    yield connection
    connection.close()


def fill(detector: FakeDetector) -> None:
    """Leave no slot free."""
    for _ in range(8):
        detector.gate.admit(size_bytes=1)


def test_a_refusal_before_the_body_keeps_the_connection_usable(
    connection: RawConnection, detector: FakeDetector
) -> None:
    """A client under back-pressure need not connect again."""
    fill(detector)
    for _ in range(3):
        connection.send("POST /detect HTTP/1.1\nhost: x\ncontent-length: 90000\n\n", b"x" * 90_000)
        status, headers, body = connection.answer()
        assert status == 429
        assert "connection" not in headers
        assert json.loads(body)["type"] == "urn:ocrdet:problem:overloaded"
    connection.send("GET /livez HTTP/1.1\nhost: x\n\n")
    assert connection.answer()[0] == 200


def test_a_refusal_is_sent_before_the_body_arrives(connection: RawConnection, detector: FakeDetector) -> None:
    """Nothing is uploaded in vain by a client that listens."""
    fill(detector)
    connection.send("POST /detect HTTP/1.1\nhost: x\ncontent-length: 90000\n\n")
    assert connection.answer()[0] == 429
    connection.send("", b"x" * 90_000)
    connection.send("GET /livez HTTP/1.1\nhost: x\n\n")
    assert connection.answer()[0] == 200


def test_an_upload_that_is_far_too_large_gets_its_answer_and_no_reset(
    connection: RawConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that sends all before it listens still reads the 413."""
    monkeypatch.setattr(linger, "LINGER_BYTES", 8_000_000)
    connection.send("POST /detect HTTP/1.1\nhost: x\ntransfer-encoding: chunked\n\n")
    piece = b"%x\r\n" % 100_000 + b"x" * 100_000 + b"\r\n"
    for _ in range(50):
        connection.sock.sendall(piece)
    connection.sock.sendall(b"0\r\n\r\n")
    status, headers, body = connection.answer()
    assert (status, headers["connection"]) == (413, "close")
    assert json.loads(body)["limit_bytes"] == 100_000
    assert connection.closed()


def test_reading_what_nobody_wants_has_an_end(
    connection: RawConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that never stops is cut off."""
    monkeypatch.setattr(linger, "LINGER_BYTES", 200_000)
    monkeypatch.setattr(linger, "LINGER_SECONDS", 0.2)
    connection.send("POST /detect HTTP/1.1\nhost: x\ncontent-length: 999999999\n\n")
    assert connection.answer()[0] == 413
    with pytest.raises(OSError):  # noqa: PT011 - reset or broken pipe, as the kernel likes
        connection.sock.sendall(b"x" * 50_000_000)


def test_a_client_that_asks_first_is_not_invited_to_send(
    connection: RawConnection, detector: FakeDetector
) -> None:
    """`Expect: 100-continue` saves the upload; the connection then ends, since nobody knows what follows."""
    fill(detector)
    connection.send("POST /detect HTTP/1.1\nhost: x\nexpect: 100-continue\ncontent-length: 90000\n\n")
    status, headers, _ = connection.answer()
    assert (status, headers["connection"]) == (429, "close")
    assert connection.closed()


def test_a_client_that_asks_first_is_invited_when_there_is_room(connection: RawConnection) -> None:
    """And then served."""
    connection.send("POST /detect HTTP/1.1\nhost: x\nexpect: 100-continue\ncontent-length: 5\n\n")
    assert connection.answer()[0] == 100
    connection.send("", b"image")
    assert connection.answer()[0] == 200


def test_a_stalled_upload_ends_with_408(connection: RawConnection, detector: FakeDetector) -> None:
    """Its slot is free again, and the connection closed."""
    connection.send("POST /detect HTTP/1.1\nhost: x\ncontent-length: 90000\n\n", b"x" * 10)
    status, headers, body = connection.answer()
    assert (status, headers["connection"]) == (408, "close")
    assert json.loads(body)["type"] == "urn:ocrdet:problem:body-timeout"
    assert connection.closed()
    assert detector.gate.inflight_images == 0


def test_an_upload_slower_than_the_deadline_ends_with_504(connection: RawConnection) -> None:
    """The deadline counts from the first byte."""
    connection.send(
        "POST /detect HTTP/1.1\nhost: x\nx-request-timeout-ms: 50\ncontent-length: 90000\n\n", b"x" * 10
    )
    assert connection.answer()[0] == 504


def test_a_client_that_leaves_while_its_image_waits_is_dropped(
    live: LiveServer, detector: FakeDetector
) -> None:
    """Work that nobody waits for is never begun; its slot is free at once."""
    detector.hold.clear()
    connections = [RawConnection(live) for _ in range(3)]
    for connection in connections:
        connection.send("POST /detect HTTP/1.1\nhost: x\ncontent-length: 5\n\n", b"image")
    assert detector.started.wait(PATIENCE_S)
    while detector.gate.inflight_images < 3:
        detector.gate.wait_idle(0.01)
    for connection in connections:
        connection.close()
    # Two are inside their native work, which cannot be stopped; the third has not begun.
    while detector.gate.inflight_images > 2:
        detector.gate.wait_idle(0.01)
    detector.hold.set()
    assert detector.gate.wait_idle(PATIENCE_S)
    assert len(detector.seen) == 2
    lines = httpx.get(f"{live.url}/metrics").text.splitlines()
    assert 'ocrdet_requests_total{route="/detect",status="499"} 3.0' in lines
    assert 'ocrdet_cancelled_total{stage="queue"} 1.0' in lines
    assert 'ocrdet_cancelled_total{stage="postprocess"} 2.0' in lines


def test_a_client_that_leaves_during_its_upload_is_dropped(live: LiveServer, detector: FakeDetector) -> None:
    """And counted under the stage it did not finish."""
    connection = RawConnection(live)
    connection.send("POST /detect HTTP/1.1\nhost: x\ncontent-length: 90000\n\n", b"x" * 10)
    while detector.gate.inflight_images < 1:
        detector.gate.wait_idle(0.01)
    connection.close()
    assert detector.gate.wait_idle(PATIENCE_S)
    assert 'ocrdet_cancelled_total{stage="body"} 1.0' in httpx.get(f"{live.url}/metrics").text


def test_probes_answer_while_every_worker_is_busy(live: LiveServer, detector: FakeDetector) -> None:
    """They never wait behind work."""
    detector.hold.clear()
    post = functools.partial(httpx.post, f"{live.url}/detect", content=IMAGE, timeout=PATIENCE_S)
    threads = [threading.Thread(target=post) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert detector.started.wait(PATIENCE_S)
    for path in ("/livez", "/readyz", "/healthz", "/metrics"):
        assert httpx.get(live.url + path, timeout=2).status_code == 200
    detector.hold.set()
    for thread in threads:
        thread.join(PATIENCE_S)


@pytest.mark.parametrize(
    "head",
    [
        "nonsense\n\n",
        "GET / HTTP/9.9\n\n",
        "POST /detect HTTP/1.1\nhost: x\ncontent-length: many\n\n",
        "POST /detect HTTP/1.1\nhost: x\ncontent-length: 5\ncontent-length: 6\n\n",
        "POST /detect HTTP/1.1\nhost: x\ncontent-length: 5\ntransfer-encoding: chunked\n\n",
        "GET /livez HTTP/1.1\nbad header\n\n",
    ],
)
def test_what_is_no_http_gets_a_problem_too(connection: RawConnection, head: str) -> None:
    """Before any route is reached."""
    connection.send(head)
    status, headers, body = connection.answer()
    assert (status, headers["content-type"]) == (400, "application/problem+json")
    assert json.loads(body)["type"] == "urn:ocrdet:problem:malformed-request"
    assert json.loads(body)["request_id"] == headers["x-request-id"]
    assert connection.closed()


def test_headers_are_bounded_in_size(connection: RawConnection) -> None:
    """The parser itself would take them all."""
    with contextlib.suppress(OSError):
        connection.send("GET /livez HTTP/1.1\nhost: x\nx-long: " + "x" * (protocol.MAX_HEADER_BYTES + 70_000))
    assert connection.answer()[0] == 400


def test_headers_are_bounded_in_time(live: LiveServer) -> None:
    """A connection that says nothing, or never ends its headers, is closed."""
    for head in ("", "GET /livez HTTP/1.1\nhost: x\n"):
        connection = RawConnection(live)
        connection.send(head)
        assert connection.closed()
        connection.close()


def test_a_slow_body_is_not_taken_for_slow_headers(connection: RawConnection) -> None:
    """Once the headers are complete their clock stands still."""
    connection.send("POST /detect HTTP/1.1\nhost: x\ncontent-length: 4\n\n")
    for byte in (b"a", b"b", b"c", b"d"):
        threading.Event().wait(0.2)
        connection.send("", byte)
    assert connection.answer()[0] == 200


def test_answers_do_not_name_the_server_software(live: LiveServer) -> None:
    """Nothing to look up weaknesses by."""
    headers = httpx.get(f"{live.url}/livez").headers
    assert "server" not in headers
    assert "date" not in headers
