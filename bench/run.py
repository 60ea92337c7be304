"""Measure everything and write docs/performance.md: `make bench`, about eight minutes.

The other scripts in this folder measure one thing each; `bench/accuracy.py` needs labelled images and stands
alone.
"""

from __future__ import annotations

import json
import platform
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from bench.memory import measure_memory
from bench.processes import ROOT
from bench.regions_speed import measure_regions
from bench.serving import CONCURRENCY, measure_serving
from ocrdet.engine.resources import available_cpus
from ocrdet.engine.session import runtime_facts

ROUNDS = 15
SECONDS = 3.0
MODEL = "ppocrv6-det-small"
DOCUMENT = ROOT / "docs" / "performance.md"
RESULTS = ROOT / "bench" / "results.json"


def main() -> None:
    """Run the scripts one after the other; nothing else should run meanwhile."""
    results: dict[str, Any] = {
        "machine": _machine(),
        "regions": measure_regions(60),
        "serving": measure_serving(ROUNDS, SECONDS, MODEL),
        "memory": measure_memory(1000),
    }
    RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    DOCUMENT.write_text(_document(results), encoding="utf-8")
    print(f"wrote {DOCUMENT.relative_to(ROOT)} and {RESULTS.relative_to(ROOT)}")


def _machine() -> str:
    model = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    onnxruntime = runtime_facts()["version"]
    return (
        f"{available_cpus()} CPUs of {model}, Python {platform.python_version()}, "
        f"ONNX Runtime {onnxruntime}, OpenCV {cv2.__version__}, NumPy {np.__version__}"
    )


def _document(results: dict[str, Any]) -> str:
    serving, memory, regions = results["serving"], results["memory"], results["regions"]
    lines = [
        "<!-- Written by bench/run.py; `make bench` measures and writes it anew. -->",
        "",
        "# Performance",
        "",
        f"Measured on {results['machine']}.",
        "Absolute times belong to that machine; ratios carry over. Each round measures the server and its",
        f"yardstick one after the other; the ratio is taken within the round: medians of {ROUNDS} rounds,",
        "quartiles in brackets. The yardstick is a loop over plain `session.run` at the same input shape",
        "in a process of its own (`bench/bare.py`); pages are drawn 1600x1200 JPEGs of about 400 kB.",
        "",
        "## Against a bare session",
        "",
        "| what | bare | server | ratio |",
        "|---|---|---|---|",
        f"| images per second, concurrency {CONCURRENCY} | {_spread(serving['bare_per_second'])} "
        f"| {_spread(serving['server_per_second'])} | **{_spread(serving['throughput_ratio'])}** |",
        f"| p50 alone, ms; the ratio is without decoding ({serving['decode_p50_ms']['median']:.1f} ms) "
        f"| {_spread(serving['bare_wide_p50_ms'])} | {_spread(serving['alone_p50_ms'])} "
        f"| **{_spread(serving['latency_ratio'])}** |",
        f"| p50 and p99 at concurrency {CONCURRENCY}, ms | | {serving['busy_p50_ms']['median']:.0f} and "
        f"{serving['busy_p99_ms']['median']:.0f} | |",
        "",
        "## Memory",
        "",
        f"{memory['requests']:.0f} requests of eight sizes from 340x76 to 2480x3508 as JPEG, PNG and WebP,",
        "four at a time; resident memory of the server:",
        "",
        "| ready | after a quarter | at the end | peak | growth after the first quarter |",
        "|---|---|---|---|---|",
        f"| {memory['start_mib']:.0f} MiB | {memory['quarter_mib']:.0f} MiB | {memory['end_mib']:.0f} MiB "
        f"| {memory['peak_mib']:.0f} MiB | **{memory['growth_percent']:.1f} %** |",
        "",
        "## Post-processing",
        "",
        "CPU time from an 800x800 probability map to regions in reading order, one thread, drawn maps:",
        "",
        "| map | regions | ms |",
        "|---|---|---|",
        *(
            f"| {name} | {each['regions']} | {each['ms']} ({each['quartiles'][0]}-{each['quartiles'][1]}) |"
            for name, each in regions.items()
        ),
    ]
    return "\n".join(lines) + "\n"


def _spread(figure: dict[str, float]) -> str:
    return f"{figure['median']:.3g} ({figure['q1']:.3g}-{figure['q3']:.3g})"


if __name__ == "__main__":
    main()
