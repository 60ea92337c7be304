"""The parts of `bench/gpu.py` that need no server: sessions, options, agreement, TensorRT, tests."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import subprocess
import sys
from functools import partial
from itertools import product
from typing import TYPE_CHECKING

from bench.gpu_plan import BUILT_IN, LONGEST_S, QUICK_SIDE, RESNET, ask_session, last_words, run_module
from bench.gpu_session import Task
from bench.pages import draw_dense_page, draw_page
from bench.processes import ROOT
from ocrdet.engine.providers import PROVIDERS
from ocrdet.engine.session import runtime_facts

if TYPE_CHECKING:
    from pathlib import Path

    from bench.gpu_plan import Plan, Row
    from ocrdet.engine.providers import Precision

RUNS, QUICK_RUNS = 200, 2
BATCHES, QUICK_BATCHES = (1, 2, 4, 8), (1, 2)
PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16")
QUICK_SESSIONS = (
    (BUILT_IN, "fp32", "plain"),
    (BUILT_IN, "fp16", "bound, CUDA graphs"),
    (RESNET.format(QUICK_SIDE), "fp32", "bound"),
)
# Each against what the service sets by itself (`engine/providers.py`).
OPTIONS: tuple[dict[str, str], ...] = (
    {},
    {"use_tf32": "1"},
    {"cudnn_conv_use_max_workspace": "1"},
    {"cudnn_conv_algo_search": "EXHAUSTIVE"},
    {"prefer_nhwc": "1"},
    {"arena_extend_strategy": "kNextPowerOfTwo"},
)
PAGES, QUICK_PAGES = 24, 1
MOST_IMAGES = "200"
# (width, height) of the drawn pages: scans, a screen, a strip.
PAGE_SIZES = ((1600, 1200), (1240, 1754), (1920, 1080), (2000, 500))
TESTS = "tests/**/test_cuda*.py"


def measure_sessions(plan: Plan) -> list[Row]:
    """Every model in every precision, the plain way and bound, without and with CUDA graphs."""
    ways = {"plain": (True, False), "bound": (False, False), "bound, CUDA graphs": (False, True)}
    rows = []
    for (name, shape), precision, (way, (plain, captured)) in product(
        plan.shapes.items(), PRECISIONS, ways.items()
    ):
        if plan.quick and (name, precision, way) not in QUICK_SESSIONS:
            continue
        task = Task(
            str(plan.models[name]), shape, _batches(plan, name), plan.device, precision, plain, captured
        )
        labels = {"model": name, "precision": precision, "way": way}
        rows.append(plan.attempt(labels, partial(_session, plan, task)))
    return rows


def measure_options(plan: Plan) -> list[Row]:
    """What else the provider's options would give, at 800x800."""
    rows = []
    names = [name for name, shape in plan.shapes.items() if plan.quick or shape == (800, 800)]
    for name, options in product(names[: 1 if plan.quick else None], OPTIONS[: 1 if plan.quick else None]):
        precision: Precision = "fp16" if "prefer_nhwc" in options else "fp32"
        task = Task(
            str(plan.models[name]),
            plan.shapes[name],
            _batches(plan, name),
            plan.device,
            precision,
            options=options,
        )
        told = ", ".join(f"{option}={value}" for option, value in options.items()) or "as served"
        labels = {"model": name, "precision": precision, "options": told}
        rows.append(plan.attempt(labels, partial(_session, plan, task)))
    return rows


def measure_tensorrt(plan: Plan) -> list[Row]:
    """The same by TensorRT, where its libraries are."""
    rows = []
    for name, precision in product(list(plan.shapes)[: 1 if plan.quick else None], PRECISIONS):
        task = Task(str(plan.models[name]), plan.shapes[name], (1,), "tensorrt", precision)
        labels = {"model": name, "precision": precision, "way": "TensorRT"}
        rows.append(plan.attempt(labels, partial(_tensorrt, plan, task)))
    return rows


def measure_agreement(plan: Plan) -> list[Row]:
    """The regions of both precisions held against those of the CPU provider in fp32."""
    drawn = plan.scratch / "pages"
    drawn.mkdir(exist_ok=True)
    for number in range(QUICK_PAGES if plan.quick else PAGES):
        size = PAGE_SIZES[number % len(PAGE_SIZES)]
        (drawn / f"{number}.jpg").write_bytes(draw_page(number, *size))
    (drawn / "dense.jpg").write_bytes(draw_dense_page())
    sources = {"drawn pages": drawn} | ({"given images": plan.data} if plan.data else {})
    rows = []
    for (told, folder), precision in product(sources.items(), PRECISIONS):
        labels = {"images of": told, "precision": precision}
        rows.append(plan.attempt(labels, partial(_agreement, plan, folder, precision)))
    return rows


def run_tests(plan: Plan) -> list[Row]:
    """The tests that need a card."""
    return [plan.attempt({"tests": TESTS}, _run_tests)]


def _session(plan: Plan, task: Task) -> Row:
    runs = QUICK_RUNS if plan.quick else RUNS
    answer = ask_session(dataclasses.replace(task, runs=runs))
    return {
        "start_s": answer.start_s,
        "largest_difference": answer.largest_difference,
        "memory_by": answer.memory_by,
        "batches": {str(size): figures for size, figures in answer.batches.items()},
    }


def _tensorrt(plan: Plan, task: Task) -> Row:
    if PROVIDERS["tensorrt"] not in str(runtime_facts()["providers"]):
        raise RuntimeError("not available: this ONNX Runtime was built without it")
    return _session(plan, task)


def _agreement(plan: Plan, folder: Path, precision: Precision) -> Row:
    arguments = {
        "--model": str(plan.models[BUILT_IN]),
        "--device": plan.device,
        "--precision": precision,
        "--data": str(folder),
        "--images": MOST_IMAGES,
    }
    words = [word for pair in arguments.items() for word in pair]
    figures: Row = json.loads(run_module("bench.precision", *words))
    return figures


def _run_tests() -> Row:
    files = sorted(map(str, ROOT.glob(TESTS)))
    if not files:
        raise RuntimeError("there are none")
    if importlib.util.find_spec("pytest") is None:
        raise RuntimeError("not run: pytest is not installed in this environment")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *files],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=LONGEST_S,
        check=False,
    )
    return {"passed": done.returncode == 0, "said": last_words(done.stdout)}


def _batches(plan: Plan, name: str) -> tuple[int, ...]:
    if name != BUILT_IN:  # its graph has one image
        return (1,)
    return QUICK_BATCHES if plan.quick else BATCHES
