"""The real server as a process of its own, and a client that sees what it says."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any, TypeVar

import httpx
from prometheus_client.parser import text_string_to_metric_families

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

T = TypeVar("T")
COMMAND = [sys.executable, "-c", "import sys; from ocrdet.cli import main; sys.exit(main())"]
# Settings of the shell that runs the tests are not those of the tests.
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("OCRDET_")}
PATIENCE_S = 60.0
POLL_S = 0.02
# What the decoders' own C libraries write about damaged files, past every log.
DECODERS = ("libpng ", "Corrupt JPEG data")
REGIONS = re.compile(rb'"regions":(\[.*\]),"thresholds"')


def run_ocrdet(
    *arguments: str | Path, stdin: bytes = b"", variables: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    """What the command wrote and how it ended."""
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        input=stdin,
        capture_output=True,
        env=ENVIRONMENT | dict(variables or {}),
        timeout=120,
        check=False,
    )


def wait_for(probe: Callable[[], T | None], what: str) -> T:
    """The first true thing that a probe gives."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if value := probe():
            return value
        time.sleep(POLL_S)
    raise AssertionError(f"waited {PATIENCE_S:g} s in vain for {what}")


def assert_problem(response: httpx.Response, status: int, slug: str) -> dict[str, Any]:
    """The problem has the documented status, type and shape, and gives nothing away."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = response.json()
    assert problem["type"] == f"urn:ocrdet:problem:{slug}"
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"].endswith((".", "?"))
    assert problem["request_id"] == response.headers["x-request-id"]
    assert problem["retryable"] is (status in {408, 429, 503, 504})
    assert not any(word in response.text for word in ("Traceback", ".py", "OCRDET_", "/site-packages"))
    return problem


def regions_of(response: httpx.Response) -> bytes:
    """The regions of an answer, byte for byte."""
    assert response.status_code == 200, response.text
    found = REGIONS.search(response.content)
    assert found, response.text
    return found[1]


class ServerProcess:
    """`ocrdet serve` on a free port, with everything that it writes."""

    def __init__(self, folder: Path, *, command: Sequence[str] = COMMAND, **variables: str) -> None:
        """Start it and wait until it says that it is ready."""
        self._stdout, self._stderr = folder / "stdout", folder / "stderr"
        with self._stdout.open("wb") as stdout, self._stderr.open("wb") as stderr:
            self.process = subprocess.Popen(
                [*command, "serve"],
                stdout=stdout,
                stderr=stderr,
                env=ENVIRONMENT | {"OCRDET_PORT": "0"} | variables,
            )
        try:
            self.url = wait_for(self._announced, "the server to be ready")
        except BaseException:
            self.process.kill()
            self.process.wait()
            raise
        self.client = httpx.Client(base_url=self.url, timeout=PATIENCE_S)

    def __enter__(self) -> ServerProcess:
        """Use the server for a block."""
        return self

    def __exit__(self, *_: object) -> None:
        """See that nothing is left of it, whatever happened."""
        self.client.close()
        self.process.kill()
        self.process.wait()

    def detect(self, data: bytes, **request: Any) -> httpx.Response:  # noqa: ANN401 - whatever httpx takes
        """The answer to one image in the raw body."""
        return self.client.post("/detect", content=data, **request)

    def found(self, data: bytes, **options: str | float | bool) -> Any:  # noqa: ANN401 - JSON
        """What was found in one image."""
        response = self.detect(data, params=options)
        assert response.status_code == 200, response.text
        return response.json()

    def metric(self, name: str, /, **labels: str) -> float:
        """The sum of a metric's samples with these labels."""
        families = text_string_to_metric_families(self.client.get("/metrics").text)
        samples = [
            sample.value
            for family in families
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        ]
        assert samples, name
        return sum(samples)

    def idle(self) -> bool:
        """Whether nothing is admitted."""
        return self.metric("ocrdet_inflight_images") == 0

    def log(self) -> list[dict[str, Any]]:
        """Every line that it has written on standard output."""
        # The last line may be half written.
        whole = self._stdout.read_text("utf-8").rpartition("\n")[0]
        return [json.loads(line) for line in whole.splitlines()]

    def log_of(self, request_id: str) -> list[dict[str, Any]]:
        """The lines of one request; at least one, which may come a moment after the answer."""
        return wait_for(
            lambda: [line for line in self.log() if line.get("request_id") == request_id],
            f"a log line of {request_id}",
        )

    @contextlib.contextmanager
    def uploading(self, body: bytes, sent: int, **headers: str) -> Iterator[Upload]:
        """A request of which only the first bytes have been sent."""
        address = httpx.URL(self.url)
        connection = http.client.HTTPConnection(address.host, address.port or 80, timeout=PATIENCE_S)
        try:
            connection.putrequest("POST", "/detect")
            for name, value in ({"Content-Length": str(len(body))} | headers).items():
                connection.putheader(name, value)
            connection.endheaders()
            connection.send(body[:sent])
            yield Upload(connection, body[sent:])
        finally:
            connection.close()

    def stop(self) -> int:
        """End it as an operator does; its exit code, after having written no error."""
        self.process.terminate()
        return self.ended()

    def ended(self, *, error: str = "") -> int:
        """Its exit code once it has ended, after having written no error, or this one."""
        code = self.process.wait(PATIENCE_S)
        stray = self._stderr.read_text("utf-8", "replace").splitlines()
        assert [line for line in stray if not line.startswith(DECODERS)] == []
        errors = [line["message"] for line in self.log() if line["level"] == "error"]
        assert [message for message in errors if not error or error not in message] == []
        return code

    def _announced(self) -> str | None:
        assert self.process.poll() is None, self._stdout.read_text() + self._stderr.read_text()
        messages = [line["message"] for line in self.log()]
        ready = next((message for message in messages if "is ready on" in message), "")
        return ready.partition("is ready on ")[2].partition(" ")[0] or None


class Upload:
    """One request half sent."""

    def __init__(self, connection: http.client.HTTPConnection, rest: bytes) -> None:
        """Keep what is left to send."""
        self._connection = connection
        self._rest = rest

    def finish(self) -> httpx.Response:
        """Send the rest; the answer."""
        self._connection.send(self._rest)
        return self.answer()

    def answer(self) -> httpx.Response:
        """The answer to what was sent so far."""
        answer = self._connection.getresponse()
        return httpx.Response(answer.status, headers=answer.getheaders(), content=answer.read())

    def abandon(self) -> None:
        """Go away."""
        self._connection.close()
