"""Post mixed images to a real server and watch its resident memory.

    python -m bench.memory [--requests 1000]

Sizes and formats change from request to request. Reported: resident memory after a quarter of the requests,
at the end, and the growth between the two.
"""

from __future__ import annotations

import argparse
import http.client
import json
import sys
import threading

import cv2
import numpy as np

from bench.pages import draw_page
from bench.processes import resident_bytes, server

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
CALLERS = 4
MIB = 1024 * 1024


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=1000)
    print(json.dumps(measure_memory(parser.parse_args().requests), indent=1))


def measure_memory(requests: int) -> dict[str, float]:
    """Resident memory of the server over so many requests, MiB."""
    bodies = [body for number, size in enumerate(SIZES) for body in _variants(number, *size)]
    marks = []
    with server() as (port, pid):
        marks.append(resident_bytes(pid))
        step = max(1, requests // 20)
        for first in range(0, requests, step):
            _post(port, bodies, first, step)
            marks.append(resident_bytes(pid))
            print(f"{first + step} requests: {marks[-1] / MIB:.0f} MiB", file=sys.stderr, flush=True)
    quarter, end = marks[1 + (len(marks) - 1) // 4], marks[-1]
    return {
        "requests": requests,
        "start_mib": round(marks[0] / MIB, 1),
        "quarter_mib": round(quarter / MIB, 1),
        "end_mib": round(end / MIB, 1),
        "peak_mib": round(max(marks) / MIB, 1),
        "growth_percent": round(100 * (end - quarter) / quarter, 2),
    }


def _variants(seed: int, width: int, height: int) -> list[bytes]:
    jpeg = draw_page(seed, width, height)
    pixels = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None
    return [jpeg, cv2.imencode(".png", pixels)[1].tobytes(), cv2.imencode(".webp", pixels)[1].tobytes()]


def _post(port: int, bodies: list[bytes], first: int, count: int) -> None:
    def call(offset: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        for number in range(first + offset, first + count, CALLERS):
            connection.request("POST", "/detect", bodies[number * 7 % len(bodies)])
            answer = connection.getresponse()
            answer.read()
            if answer.status != http.HTTPStatus.OK:
                raise RuntimeError(f"the server answered {answer.status}")
        connection.close()

    threads = [threading.Thread(target=call, args=(offset,)) for offset in range(CALLERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
