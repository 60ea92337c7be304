"""Measure everything on a CUDA machine and write docs/performance-gpu.md: `make bench-gpu`.

    python -m bench.gpu [--only NAME,...] [--data DIR] [--quick] [--out FOLDER]

It takes less than eight minutes; what is not measured by then is left out and said. `--only` measures some
parts, and each is written to bench/results-gpu.json as soon as it is known, beside earlier ones of the same
machine. A failure becomes a row with its reason. `--device cpu` goes every way on the CPU instead,
to see that the program works; its figures say nothing.

`make bench-gpu` installs ocrdet[gpu] from the lock. Where another ONNX Runtime is installed already and must
stay for now, `pip uninstall onnxruntime` and then `pip install --no-deps onnxruntime-gpu==VERSION` with the
version of requirements/gpu.lock leave the rest alone; CUDA and cuDNN must then lie where the loader looks, or
come as wheels with `pip install "onnxruntime-gpu[cuda,cudnn]==VERSION"`. A driver is needed in any case.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.gpu_card import describe_card
from bench.gpu_document import write_document
from bench.gpu_parts import (
    measure_agreement,
    measure_options,
    measure_sessions,
    measure_tensorrt,
    run_tests,
)
from bench.gpu_plan import BUILT_IN, Plan, ask_session, write_models
from bench.gpu_serving import measure_fuse, measure_hosts, measure_serving
from bench.gpu_session import Task
from bench.processes import ROOT
from ocrdet.engine.providers import PROVIDERS
from ocrdet.engine.resources import available_cpus
from ocrdet.engine.session import runtime_facts

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.gpu_plan import Row

# In the order in which they are measured: what matters most comes first.
PARTS: dict[str, Callable[[Plan], list[Row]]] = {
    "sessions": measure_sessions,
    "agreement": measure_agreement,
    "serving": measure_serving,
    "hosts": measure_hosts,
    "fuse": measure_fuse,
    "options": measure_options,
    "tensorrt": measure_tensorrt,
    "tests": run_tests,
}
BUDGET_S = 440.0
REFUSED = 2
# Of the results; earlier ones of another form are not merged with.
FORM = 1


def main() -> int:
    """Measure, and write after every part; 2 where there is no CUDA."""
    arguments = _arguments()
    ends_at = time.monotonic() + arguments.budget_s
    with tempfile.TemporaryDirectory(prefix="ocrdet-bench-") as name:
        try:
            if arguments.device == "cuda":
                _require_provider()
            models, shapes = write_models(scratch := Path(name), quick=arguments.quick)
            plan = Plan(arguments.device, arguments.quick, models, shapes, scratch, arguments.data, ends_at)
            _require_run(plan)
        except RuntimeError as error:
            print(f"Nothing is measured: {error}", file=sys.stderr)
            return REFUSED
        _measure(plan, arguments.only, arguments.out)
    return 0


def _measure(plan: Plan, only: tuple[str, ...], out: Path) -> None:
    results_file, document = out / "bench" / "results-gpu.json", out / "docs" / "performance-gpu.md"
    machine = _machine(plan)
    results = _earlier(results_file, machine) or {"form": FORM, "machine": machine}
    for number, name in enumerate(only, 1):
        print(f"[{number}/{len(only)}] {name}", file=sys.stderr, flush=True)
        results[name] = PARTS[name](plan)
        for path, text in (
            (results_file, json.dumps(results, indent=1) + "\n"),
            (document, write_document(results)),
        ):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    print(f"wrote {document} and {results_file}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = tuple(PARTS)
    parser.add_argument(
        "--only", "--part", type=_names, default=names, metavar="NAME,...", help=", ".join(names)
    )
    parser.add_argument(
        "--data", type=Path, metavar="DIR", help="images on which precisions are compared too"
    )
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--quick", action="store_true", help="a little of everything: to see that it runs")
    parser.add_argument("--budget-s", type=float, default=BUDGET_S, metavar="SECONDS")
    parser.add_argument("--out", type=Path, default=ROOT, metavar="FOLDER", help="of bench/ and docs/")
    return parser.parse_args()


def _names(text: str) -> tuple[str, ...]:
    if unknown := set(text.split(",")) - set(PARTS):
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(sorted(unknown))}")
    return tuple(name for name in PARTS if name in text.split(","))


def _require_provider() -> None:
    """See whether there can be CUDA, from what is installed.

    Raises:
        RuntimeError: There cannot, and what to do.
    """
    providers = runtime_facts()["providers"]
    assert isinstance(providers, list)
    if PROVIDERS["cuda"] not in providers:
        raise RuntimeError(
            f"the installed ONNX Runtime offers {' and '.join(providers)}, but not {PROVIDERS['cuda']}. "
            f"`make bench-gpu` installs ocrdet[gpu]; the machine needs an NVIDIA card and its driver."
        )


def _require_run(plan: Plan) -> None:
    """Try one run, in a process of its own; raises RuntimeError with what it said."""
    ask_session(Task(str(plan.models[BUILT_IN]), plan.shapes[BUILT_IN], (1,), plan.device, runs=1))


def _earlier(path: Path, machine: str) -> dict[str, Any] | None:
    """Results of an earlier run on this machine and software."""
    if not path.exists():
        return None
    earlier: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return earlier if (earlier.get("form"), earlier.get("machine")) == (FORM, machine) else None


def _machine(plan: Plan) -> str:
    facts = runtime_facts()
    shown = "the CPU provider, which says nothing" if plan.device == "cpu" else describe_card()
    return (
        f"{shown}; {available_cpus()} CPUs, Python {platform.python_version()}, "
        f"ONNX Runtime {facts['version']}, CUDA {facts['cuda'] or 'none'}"
    )


if __name__ == "__main__":
    sys.exit(main())
