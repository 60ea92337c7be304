"""Post images to a real server and watch its memory.

    python -m bench.memory [--requests 1000] [--seconds 8]

With 2 and then 32 pages in flight: the peak of resident and of proportional memory. Then with mixed images,
whose sizes and formats change from request to request: resident memory after a quarter of the requests, at
the end, and the growth between the two.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice

import cv2
import numpy as np

from bench.pages import draw_page
from bench.posting import Caller, load
from bench.processes import proportional_bytes, resident_bytes, server

SIZES = (
    (1600, 1200),
    (800, 800),
    (1200, 1600),
    (640, 480),
    (3000, 2200),
    (340, 76),
    (1080, 1920),
    (2480, 3508),
)
IN_FLIGHT = (2, 32)
CALLERS = 4
MIB = 1024 * 1024
MB = 1_000_000
WATCH_S = 0.1


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=8.0)
    arguments = parser.parse_args()
    figures = measure_in_flight(arguments.seconds) | measure_memory(arguments.requests)
    print(json.dumps(figures, indent=1))


def measure_in_flight(seconds: float) -> dict[str, float]:
    """Peak memory of a fresh server with so many 1600x1200 pages in flight, MB of a million bytes."""
    pages = [draw_page(seed) for seed in range(8)]
    figures = {}
    with server() as (port, pid):
        for concurrency in IN_FLIGHT:
            with _Watch(pid) as watch:
                load(port, pages, concurrency, seconds)
            figures[f"resident_{concurrency}_mb"] = round(watch.resident_bytes / MB, 1)
            figures[f"proportional_{concurrency}_mb"] = round(watch.proportional_bytes / MB, 1)
            told = f"{concurrency} in flight: {watch.resident_bytes / MB:.0f} MB"
            print(f"  {told}", file=sys.stderr, flush=True)
    return figures


def measure_memory(requests: int) -> dict[str, float]:
    """Resident memory of the server over so many mixed requests, MiB."""
    bodies = [body for number, size in enumerate(SIZES) for body in _variants(number, *size)]
    # No two neighbours are alike: seven steps of 24 visit every body before one comes again.
    order = [bodies[number * 7 % len(bodies)] for number in range(len(bodies))]
    marks = []
    with server() as (port, pid):
        marks.append(resident_bytes(pid))
        turn, step = cycle(order), max(1, requests // 20)
        for first in range(0, requests, step):
            _post(port, list(islice(turn, step)))
            marks.append(resident_bytes(pid))
            print(f"  {first + step} requests: {marks[-1] / MIB:.0f} MiB", file=sys.stderr, flush=True)
    quarter, end = marks[1 + (len(marks) - 1) // 4], marks[-1]
    return {
        "requests": requests,
        "start_mib": round(marks[0] / MIB, 1),
        "quarter_mib": round(quarter / MIB, 1),
        "end_mib": round(end / MIB, 1),
        "peak_mib": round(max(marks) / MIB, 1),
        "growth_percent": round(100 * (end - quarter) / quarter, 2),
    }


class _Watch:
    """Looks at the memory of a process again and again, and keeps the largest it has seen."""

    def __init__(self, pid: int) -> None:
        self.resident_bytes = self.proportional_bytes = 0
        self._pid = pid
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> _Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(WATCH_S):
            self.resident_bytes = max(self.resident_bytes, resident_bytes(self._pid))
            self.proportional_bytes = max(self.proportional_bytes, proportional_bytes(self._pid))


def _variants(seed: int, width: int, height: int) -> list[bytes]:
    jpeg = draw_page(seed, width, height)
    pixels = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None
    return [jpeg, cv2.imencode(".png", pixels)[1].tobytes(), cv2.imencode(".webp", pixels)[1].tobytes()]


def _post(port: int, bodies: list[bytes]) -> None:
    def call(offset: int) -> None:
        own = bodies[offset::CALLERS]
        caller = Caller(port, own)
        for _ in own:
            caller()
        caller.close()

    with ThreadPoolExecutor(CALLERS) as pool:
        list(pool.map(call, range(CALLERS)))


if __name__ == "__main__":
    main()
