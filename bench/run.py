"""Measure everything and write docs/performance.md: `make bench`, about 35 minutes, half of it for peers.

    python -m bench.run [--only NAME,...] [--openvino PYTHON] [--quick] [--out FOLDER]

Each part is written to the results as soon as it is measured; `--only` measures some anew and keeps the rest.
The other scripts in this folder measure one thing each; `bench/accuracy.py` needs labelled images and stands
alone.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import platform
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from bench.arrivals import measure_arrivals
from bench.document import write_document
from bench.engines import measure_engines
from bench.idle import measure_idle
from bench.memory import measure_in_flight, measure_memory
from bench.processes import ROOT
from bench.regions_speed import measure_regions
from bench.resnet18 import measure_resnet18
from bench.serving import measure_serving
from bench.stages import measure_stages
from ocrdet.engine.resources import available_cpus
from ocrdet.engine.session import runtime_facts

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS, QUICK_ROUNDS = 15, 2
# Parts that need more than the project's own environment are measured last.
PARTS = ("stages", "regions", "serving", "arrivals", "memory", "idle", "resnet18", "engines", "peers")
NEEDED = {"engines": "needs --openvino PYTHON", "peers": "needs bench/peers"}
# Of the results; earlier ones of another form are not merged with.
FORM = 2


def main() -> None:
    """Run the parts one after the other; nothing else should run meanwhile."""
    arguments = _arguments()
    results_file, document = (
        arguments.out / "bench" / "results.json",
        arguments.out / "docs" / "performance.md",
    )
    results = _earlier(results_file)
    parts = _parts(arguments)
    began = time.monotonic()
    for number, (name, measure) in enumerate(parts.items(), 1):
        print(f"[{number}/{len(parts)}] {name}, {_minutes(began)} minutes gone", flush=True)
        results[name] = measure()
        for path, text in (
            (results_file, json.dumps(results, indent=1) + "\n"),
            (document, write_document(results)),
        ):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    print(f"wrote {document} and {results_file} in {_minutes(began)} minutes")


def _minutes(began: float) -> str:
    return f"{(time.monotonic() - began) / 60:.1f}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", type=_names, default=PARTS, metavar="NAME,...", help=", ".join(PARTS))
    parser.add_argument("--openvino", metavar="PYTHON", help="of an environment with ocrdet[openvino]")
    parser.add_argument("--quick", action="store_true", help="two short rounds: to see that it runs")
    parser.add_argument("--out", type=Path, default=ROOT, metavar="FOLDER", help="of bench/ and docs/")
    return parser.parse_args()


def _names(text: str) -> tuple[str, ...]:
    if unknown := set(text.split(",")) - set(PARTS):
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(sorted(unknown))}")
    return tuple(name for name in PARTS if name in text.split(","))


def _parts(arguments: argparse.Namespace) -> dict[str, Callable[[], Any]]:
    """What to measure, by name."""
    quick, python = arguments.quick, arguments.openvino
    rounds = QUICK_ROUNDS if quick else ROUNDS

    def seconds(whole: float) -> float:
        return whole / 4 if quick else whole

    def memory() -> dict[str, float]:
        return measure_in_flight(seconds(8)) | measure_memory(40 if quick else 1000)

    parts: dict[str, Callable[[], Any]] = {
        "stages": lambda: measure_stages(rounds),
        "regions": lambda: measure_regions(4 * rounds),
        "serving": lambda: measure_serving(rounds, seconds(2)),
        "arrivals": lambda: measure_arrivals(seconds(15)),
        "memory": memory,
        "idle": lambda: measure_idle(seconds(20)),
        "resnet18": lambda: measure_resnet18(rounds, seconds(0.6)),
    }
    if python:
        parts["engines"] = lambda: measure_engines(rounds, seconds(2), python)
    if importlib.util.find_spec("bench.peers.compare"):
        parts["peers"] = lambda: _measure_peers(rounds, seconds(2))
    for name in arguments.only:
        if name not in parts:
            print(f"{name}: left out, {NEEDED[name]}")
    return {name: measure for name, measure in parts.items() if name in arguments.only}


def _measure_peers(rounds: int, seconds: float) -> Any:  # noqa: ANN401 - plain values for JSON
    # Imported here: what peers need is prepared when they are asked for.
    from bench.peers.compare import measure_peers

    results = measure_peers(rounds, seconds)
    # RapidOCR leaves the precision to OpenVINO, which takes bf16 where the CPU has it; ocrdet does not.
    again = measure_peers(rounds, seconds, ["rapidocr openvino"], {"OCRDET_PRECISION": "bf16"})
    return results | {"rapidocr openvino, ocrdet in bf16": again["rapidocr openvino"]}


def _earlier(path: Path) -> dict[str, Any]:
    """Results of an earlier run on this machine and software; else none."""
    machine = _machine()
    earlier: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    if (earlier.get("machine"), earlier.get("form")) == (machine, FORM):
        return earlier
    if earlier:
        print(f"{path} is of another machine or other versions, and is replaced")
    return {"form": FORM, "machine": machine}


def _machine() -> str:
    model = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    onnxruntime = runtime_facts()["version"]
    return (
        f"{available_cpus()} CPUs of {model}, Python {platform.python_version()}, "
        f"ONNX Runtime {onnxruntime}, OpenCV {cv2.__version__}, NumPy {np.__version__}"
    )


if __name__ == "__main__":
    main()
