"""CPU that a ready server takes while nobody asks for anything: `python -m bench.idle [--seconds 20]`."""

from __future__ import annotations

import argparse
import json
import time
from typing import TYPE_CHECKING

from bench.pages import draw_page
from bench.posting import load
from bench.processes import cpu_seconds, server

if TYPE_CHECKING:
    from bench.rounds import Figures

SETTLE_S = 2.0


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0)
    print(json.dumps(measure_idle(parser.parse_args().seconds), indent=1))


def measure_idle(seconds: float) -> Figures:
    """CPU time of the server in percent of one CPU, after it has worked: pools of threads spin after work."""
    with server() as (port, pid):
        load(port, [draw_page(0)], 4, 1.0)
        time.sleep(SETTLE_S)
        began, used_s = time.perf_counter(), cpu_seconds(pid)
        time.sleep(seconds)
        used_s = cpu_seconds(pid) - used_s
        return {
            "seconds": seconds,
            "cpu_percent": round(100 * used_s / (time.perf_counter() - began), 3),
        }


if __name__ == "__main__":
    main()
