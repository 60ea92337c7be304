"""The parts of `bench/gpu.py` with a real server: its load, its host threads, its fuse for memory."""

from __future__ import annotations

import contextlib
import http.client
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client.parser import text_string_to_metric_families

from bench.gpu_card import Busy, process_mib, used_mib
from bench.gpu_plan import BUILT_IN, LONGEST_S, last_words
from bench.pages import draw_page
from bench.posting import load
from bench.processes import NotStarted, server
from ocrdet.engine.resources import available_cpus
from ocrdet.settings import MIB

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bench.gpu_plan import Plan, Row
    from bench.rounds import Figures

CONCURRENCIES = (1, 8, 32, 64)
SETTINGS: tuple[dict[str, str], ...] = ({}, {"OCRDET_CUDA_GRAPHS": "true"}, {"OCRDET_PRECISION": "fp16"})
THREADS = (1, 2, 4, 8, 16)
LOAD_S = 4.0
PAGES = 8
LIMITS_MIB = (64, 256, 1024)
ROOM = {"OCRDET_MAX_INFLIGHT_IMAGES": "128", "OCRDET_MAX_INFLIGHT_PIXELS": "1000000000"}
OF_LOAD = ("per_second", "p50_ms", "p99_ms", "cpu_ms_per_image", "load_cpu_percent")


def measure_serving(plan: Plan) -> list[Row]:
    """Closed loops against a server in each of its ways to use the card."""
    rows = []
    for settings in SETTINGS[: 1 if plan.quick else None]:
        labels = {"settings": " ".join(f"{name}={value}" for name, value in settings.items()) or "defaults"}
        rows.append(plan.attempt(labels, partial(_serve, plan, settings)))
    return rows


def measure_hosts(plan: Plan) -> list[Row]:
    """How many images the host can feed to the card: workers of one process, then two processes."""
    cpus = available_cpus()
    rows = []
    labels: Row
    for threads in [count for count in THREADS if count <= cpus][: 1 if plan.quick else None]:
        labels = {"processes": 1, "OCRDET_THREADS": threads}
        rows.append(plan.attempt(labels, partial(_feed, plan, 1, threads)))
    each = max(1, cpus // 2)
    labels = {"processes": 2, "OCRDET_THREADS": each}
    rows.append(plan.attempt(labels, partial(_feed, plan, 2, each)))
    return rows


def measure_fuse(plan: Plan) -> list[Row]:
    """What happens where OCRDET_GPU_MEM_LIMIT_BYTES is too little."""
    limits = LIMITS_MIB[:1] if plan.quick else LIMITS_MIB
    return [plan.attempt({"limit MiB": limit}, partial(_blow, plan, limit)) for limit in limits]


@contextlib.contextmanager
def _started(plan: Plan, **settings: str) -> Iterator[tuple[int, int, float]]:
    """A server with the embedded model: its port, its process and the seconds it took to be ready."""
    began = time.perf_counter()
    model = str(plan.models[BUILT_IN])
    with server(OCRDET_MODEL=model, OCRDET_DEVICE=plan.device, **ROOM, **settings) as (port, pid):
        yield port, pid, time.perf_counter() - began


def _serve(plan: Plan, settings: dict[str, str]) -> Row:
    before_mib = used_mib()
    with _started(plan, **settings) as (port, pid, start_s):
        loads = {}
        for concurrency in CONCURRENCIES[: 2 if plan.quick else None]:
            loads[str(concurrency)] = _loaded(plan, [(port, pid)], concurrency)
        memory_mib, memory_by = process_mib(pid, before_mib)
    return {
        "start_s": round(start_s, 1),
        "memory_mib": memory_mib,
        "memory_by": memory_by,
        "loads": loads,
    }


def _feed(plan: Plan, processes: int, threads: int) -> Row:
    with contextlib.ExitStack() as stack:
        settings = {"OCRDET_THREADS": str(threads)}
        servers = [stack.enter_context(_started(plan, **settings)) for _ in range(processes)]
        return _loaded(
            plan, [(port, pid) for port, pid, _ in servers], CONCURRENCIES[1 if plan.quick else -1]
        )


def _blow(plan: Plan, limit_mib: int) -> Row:
    settings = {"OCRDET_GPU_MEM_LIMIT_BYTES": str(limit_mib * MIB)}
    try:
        with _started(plan, **settings) as (port, pid, _):
            return {"became": "serves"} | _loaded(plan, [(port, pid)], 8)
    except NotStarted:
        # Once more, for what it says.
        model = str(plan.models[BUILT_IN])
        flags = {"OCRDET_MODEL": model, "OCRDET_DEVICE": plan.device, "OCRDET_PORT": "0"}
        command = [str(Path(sys.executable).parent / "ocrdet"), "serve"]
        done = subprocess.run(
            command,
            env=os.environ | flags | settings,
            capture_output=True,
            text=True,
            timeout=LONGEST_S,
            check=False,
        )
        return {"became": f"does not start: {last_words(done.stderr)}"}


def _loaded(plan: Plan, servers: Sequence[tuple[int, int]], concurrency: int) -> Row:
    """Figures of a closed loop that is shared out among servers, after a short one that warms up."""
    pages = [draw_page(seed) for seed in range(PAGES)]
    share = concurrency // len(servers)
    with ThreadPoolExecutor(len(servers)) as pool:

        def load_all(seconds: float) -> list[Figures]:
            jobs = [pool.submit(load, port, pages, share, seconds, pid) for port, pid in servers]
            return [job.result() for job in jobs]

        load_all(plan.seconds(1.0))
        before = [_batch_sizes(port) for port, _ in servers]
        with Busy() as busy:
            found = load_all(plan.seconds(LOAD_S))
        after = [_batch_sizes(port) for port, _ in servers]
    images, runs = (sum(b[i] - a[i] for a, b in zip(before, after, strict=True)) for i in (0, 1))
    return _joined(found) | {
        "images_per_run": round(images / runs, 2) if runs else None,
        "gpu_percent": busy.percent,
    }


def _joined(found: Sequence[Figures]) -> Row:
    """Of several servers: rates add up, the rest is the worst of them."""
    row = {name: round(max(figures[name] for figures in found), 3) for name in OF_LOAD}
    return row | {"per_second": round(sum(figures["per_second"] for figures in found), 2)}


def _batch_sizes(port: int) -> tuple[float, float]:
    """Images and runs of the model so far; nothing on a device that does not form batches."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    samples = {
        sample.name: sample.value
        for family in text_string_to_metric_families(text)
        if family.name == "ocrdet_batch_size"
        for sample in family.samples
    }
    return samples.get("ocrdet_batch_size_sum", 0.0), samples.get("ocrdet_batch_size_count", 0.0)
