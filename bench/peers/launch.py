"""Peers as processes: started in their own environments, asleep while others are measured, ended whole."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench.pages import draw_page
from bench.posting import load
from bench.processes import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

START_TIMEOUT_S = 120
END_TIMEOUT_S = 15
WARM_CALLERS, WARM_S = 8, 2.0


@dataclass(frozen=True, slots=True)
class Peer:
    """A process group under way.

    Attributes:
        process: Its leader.
        port: Where it serves `POST /detect`; 0 where it obeys commands instead.
        facts: What it said of itself when it was ready to obey.
    """

    process: subprocess.Popen[str]
    port: int
    facts: dict[str, Any]

    @property
    def pid(self) -> int:
        """Of the leader, and of the group."""
        return self.process.pid

    @contextlib.contextmanager
    def awake(self) -> Iterator[None]:
        """Let it run for a block: some frameworks poll while idle, which would cost the others."""
        _signal(self.process, signal.SIGCONT)
        try:
            yield
        finally:
            _signal(self.process, signal.SIGSTOP)

    def ask(self, what: str, argument: object) -> dict[str, Any]:
        """The answer to a command."""
        with self.awake():
            assert self.process.stdin is not None
            self.process.stdin.write(f"{what} {argument}\n")
            self.process.stdin.flush()
            return _read_answer(self.process)


@contextlib.contextmanager
def obeying(command: Sequence[str]) -> Iterator[Peer]:
    """A process that obeys commands on its standard input once it has said a line of facts; asleep."""
    with _group(command, os.environ, subprocess.PIPE) as process:
        peer = Peer(process, 0, _read_answer(process))
        with peer.awake():
            pass
        yield peer


@contextlib.contextmanager
def serving(command: Sequence[str], settings: Mapping[str, str]) -> Iterator[Peer]:
    """A server of `POST /detect`, warm and asleep; `{port}` in its settings becomes a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {name: value.format(port=port) for name, value in settings.items()}
    with _group(command, environment, None) as process:
        peer = Peer(process, port, {})
        with peer.awake():
            _wait_answering(process, port)
            load(port, [draw_page(0)], WARM_CALLERS, WARM_S)
        yield peer


@contextlib.contextmanager
def _group(
    command: Sequence[str], environment: Mapping[str, str], pipe: int | None
) -> Iterator[subprocess.Popen[str]]:
    """A process in a group of its own, so that all of it can be put to sleep and ended."""
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdin=pipe,
        stdout=pipe or sys.stderr,  # what a server logs must not mix with results
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        for number in (signal.SIGCONT, signal.SIGTERM):
            _signal(process, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(END_TIMEOUT_S)
        # Some frameworks leave workers behind when their parent is told to end.
        _signal(process, signal.SIGKILL)
        process.wait()


def _signal(process: subprocess.Popen[str], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def _read_answer(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"{process.args!r} ended")
    answer: dict[str, Any] = json.loads(line)
    return answer


def _wait_answering(process: subprocess.Popen[str], port: int) -> None:
    ends_at = time.monotonic() + START_TIMEOUT_S
    page = draw_page(0)
    while time.monotonic() < ends_at:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args!r} ended with code {process.returncode}")
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            connection.request("POST", "/detect", page, {"Content-Type": "image/jpeg"})
            if connection.getresponse().status == http.HTTPStatus.OK:
                return
        time.sleep(0.2)
    raise TimeoutError(f"{process.args!r} did not answer")
