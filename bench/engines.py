"""The service on another engine beside the service on ONNX Runtime's own, on the same pages and model.

    python -m bench.engines --openvino .venv-openvino/bin/python [--rounds 15] [--seconds 2]

Both servers run all the time and rest while the other is measured. Agreement is the share of regions that
both find, matched as `bench/precision.py` does, over drawn pages.
"""

from __future__ import annotations

import argparse
import json
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

from bench.pages import draw_dense_page, draw_page
from bench.posting import Caller, load
from bench.precision import match_quads
from bench.processes import NotStarted, resident_bytes, server
from bench.rounds import paired_rounds, spreads

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.rounds import Figures
    from ocrdet.values import Quad

CONCURRENCY = 8
PAGES = 8
MB = 1_000_000
OPENVINO = {"OCRDET_DEVICE": "openvino"}
VARIANTS = {
    "openvino fp32": OPENVINO,
    "openvino bf16": OPENVINO | {"OCRDET_PRECISION": "bf16"},
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--openvino", required=True, metavar="PYTHON")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=2.0)
    arguments = parser.parse_args()
    print(json.dumps(measure_engines(arguments.rounds, arguments.seconds, arguments.openvino), indent=1))


def measure_engines(rounds: int, seconds: float, python: str) -> dict[str, Any]:
    """Of each variant the spread of every figure; None where its server does not start.

    Args:
        rounds: Measured rounds for each variant.
        seconds: Of load for each figure of a round.
        python: Interpreter of an environment with ocrdet and onnxruntime-openvino.
    """
    return {name: _measure(name, rounds, seconds, python, own) for name, own in VARIANTS.items()}


def _measure(
    name: str, rounds: int, seconds: float, python: str, settings: dict[str, str]
) -> dict[str, Any] | None:
    print(f"  {name}", file=sys.stderr, flush=True)
    pages = [draw_page(seed) for seed in range(PAGES)]
    with server(OCRDET_DEVICE="cpu") as (ort_port, ort_pid):
        try:
            with server(python, **settings) as (port, pid):
                agreement = _agreement(ort_port, port, [*pages, draw_dense_page()])
                load(port, pages, CONCURRENCY, 1.0)
                steps = {
                    "ort": partial(load, ort_port, pages, CONCURRENCY, seconds, ort_pid),
                    "other": partial(load, port, pages, CONCURRENCY, seconds, pid),
                    "ort_alone": partial(load, ort_port, pages[:1], 1, seconds / 2, ort_pid),
                    "other_alone": partial(load, port, pages[:1], 1, seconds / 2, pid),
                }
                figures = spreads([_figures(each) for each in paired_rounds(rounds, steps)])
                memory = {"ort_mb": resident_bytes(ort_pid) / MB, "other_mb": resident_bytes(pid) / MB}
        except NotStarted as error:
            print(f"  {name} is left out: {error}", file=sys.stderr, flush=True)
            return None
    return figures | {"agreement": agreement} | {key: round(value, 1) for key, value in memory.items()}


def _figures(measured: dict[str, Figures]) -> Figures:
    ort, other = measured["ort"], measured["other"]
    return {
        "ort_per_second": ort["per_second"],
        "other_per_second": other["per_second"],
        "over_ort": other["per_second"] / ort["per_second"],
        "ort_alone_p50_ms": measured["ort_alone"]["p50_ms"],
        "other_alone_p50_ms": measured["other_alone"]["p50_ms"],
        "other_cpu_ms_per_image": other["cpu_ms_per_image"],
    }


def _agreement(first_port: int, second_port: int, pages: Sequence[bytes]) -> float:
    """The share of all regions of both sides that have a partner on the other."""
    matched = total = 0
    for ours, theirs in zip(_quads(first_port, pages), _quads(second_port, pages), strict=True):
        total += len(ours) + len(theirs)
        matched += 2 * len(match_quads(ours, theirs))
    return round(matched / total, 4)


def _quads(port: int, pages: Sequence[bytes]) -> list[list[Quad]]:
    caller = Caller(port, pages)
    answers = [json.loads(caller()) for _ in pages]
    caller.close()
    return [[region["quad"] for region in answer["regions"]] for answer in answers]


if __name__ == "__main__":
    main()
