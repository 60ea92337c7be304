"""A server that cannot work does not start, and says why in one line; one that ends, ends in order."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from ocrdet.engine.store import MODEL_FILE
from tests.system.conftest import write_model
from tests.system.images import assert_found, draw_page
from tests.system.server import (
    COMMAND,
    ENVIRONMENT,
    PATIENCE_S,
    ServerProcess,
    assert_problem,
    run_ocrdet,
    wait_for,
)

PAGE = draw_page()
# A server whose device takes an image and never gives it back.
NEVER_ANSWERS = """
import sys, threading
from pathlib import Path
from ocrdet.api import app
from ocrdet.settings import Settings
from tests.fakes import FakeDetector

class Stuck(FakeDetector):
    def detect(self, *_, **__):
        Path("busy").touch()
        threading.Event().wait()

app._open_detector = lambda *_: Stuck()
sys.exit(app.serve(Settings.from_environment({}, uds="socket")))
"""


def assert_refused(*words: str, **variables: str) -> None:
    """`ocrdet serve` ends at once with one sentence in which these words are."""
    answer = run_ocrdet("serve", variables={"OCRDET_PORT": "0"} | variables)
    sentence = answer.stderr.decode()
    assert (answer.returncode, answer.stdout) == (2, b""), sentence
    assert sentence.count("\n") == 1
    assert all(word in sentence for word in words), sentence


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        (
            "OCRDET_MAX_BODY_BYTE",
            "1",
            ("OCRDET_MAX_BODY_BYTE is no setting", "Did you mean OCRDET_MAX_BODY_BYTES?"),
        ),
        ("OCRDET_COLOUR", "red", ("OCRDET_COLOUR is no setting", "ocrdet serve --help")),
        ("OCRDET_PORT", "99999", ("OCRDET_PORT='99999'", "65535")),
        ("OCRDET_MAX_IMAGE_PIXELS", "many", ("OCRDET_MAX_IMAGE_PIXELS='many'", "integer")),
        ("OCRDET_DEVICE", "tpu", ("OCRDET_DEVICE='tpu'", "'cuda'")),
        ("OCRDET_HOST", "no such host", ("OCRDET_HOST=no such host",)),
        ("OCRDET_MODEL", "/nowhere/model.onnx", ("/nowhere/model.onnx", "ppocrv6-det-small")),
        ("OCRDET_API_KEYS_FILE", "/nowhere/keys", ("OCRDET_API_KEYS_FILE", "/nowhere/keys")),
    ],
)
def test_a_setting_that_cannot_work_is_refused(name: str, value: str, words: tuple[str, ...]) -> None:
    """With its name, what is wrong, and what to do."""
    assert_refused(*words, **{name: value})


def test_a_model_folder_without_its_file_is_refused(tmp_path: Path) -> None:
    """The missing file is named."""
    (write_model(tmp_path) / MODEL_FILE).unlink()
    assert_refused(f"holds no {MODEL_FILE}", OCRDET_MODEL=str(tmp_path))


def test_a_manifest_with_another_checksum_is_refused(tmp_path: Path) -> None:
    """Both checksums are shown."""
    wrong = "0" * 64
    write_model(tmp_path, sha256=wrong)
    assert_refused("SHA-256", wrong, OCRDET_MODEL=str(tmp_path))


def test_a_tampered_model_is_refused(tmp_path: Path) -> None:
    """One bit in the middle of the weights is enough."""
    model = write_model(tmp_path) / MODEL_FILE
    data = bytearray(model.read_bytes())
    data[len(data) // 2] ^= 1
    model.unlink()
    model.write_bytes(data)
    assert_refused("was changed or only half copied", OCRDET_MODEL=str(tmp_path))


@pytest.mark.parametrize("name", ["opencv-python", "opencv-contrib-python", "opencv-contrib-python-headless"])
def test_another_opencv_beside_is_refused(tmp_path: Path, name: str) -> None:
    """They overwrite each other's files; the command that mends it is named."""
    folder = tmp_path / f"{name.replace('-', '_')}-4.11.0.86.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 4.11.0.86\n")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    assert_refused(name, "pip uninstall -y", "pip install opencv-python-headless", PYTHONPATH=path)


def test_a_server_told_to_end_finishes_what_it_has(tmp_path: Path, small_model: Path) -> None:
    """Readiness says no first while requests are served; what is under way is answered; the code is 0."""
    data = PAGE.file("png")
    settings = {"OCRDET_DRAIN_DELAY_SECONDS": "60", "OCRDET_MODEL": str(small_model)}
    with ServerProcess(tmp_path, **settings) as server, server.uploading(data, 100) as upload:
        wait_for(lambda: not server.idle(), "the request to be admitted")
        server.process.terminate()
        wait_for(lambda: server.client.get("/readyz").status_code == 503, "readiness to say no")
        assert server.client.get("/readyz").json()["checks"]["shutdown"] == "draining"
        assert server.client.get("/healthz").status_code == 503
        assert server.client.get("/livez").status_code == 200
        assert_found(server.found(data), PAGE.boxes)
        # A second signal skips the delay.
        server.process.terminate()
        wait_for(lambda: refuses(server), "new connections to be refused")
        assert server.process.poll() is None
        answer = upload.finish()
        assert answer.status_code == 200
        assert_found(answer.json(), PAGE.boxes)
        assert server.ended() == 0


def test_a_request_that_never_ends_is_given_up_when_the_drain_is_over(
    tmp_path: Path, small_model: Path
) -> None:
    """It is told to come back, and the process still ends in order."""
    settings = {"OCRDET_DRAIN_TIMEOUT_SECONDS": "0.3", "OCRDET_MODEL": str(small_model)}
    with ServerProcess(tmp_path, **settings) as server, server.uploading(PAGE.file("png"), 100) as upload:
        wait_for(lambda: not server.idle(), "the request to be admitted")
        server.process.terminate()
        answer = upload.answer()
        assert_problem(answer, 503, "draining")
        assert int(answer.headers["retry-after"]) >= 1
        assert server.ended(error="timeout graceful shutdown exceeded") == 0


def test_a_server_told_to_end_while_its_model_loads_ends_in_order(tmp_path: Path) -> None:
    """Not with an abort from the thread that loads it."""
    uds = tmp_path / "socket"
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [*COMMAND, "serve", "--uds", str(uds)], env=ENVIRONMENT, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(uds)), base_url="http://localhost") as client:
            wait_for(lambda: uds.exists() and client.get("/livez").status_code == 200, "the server to live")
        process.terminate()
        assert process.wait(PATIENCE_S) == 0
    finally:
        process.kill()
        process.wait()


def test_a_second_signal_ends_a_server_whose_device_never_answers(tmp_path: Path) -> None:
    """Python would wait for the thread for ever."""
    paths = {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))}
    log = tmp_path / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-c", NEVER_ANSWERS],
            env=ENVIRONMENT | paths,
            cwd=tmp_path,
            stdout=out,
            stderr=out,
        )
    try:
        wait_for(lambda: b"is ready on" in log.read_bytes(), "the server to be ready")
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(tmp_path / "socket"))
            connection.sendall(b"POST /detect HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx")
            wait_for((tmp_path / "busy").exists, "the device to be busy")
            process.terminate()
            wait_for(lambda: b"Stopping" in log.read_bytes(), "the end to begin")
            process.terminate()
            assert process.wait(PATIENCE_S) == 0
    finally:
        process.kill()
        process.wait()


def refuses(server: ServerProcess) -> bool:
    """Whether nobody listens any more."""
    try:
        httpx.get(f"{server.url}/livez")
    except httpx.ConnectError:
        return True
    except httpx.TransportError:
        return False  # just then closing
    return False


def test_a_server_that_has_answered_leaves_nothing_behind_but_its_graph(tmp_path: Path) -> None:
    """Not even the files that ONNX Runtime keeps for its reports to its maker, which are off."""
    places = {name: str(tmp_path / name) for name in ("HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME")}
    for place in places.values():
        Path(place).mkdir()
    (tmp_path / "server").mkdir()
    with ServerProcess(tmp_path / "server", **places) as server:
        assert_found(server.found(PAGE.file("png")), PAGE.boxes)
        assert server.stop() == 0
    left = [file for place in places.values() for file in Path(place).rglob("*") if file.is_file()]
    assert left
    assert {file.parent for file in left} == {Path(places["XDG_CACHE_HOME"]) / "ocrdet" / "graphs"}
