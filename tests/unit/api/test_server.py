"""Listening, and an orderly end."""

from __future__ import annotations

import signal
import socket
import stat
import threading
from pathlib import Path

import httpx
import pytest

from ocrdet.api import protocol
from ocrdet.api.listener import Listener
from ocrdet.api.server import Server
from ocrdet.errors import ConfigurationError
from tests.fakes import IMAGE, PATIENCE_S, FakeDetector, make_app, running


def post_in_thread(url: str, answers: list[httpx.Response]) -> threading.Thread:
    """One POST /detect whose answer lands in a list."""

    def post() -> None:
        answers.append(httpx.post(f"{url}/detect", content=IMAGE, timeout=PATIENCE_S))

    thread = threading.Thread(target=post)
    thread.start()
    return thread


def test_a_port_in_use_is_one_clear_sentence() -> None:
    """It names the port and the setting."""
    with Listener.open("127.0.0.1", 0) as first:
        port = first.sock.getsockname()[1]
        with pytest.raises(ConfigurationError, match=rf"Port {port} on 127.0.0.1 is in use.*OCRDET_PORT"):
            Listener.open("127.0.0.1", port)


@pytest.mark.parametrize("host", ["192.0.2.1", "no such host"])
def test_an_address_of_another_machine_is_one_clear_sentence(host: str) -> None:
    """It names the setting."""
    with pytest.raises(ConfigurationError, match="OCRDET_HOST"):
        Listener.open(host, 0)


def test_a_unix_socket_serves_and_is_removed(tmp_path: Path) -> None:
    """Nginx may connect under another user; nothing is left behind."""
    path = tmp_path / "ocrdet.sock"
    app = make_app(FakeDetector())
    server = Server(app, behind_socket_file=True)
    with Listener.open("127.0.0.1", 0, path) as listener:
        thread = threading.Thread(target=server.run_on, args=(listener,))
        thread.start()
        assert app.state.service.settled.wait(PATIENCE_S)
        assert stat.S_IMODE(path.stat().st_mode) == 0o666
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(path))) as http:
            assert http.get("http://localhost/readyz").status_code == 200
        server.stop()
        thread.join(PATIENCE_S)
        assert "--unix-socket" in listener.curl
    assert not path.exists()


def test_a_stale_socket_is_replaced_and_anything_else_is_left_alone(tmp_path: Path) -> None:
    """A killed process leaves its socket; a file of somebody's is not ours to remove."""
    path = tmp_path / "stale.sock"
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(path))
    left.close()
    with Listener.open("127.0.0.1", 0, path), pytest.raises(ConfigurationError, match="in use"):
        Listener.open("127.0.0.1", 0, path)
    path.write_text("precious")
    with pytest.raises(ConfigurationError, match="no socket"):
        Listener.open("127.0.0.1", 0, path)
    assert path.read_text() == "precious"
    with pytest.raises(ConfigurationError, match="OCRDET_UDS"):
        Listener.open("127.0.0.1", 0, tmp_path / "missing" / "x.sock")


def test_the_ready_line_names_a_url_and_a_picture_that_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where port 0 has picked a port; the sample picture where it is at hand."""
    monkeypatch.chdir(tmp_path)
    with Listener.open("127.0.0.1", 0) as listener:
        assert listener.url == f"http://127.0.0.1:{listener.sock.getsockname()[1]}"
        assert listener.curl == f"curl -F file=@photo.jpg {listener.url}/detect"
        (tmp_path / "examples").mkdir()
        (tmp_path / "examples" / "sample.png").touch()
        assert listener.curl == f"curl -F file=@examples/sample.png {listener.url}/detect"


def test_a_signal_lets_work_finish_and_ends_with_code_0() -> None:
    """What was admitted is answered; the model is freed."""
    detector = FakeDetector()
    detector.hold.clear()
    answers: list[httpx.Response] = []
    with running(make_app(detector)) as live:
        thread = post_in_thread(live.url, answers)
        assert detector.started.wait(PATIENCE_S)
        live.server.handle_exit(signal.SIGTERM, None)
        threading.Timer(0.3, detector.hold.set).start()
        assert live.join() == 0
        thread.join(PATIENCE_S)
    assert answers[0].status_code == 200
    assert detector.gate.draining


def test_during_the_drain_delay_work_goes_on_while_readiness_says_no() -> None:
    """A load balancer has the time to look elsewhere."""
    detector = FakeDetector()
    with running(make_app(detector), drain_delay_s=60) as live, httpx.Client(base_url=live.url) as http:
        assert http.get("/readyz").status_code == 200
        live.server.handle_exit(signal.SIGTERM, None)
        assert http.get("/readyz").json()["checks"]["shutdown"] == "draining"
        assert http.get("/healthz").json()["reason"] == "shutdown: draining"
        assert http.get("/livez").status_code == 200
        assert http.post("/detect", content=IMAGE).status_code == 200
        # A second signal means: now.
        live.server.handle_exit(signal.SIGTERM, None)
        assert live.join() == 0


def test_the_drain_delay_ends_by_itself() -> None:
    """No second signal is needed."""
    with running(make_app(FakeDetector()), drain_delay_s=0.1) as live:
        live.server.handle_exit(signal.SIGINT, None)
        assert live.join() == 0


def test_what_outlasts_the_drain_is_told_to_come_again() -> None:
    """A problem instead of a broken connection."""
    detector = FakeDetector()
    detector.hold.clear()
    answers: list[httpx.Response] = []
    with running(make_app(detector), drain_timeout_s=0.2) as live:
        thread = post_in_thread(live.url, answers)
        assert detector.started.wait(PATIENCE_S)
        live.server.handle_exit(signal.SIGTERM, None)
        assert live.join() == 0
        thread.join(PATIENCE_S)
    assert answers[0].status_code == 503
    assert answers[0].json()["type"] == "urn:ocrdet:problem:draining"
    assert answers[0].headers["retry-after"]


def test_a_request_on_its_way_is_still_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    """The end of the process does not cut off what a client has begun to say."""
    monkeypatch.setattr(protocol, "GRACE_SECONDS", PATIENCE_S)
    app = make_app(FakeDetector())
    with running(app) as live, socket.create_connection(("127.0.0.1", live.port), timeout=PATIENCE_S) as sock:
        sock.sendall(b"POST /detect HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\n")
        httpx.get(f"{live.url}/livez")
        live.server.handle_exit(signal.SIGTERM, None)
        while not app.state.service.loaded().gate.draining:
            threading.Event().wait(0.01)
        sock.sendall(b"\r\nx")
        answer = b"".join(iter(lambda: sock.recv(65536), b""))
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"connection: close" in answer
        assert live.join() == 0


def test_new_work_on_an_old_connection_is_refused_while_draining() -> None:
    """A connection that is kept alive is no way in."""
    detector = FakeDetector()
    with running(make_app(detector)) as live, httpx.Client(base_url=live.url) as http:
        assert http.get("/livez").status_code == 200
        detector.gate.drain()
        response = http.post("/detect", content=IMAGE)
        assert (response.status_code, response.json()["type"]) == (503, "urn:ocrdet:problem:draining")
        assert response.headers["retry-after"] == "1"


def test_a_signal_before_the_loop_turns_ends_at_once() -> None:
    """Nobody is served yet, so there is nothing to keep serving for the drain delay."""
    server = Server(make_app(FakeDetector()), drain_delay_s=30.0)
    server.handle_exit(signal.SIGTERM, None)
    assert server.should_exit
