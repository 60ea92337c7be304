"""How many images the host can feed to an accelerator: threads of one process against two processes.

    python -m bench.host_scaling [--rounds 7] [--seconds 1.5] [--device-ms 2]

The device is the one of `bench/fake_device.py`, so that the host is all there is to wait for. One process on
one CPU, one on two, and two processes on one CPU each are compared within each round, in process and by HTTP
(where the callers take their part of the same CPUs). What two CPUs give one process less than two processes
is what threads cost: the interpreter's lock, and the one thread that owns the device.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from bench.fake_device import CALLERS, PAGES
from bench.pages import draw_page
from bench.posting import load
from bench.processes import ROOT, ask, cpu_seconds, obedient, server
from bench.rounds import paired_rounds, spreads
from ocrdet.engine.providers import SessionPlan
from ocrdet.engine.session import OrtSession
from ocrdet.engine.store import BUILT_IN_FOLDER, MANIFEST_FILE, MODEL_FILE, find_model
from ocrdet.vision.normalize import Normalization, normalize_into

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from bench.rounds import Figures

MODEL = "ppocrv6-det-small"
SHAPE = (608, 800)  # what a 1600x1200 page is given
MANY = 4
CONCURRENCY = 8


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=1.5)
    parser.add_argument("--device-ms", type=float, default=2.0)
    arguments = parser.parse_args()
    figures = measure_host_scaling(arguments.rounds, arguments.seconds, arguments.device_ms)
    print(json.dumps(figures, indent=1))


def measure_host_scaling(rounds: int, seconds: float, device_ms: float) -> dict[str, Figures]:
    """The spread of every figure over the rounds."""
    first, second = sorted(os.sched_getaffinity(0))[:2]
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        os.environ |= {"OCRDET_MODEL": str(write_model(folder)), "OCRDET_MAX_INFLIGHT_IMAGES": "128"}
        recorded = folder / "map.npy"
        np.save(recorded, record_map())
        flags = ("--map", str(recorded), "--device-ms", str(device_ms))

        def pipeline(*cpus: int) -> subprocess.Popen[str]:
            pinned = ",".join(map(str, cpus))
            return stack.enter_context(obedient("bench.fake_device", "pipeline", *flags, "--cpus", pinned))

        def serving(*cpus: int) -> tuple[int, int]:
            pinned = ",".join(map(str, cpus))
            return stack.enter_context(server(write_command(folder, *flags, "--cpus", pinned)))

        both, one, other = pipeline(first, second), pipeline(first), pipeline(second)
        served_by_both, served_by_one, served_by_other = (
            serving(first, second), serving(first), serving(second)
        )  # fmt: skip
        steps: dict[str, Callable[[], Figures]] = {
            "one_cpu": partial(_run, [one], MANY, seconds),
            "two_processes": partial(_run, [one, other], MANY, seconds),
            **{f"threads_{number}": partial(_run, [both], number, seconds) for number in CALLERS},
            "http_one_process": partial(_post, [served_by_both], seconds),
            "http_two_processes": partial(_post, [served_by_one, served_by_other], seconds),
        }
        return spreads([_figures(each) for each in paired_rounds(rounds, steps)])


def write_model(folder: Path) -> Path:
    """A model folder with one shape, whose graph is never run."""
    manifest = json.loads((BUILT_IN_FOLDER / MODEL / MANIFEST_FILE).read_text(encoding="utf-8"))
    del manifest["source"]
    manifest |= {"shapes": [SHAPE], "self_test": "finite"}
    (folder / MANIFEST_FILE).write_text(json.dumps(manifest), encoding="utf-8")
    (folder / MODEL_FILE).symlink_to(find_model(MODEL).path)
    return folder


def write_command(folder: Path, *flags: str) -> str:
    """What to name as the interpreter to `server`, so that it starts `bench/fake_device.py` instead."""
    place = Path(tempfile.mkdtemp(dir=folder))
    words = " ".join([sys.executable, "-m", "bench.fake_device", "serve", *flags])
    script = place / "ocrdet"
    script.write_text(f"#!/bin/sh\ncd '{ROOT}' && exec {words}\n", encoding="utf-8")
    script.chmod(0o755)
    return str(place / "python")


def record_map() -> NDArray[np.float32]:
    """The model's (H, W) float32 map of a drawn page, fitted as the service fits it."""
    files = find_model(MODEL)
    page = cv2.imdecode(np.frombuffer(draw_page(0), np.uint8), cv2.IMREAD_COLOR_RGB)
    assert page is not None
    pixels = np.asarray(cv2.resize(page, (800, 600), interpolation=cv2.INTER_AREA), np.uint8)
    spec, session = files.manifest.normalization, OrtSession(files.path, files.manifest, SessionPlan())
    batch = session.new_batch(session.graph.batch_shape(1, *SHAPE))
    color, layout = files.manifest.input.color, session.graph.layout
    normalize_into(pixels, Normalization(color, layout, spec.gain, spec.offset), batch)
    recorded: NDArray[np.float32] = session.run(batch)[0].copy()
    session.close()
    return recorded


def _run(processes: Sequence[subprocess.Popen[str]], callers: int, seconds: float) -> Figures:
    """All at one time: images per second together, and CPU time for one image."""
    before = sum(cpu_seconds(process.pid) for process in processes)
    with ThreadPoolExecutor(len(processes)) as pool:
        jobs = [pool.submit(ask, process, str(callers), seconds) for process in processes]
        found = [job.result() for job in jobs]
    used_s = sum(cpu_seconds(process.pid) for process in processes) - before
    calls = sum(figures["calls"] for figures in found)
    return {
        "per_second": sum(figures["per_second"] for figures in found),
        "cpu_ms_per_image": 1e3 * used_s / calls,
    }


def _post(servers: Sequence[tuple[int, int]], seconds: float) -> Figures:
    pages = [draw_page(seed) for seed in range(PAGES)]
    share = CONCURRENCY // len(servers)
    with ThreadPoolExecutor(len(servers)) as pool:
        jobs = [pool.submit(load, port, pages, share, seconds, pid) for port, pid in servers]
        found = [job.result() for job in jobs]
    calls = sum(figures["calls"] for figures in found)
    return {
        "per_second": sum(figures["per_second"] for figures in found),
        "cpu_ms_per_image": sum(each["cpu_ms_per_image"] * each["calls"] for each in found) / calls,
    }


def _figures(measured: dict[str, Figures]) -> Figures:
    """The figures of one round, and the ratios within it."""
    figures = {f"{name}_{figure}": value for name, each in measured.items() for figure, value in each.items()}
    rate = {name: each["per_second"] for name, each in measured.items()}
    many = rate[f"threads_{MANY}"]
    return figures | {
        "threads_over_processes": many / rate["two_processes"],
        "two_cpus_over_one": many / rate["one_cpu"],
        "processes_over_one_cpu": rate["two_processes"] / rate["one_cpu"],
        "http_threads_over_processes": rate["http_one_process"] / rate["http_two_processes"],
    }


if __name__ == "__main__":
    main()
