"""Start, command, watch and stop the processes that a benchmark compares."""

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
# Fields of /proc/PID/stat behind the name: CPU time in user mode and in the kernel.
USER, KERNEL = 11, 12


class NotStarted(RuntimeError):
    """A process ended instead of becoming ready."""


@contextlib.contextmanager
def server(python: str = sys.executable, /, **settings: str) -> Iterator[tuple[int, int]]:
    """A real server on a free port: yields port and process id, stops it by its own drain.

    Args:
        python: Interpreter of the environment whose ocrdet is started.
        **settings: Environment variables of the server.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {"OCRDET_PORT": str(port), "OCRDET_LOG_LEVEL": "warning"} | settings
    with subprocess.Popen([str(Path(python).parent / "ocrdet"), "serve"], env=environment) as process:
        try:
            _wait_ready(port, process)
            yield port, process.pid
        finally:
            process.terminate()
            process.wait(60)


@contextlib.contextmanager
def obedient(module: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A yardstick in a process of its own, ready for commands.

    Args:
        module: One that ends in `bench.obey.obey`.
        *arguments: Of its command line.

    Raises:
        NotStarted: It ended instead.
    """
    command = [sys.executable, "-m", module, *arguments]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            if process.stdout.readline().strip() != "ready":
                raise NotStarted(f"{module} did not become ready")
            yield process
        finally:
            process.terminate()
            process.wait(30)


def bare(model: str, shape: tuple[int, int]) -> contextlib.AbstractContextManager[subprocess.Popen[str]]:
    """The yardstick process of `bench/bare.py`, ready for commands."""
    return obedient("bench.bare", "--model", model, "--shape", *map(str, shape))


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


def proportional_bytes(pid: int) -> int:
    """The same, but what several processes share is counted in parts: it adds up over processes.

    Raises:
        RuntimeError: The kernel is too old to tell.
    """
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("the kernel does not tell the proportional set size")


def cpu_seconds(pid: int) -> float:
    """CPU time that a process has taken so far, of all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[USER]) + int(fields[KERNEL])) / os.sysconf("SC_CLK_TCK")


def _wait_ready(port: int, process: subprocess.Popen[bytes]) -> None:
    ends_at = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < ends_at:
        if process.poll() is not None:
            raise NotStarted(f"the server ended with code {process.returncode}")
        with contextlib.suppress(OSError):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/readyz")
            if connection.getresponse().status == http.HTTPStatus.OK:
                return
        time.sleep(0.2)
    raise TimeoutError("the server did not become ready")
