"""The load of the closed loops: threads of this process, each on a kept connection of its own."""

from __future__ import annotations

import http.client
import json
import time
from itertools import cycle
from statistics import median
from typing import TYPE_CHECKING

from bench.closed_loop import closed_loop
from bench.processes import cpu_seconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.rounds import Figures

HEADERS = {"Content-Type": "application/octet-stream"}
# What the answer itself accounts for; waiting for a worker is not among them, and so counts as HTTP.
STAGES = ("decode", "preprocess", "inference", "postprocess")
PATIENCE_S = 120.0


class Caller:
    """Posts one page after the other; being called is one request."""

    def __init__(self, port: int, pages: Sequence[bytes]) -> None:
        """Connect when it is first called."""
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
        self._turn = cycle(pages)

    def __call__(self) -> bytes:
        """The server's answer to the next page.

        Raises:
            RuntimeError: The server refused it.
        """
        self._connection.request("POST", "/detect", next(self._turn), HEADERS)
        answer = self._connection.getresponse()
        body = answer.read()
        if answer.status != http.HTTPStatus.OK:
            raise RuntimeError(f"the server answered {answer.status}: {body[:200]!r}")
        return body

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def load(
    port: int, pages: Sequence[bytes], concurrency: int, seconds: float, pid: int | None = None
) -> Figures:
    """A closed loop of callers.

    Args:
        port: Of a server on this machine.
        pages: Images, posted in turn; each caller begins with another one.
        concurrency: Callers.
        seconds: How long at least.
        pid: The server's process, to tell the CPU time that it takes for an image.

    Returns:
        What `closed_loop` tells; `load_cpu_percent`, the CPU time of this process in percent of one CPU; with
        a process id also `cpu_ms_per_image`.
    """
    first = [number % len(pages) for number in range(concurrency)]
    callers = [Caller(port, [*pages[start:], *pages[:start]]) for start in first]
    own_s, server_s = time.process_time(), cpu_seconds(pid) if pid else 0.0
    figures = closed_loop(callers, seconds)
    figures["load_cpu_percent"] = 100 * (time.process_time() - own_s) / figures["elapsed_s"]
    if pid:
        figures["cpu_ms_per_image"] = 1e3 * (cpu_seconds(pid) - server_s) / figures["calls"]
    for caller in callers:
        caller.close()
    return figures


def beside_stages(port: int, page: bytes, count: int) -> Figures:
    """Milliseconds of a lone request that are in none of its stages: HTTP, hand-overs and JSON, on both ends.

    Taken within each request, from what the answer says of its stages. The median of `count` requests, after
    one that is not counted.
    """
    caller, rest_ms, regions = Caller(port, [page]), [], []
    for _ in range(count + 1):
        started = time.perf_counter()
        body = caller()
        took_ms = 1e3 * (time.perf_counter() - started)
        answer = json.loads(body)
        rest_ms.append(took_ms - sum(answer["timings_ms"][stage] for stage in STAGES))
        regions.append(len(answer["regions"]))
    caller.close()
    return {"beside_stages_ms": median(rest_ms[1:]), "regions": median(regions)}
