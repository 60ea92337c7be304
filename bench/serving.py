"""Hold the real server against a bare `session.run` loop: images per second under load, latency alone.

    python -m bench.serving [--rounds 15] [--seconds 3]

Each round measures, one after the other: the bare loop (two callers of a one-thread session), the server at
concurrency 8, the bare two-thread session, OpenCV's decoding, the server alone. Ratios are taken within a
round, so a noisy neighbour hits both sides; medians of the ratios and their quartiles are reported.
"""

from __future__ import annotations

import argparse
import http.client
import json
import sys
import threading
import time
from statistics import median, quantiles

from bench.pages import draw_page
from bench.processes import ask, bare, server

CONCURRENCY = 8
SHAPE = (608, 800)  # what a 1600x1200 page is given
PAGES = 8


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--model", default="ppocrv6-det-small")
    arguments = parser.parse_args()
    print(json.dumps(measure_serving(arguments.rounds, arguments.seconds, arguments.model), indent=1))


def measure_serving(rounds: int, seconds: float, model: str) -> dict[str, dict[str, float]]:
    """Median and quartiles of every figure of the rounds."""
    pages = [draw_page(seed) for seed in range(PAGES)]
    figures: list[dict[str, float]] = []
    with server(OCRDET_MODEL=model) as (port, _), bare(model, SHAPE) as yardstick:
        load(port, pages, 1, 1.0)
        for number in range(rounds):
            lanes = ask(yardstick, "lanes", seconds)
            busy = load(port, pages, CONCURRENCY, seconds)
            wide = ask(yardstick, "wide", seconds / 2)
            decode = ask(yardstick, "decode", 0.3)
            alone = load(port, pages[:1], 1, seconds / 2)
            figures.append(
                {
                    "bare_per_second": lanes["per_second"],
                    "server_per_second": busy["per_second"],
                    "throughput_ratio": busy["per_second"] / lanes["per_second"],
                    "busy_p50_ms": busy["p50_ms"],
                    "busy_p99_ms": busy["p99_ms"],
                    "bare_wide_p50_ms": wide["p50_ms"],
                    "decode_p50_ms": decode["p50_ms"],
                    "alone_p50_ms": alone["p50_ms"],
                    "latency_ratio": (alone["p50_ms"] - decode["p50_ms"]) / wide["p50_ms"],
                }
            )
            told = " ".join(f"{name}={value:.3g}" for name, value in figures[-1].items())
            print(f"round {number + 1}: {told}", file=sys.stderr, flush=True)
    return {name: _spread([each[name] for each in figures]) for name in figures[0]}


def load(port: int, pages: list[bytes], concurrency: int, seconds: float) -> dict[str, float]:
    """A closed loop of callers, each on its own keep-alive connection."""
    times: list[float] = []
    ends_at = time.perf_counter() + seconds

    def call(offset: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        number = offset
        while time.perf_counter() < ends_at:
            started = time.perf_counter()
            connection.request("POST", "/detect", pages[number % len(pages)], {"Content-Type": "image/jpeg"})
            answer = connection.getresponse()
            answer.read()
            if answer.status != http.HTTPStatus.OK:
                raise RuntimeError(f"the server answered {answer.status}")
            times.append(time.perf_counter() - started)
            number += 1
        connection.close()

    started = time.perf_counter()
    threads = [threading.Thread(target=call, args=(offset,)) for offset in range(concurrency)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    elapsed_s = time.perf_counter() - started
    ordered = sorted(times)
    return {
        "per_second": len(times) / elapsed_s,
        "p50_ms": median(ordered) * 1e3,
        "p99_ms": ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))] * 1e3,
    }


def _spread(values: list[float]) -> dict[str, float]:
    low, _, high = quantiles(values, n=4) if len(values) > 1 else (values[0],) * 3
    return {"median": round(median(values), 3), "q1": round(low, 3), "q3": round(high, 3)}


if __name__ == "__main__":
    main()
