"""Start and stop the processes that a benchmark compares."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
START_TIMEOUT_S = 120


@contextlib.contextmanager
def server(**settings: str) -> Iterator[tuple[int, int]]:
    """A real server on a free port: yields port and process id, stops it by its own drain."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {"OCRDET_PORT": str(port), "OCRDET_LOG_LEVEL": "warning"} | settings
    with subprocess.Popen([str(Path(sys.executable).parent / "ocrdet"), "serve"], env=environment) as process:
        try:
            _wait_ready(port, process)
            yield port, process.pid
        finally:
            process.terminate()
            process.wait(60)


@contextlib.contextmanager
def bare(model: str, shape: tuple[int, int]) -> Iterator[subprocess.Popen[str]]:
    """The yardstick process of `bench/bare.py`, ready for commands."""
    command = [sys.executable, "-m", "bench.bare", "--model", model, "--shape", *map(str, shape)]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "ready"
        try:
            yield process
        finally:
            process.terminate()
            process.wait(30)


def ask(process: subprocess.Popen[str], what: str, seconds: float) -> dict[str, float]:
    """Let the yardstick run for a moment."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{what} {seconds}\n")
    process.stdin.flush()
    answer: dict[str, float] = json.loads(process.stdout.readline())
    return answer


def resident_bytes(pid: int) -> int:
    """Resident memory of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _wait_ready(port: int, process: subprocess.Popen[bytes]) -> None:
    ends_at = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < ends_at:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with code {process.returncode}")
        with contextlib.suppress(OSError):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/readyz")
            if connection.getresponse().status == http.HTTPStatus.OK:
                return
        time.sleep(0.2)
    raise TimeoutError("the server did not become ready")
