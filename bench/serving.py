"""Hold the real server against a bare `session.run` loop and against the same pipeline without HTTP.

    python -m bench.serving [--rounds 15] [--seconds 2.5]

Each round measures, one after the other: the pipeline in a process of its own, the server at concurrency 8,
the bare loop (a caller per CPU of a one-thread session), the server at concurrency 32, the bare session with
all threads, the server alone, OpenCV's decoding, and a lone dense page.
"""

from __future__ import annotations

import argparse
import json
from functools import partial
from typing import TYPE_CHECKING

from bench.pages import draw_dense_page, draw_page
from bench.posting import beside_stages, load
from bench.processes import ask, bare, obedient, server
from bench.rounds import paired_rounds, spreads
from ocrdet.engine.resources import available_cpus

if TYPE_CHECKING:
    from bench.rounds import Figures

MODEL = "ppocrv6-det-small"
BUSY, FULL = 8, 32
SHAPE = (608, 800)  # what a 1600x1200 page is given
PAGES = 8
DENSE_REQUESTS = 7
OF_THE_SERVER = ("per_second", "p50_ms", "p99_ms", "cpu_ms_per_image", "load_cpu_percent")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=2.5)
    parser.add_argument("--model", default=MODEL)
    arguments = parser.parse_args()
    print(json.dumps(measure_serving(arguments.rounds, arguments.seconds, arguments.model), indent=1))


def measure_serving(rounds: int, seconds: float, model: str = MODEL) -> dict[str, Figures]:
    """The spread of every figure over the rounds."""
    pages, dense = [draw_page(seed) for seed in range(PAGES)], draw_dense_page()
    # With one caller per CPU each would often find itself alone, and take all CPUs from the other.
    callers = str(2 * available_cpus())
    with (
        server(OCRDET_MODEL=model) as (port, pid),
        bare(model, SHAPE) as yardstick,
        obedient("bench.pipeline", "--model", model, "--callers", callers) as pipeline,
    ):
        load(port, pages, 1, 1.0)
        steps = {
            "pipeline": partial(ask, pipeline, "pipeline", seconds),
            "busy": partial(load, port, pages, BUSY, seconds, pid),
            "lanes": partial(ask, yardstick, "lanes", seconds),
            "full": partial(load, port, pages, FULL, seconds, pid),
            "wide": partial(ask, yardstick, "wide", seconds / 2),
            "alone": partial(load, port, pages[:1], 1, seconds / 2, pid),
            "decode": partial(ask, yardstick, "decode", 0.2),
            "dense": partial(beside_stages, port, dense, DENSE_REQUESTS),
        }
        return spreads([_figures(each) for each in paired_rounds(rounds, steps)])


def _figures(measured: dict[str, Figures]) -> Figures:
    """The figures of one round, and the ratios within it."""
    busy, full, alone = measured["busy"], measured["full"], measured["alone"]
    lanes, wide, decode = measured["lanes"], measured["wide"], measured["decode"]
    pipeline = measured["pipeline"]
    figures = {
        f"{name}_{figure}": measured[name][figure]
        for name in ("alone", "busy", "full")
        for figure in OF_THE_SERVER
    }
    return figures | {
        "bare_per_second": lanes["per_second"],
        "pipeline_per_second": pipeline["per_second"],
        "bare_wide_p50_ms": wide["p50_ms"],
        "decode_p50_ms": decode["p50_ms"],
        "busy_over_bare": busy["per_second"] / lanes["per_second"],
        "full_over_bare": full["per_second"] / lanes["per_second"],
        "busy_over_pipeline": busy["per_second"] / pipeline["per_second"],
        "pipeline_over_bare": pipeline["per_second"] / lanes["per_second"],
        "alone_over_bare": (alone["p50_ms"] - decode["p50_ms"]) / wide["p50_ms"],
        "full_p99_over_fair": full["p99_ms"] * full["per_second"] / (1e3 * FULL),
        "dense_beside_stages_ms": measured["dense"]["beside_stages_ms"],
        "dense_regions": measured["dense"]["regions"],
    }


if __name__ == "__main__":
    main()
