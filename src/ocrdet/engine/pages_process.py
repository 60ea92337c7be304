"""The parent's side of `pages_worker.py`: one process, its pipe, and its end.

Whatever comes through the pipe may have been written by the document, as far as anybody knows: the length of
an answer is bounded, and how many pixels come is decided here.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import struct
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from io import FileIO

    import numpy as np
    from numpy.typing import NDArray

logger = logging.getLogger(__name__)

WORKER = Path(__file__).with_name("pages_worker.py")
LENGTH = struct.Struct(">Q")
MOST_ANSWER_BYTES = 4096
# Nothing that the service knows reaches the process; one arena keeps its address space small.
ENVIRONMENT = {"LC_ALL": "C.UTF-8", "MALLOC_ARENA_MAX": "1"}


@dataclass(frozen=True, slots=True)
class PageLimits:
    """What rendering may take.

    Attributes:
        seconds: Longest time for one page, and for opening the document.
        memory_bytes: Most address space of one process.
    """

    seconds: float
    memory_bytes: int


class ProcessEnded(Exception):
    """There is no whole answer, and no process any more.

    Attributes:
        late: Whether it was ended because it took too long.
    """

    def __init__(self, *, late: bool) -> None:
        """Keep the reason."""
        super().__init__(late)
        self.late = late


class PagesProcess:
    """One process that holds one document. Its methods block; only `kill` may come from another thread."""

    def __init__(self, limits: PageLimits, worker: Sequence[str | Path] = (WORKER,)) -> None:
        """Start it."""
        self._seconds = limits.seconds
        self._process = subprocess.Popen(  # noqa: S603 - nothing of the command comes from a request
            [
                *(sys.executable, "-P", "-s", "-B", "-W", "ignore"),
                *(*worker, str(limits.memory_bytes), str(limits.seconds)),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            env=ENVIRONMENT | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            process_group=0,  # a Ctrl-C in the terminal is for the service alone
        )
        self._requests = cast("FileIO", self._process.stdin)  # as bufsize=0 makes them
        self._answers = cast("FileIO", self._process.stdout)

    def talk(self, message: bytes, pixels: NDArray[np.uint8] | None = None) -> dict[str, Any]:
        """Send a message; its answer.

        Args:
            message: The document, then requests.
            pixels: Filled with what follows the answer, unless that is an error.

        Raises:
            ProcessEnded: There is no whole answer.
        """
        with self._timed():
            self._send(LENGTH.pack(len(message)))
            self._send(message)
            length = bytearray(LENGTH.size)
            self._receive_into(length)
            text = bytearray(min(MOST_ANSWER_BYTES, *LENGTH.unpack(length)))
            self._receive_into(text)
            answer = dict(json.loads(text))
            if pixels is not None and "error" not in answer:
                self._receive_into(pixels.data)
            return answer

    def kill(self) -> None:
        """End it now, whatever it does; a `talk` under way raises."""
        self._process.kill()

    def end(self) -> None:
        """Leave neither a process nor a zombie nor a pipe."""
        self._process.kill()
        self._requests.close()
        self._answers.close()
        self._process.wait()

    @contextlib.contextmanager
    def _timed(self) -> Iterator[None]:
        """Kill the process when the block takes too long: what waits for it there then finds its end.

        Raises:
            ProcessEnded: The block could not be completed, and there is no process any more.
        """
        late = threading.Event()

        def stop() -> None:
            late.set()
            self._process.kill()

        timer = threading.Timer(self._seconds, stop)
        timer.daemon = True
        timer.start()
        try:
            yield
        except (OSError, EOFError, TypeError, ValueError, RecursionError):
            self.end()
            logger.info("A PDF renderer ended with exit code %s.", self._process.returncode)
            raise ProcessEnded(late=late.is_set()) from None
        finally:
            timer.cancel()

    def _send(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[self._requests.write(rest) :]

    def _receive_into(self, buffer: bytearray | memoryview) -> None:
        rest = memoryview(buffer).cast("B")
        while rest:
            count = self._answers.readinto(rest)
            if not count:
                raise EOFError
            rest = rest[count:]
