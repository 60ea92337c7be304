"""One session on one device, measured in a process of its own so that its memory is known.

    python -m bench.gpu_session TASK

TASK is the JSON of a `Task`; standard output ends with one line of JSON. A step takes uint8 pixels that fit
the model to probability maps on the host: by `BoundSession` and a graph that takes pixels, as the service
does, or (`plain`) normalised on the host and by `session.run`, as one would write it first.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Literal
from unittest import mock

import cv2
import numpy as np
from pydantic import TypeAdapter

import ocrdet.engine.session
from bench.gpu_card import process_mib
from bench.pages import draw_page
from bench.rounds import percentile
from ocrdet.engine.bound_session import BoundSession
from ocrdet.engine.prepared import prepared_graph
from ocrdet.engine.providers import ACCELERATORS, Precision, SessionPlan, provider_list
from ocrdet.engine.recipe import PixelInput, Recipe
from ocrdet.engine.resources import available_cpus
from ocrdet.engine.session import OrtSession
from ocrdet.engine.store import find_model
from ocrdet.settings import Settings
from ocrdet.vision.normalize import Normalization, normalize_into

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from ocrdet.engine.session import Session
    from ocrdet.engine.store import ModelFiles

    Step = Callable[[NDArray[np.uint8], int], NDArray[np.float32]]

Figures = dict[str, float | None]


@dataclass(frozen=True, slots=True)
class Task:
    """What to measure.

    Attributes:
        model: Folder of the model.
        shape: (H, W).
        batches: Batch sizes, ascending.
        device: cuda, tensorrt or cpu.
        precision: fp32 or fp16.
        plain: Whether to do without pixels in the graph and bound buffers.
        cuda_graphs: Whether runs are captured and replayed.
        options: Options of the provider that win over those of the service.
        runs: Runs that are timed, for each batch size.
        before_mib: Memory taken on the card before this process started.
    """

    model: str
    shape: tuple[int, int]
    batches: tuple[int, ...]
    device: Literal["cuda", "tensorrt", "cpu"]
    precision: Precision = "fp32"
    plain: bool = False
    cuda_graphs: bool = False
    options: dict[str, str] = field(default_factory=dict)
    runs: int = 200
    before_mib: float | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What was measured.

    Attributes:
        start_s: From an open process to a session that is warm for every batch size; the graph was at hand.
        largest_difference: Between its probabilities and those of the CPU provider in fp32, on one page.
        batches: `p50_ms` and `p99_ms` for one image and the memory so far, by batch size.
        memory_by: How memory was counted.
    """

    start_s: float
    largest_difference: float
    batches: dict[int, Figures]
    memory_by: str


def main() -> None:
    """Measure and print."""
    task = TypeAdapter(Task).validate_json(sys.argv[1])
    print(TypeAdapter(Answer).dump_json(measure_session(task)).decode())


def measure_session(task: Task) -> Answer:
    """Open, warm, time, compare."""
    files, page = find_model(task.model), _page(*task.shape)
    normalization, recipe, expected = _on_cpu(files, task, page)
    with contextlib.ExitStack() as stack:
        providers = partial(_providers, task)
        stack.enter_context(mock.patch.object(ocrdet.engine.session, "provider_list", providers))
        plan = SessionPlan(
            task.device,
            precision=task.precision,
            cuda_graphs=task.cuda_graphs,
            engine_cache=Path(stack.enter_context(tempfile.TemporaryDirectory())),
        )
        path = stack.enter_context(prepared_graph(files, recipe, Settings.from_environment().cache_dir))
        started = time.perf_counter()
        session, step = _open(path, files, task, plan, normalization)
        stack.callback(session.close)
        for size in task.batches:
            step(page, size)
        start_s = time.perf_counter() - started
        batches: dict[int, Figures] = {}
        memory_by = ""
        for size in task.batches:
            batches[size] = dict(_time(partial(step, page, size), size, task.runs))
            batches[size]["memory_mib"], memory_by = process_mib(os.getpid(), task.before_mib)
        difference = max(_difference(step, page, size, expected) for size in task.batches)
    return Answer(round(start_s, 2), difference, batches, memory_by)


def _providers(task: Task, plan: SessionPlan) -> list[tuple[str, dict[str, str]]]:
    """The providers of a plan, the task's own options on top of the first one's."""
    (name, options), *behind = provider_list(plan)
    return [(name, options | (task.options if plan.device == task.device else {})), *behind]


def _page(height: int, width: int) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB, full of text."""
    pixels = cv2.imdecode(np.frombuffer(draw_page(0), np.uint8), cv2.IMREAD_COLOR_RGB)
    assert pixels is not None
    return np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def _on_cpu(
    files: ModelFiles, task: Task, page: NDArray[np.uint8]
) -> tuple[Normalization, Recipe, NDArray[np.float32]]:
    """How the model wants its input, what to make of its graph, and its map of the page."""
    manifest, spec = files.manifest, files.manifest.normalization
    session = OrtSession(files.path, manifest, SessionPlan(threads=available_cpus()))
    graph = session.graph
    normalization = Normalization(manifest.input.color, graph.layout, spec.gain, spec.offset)
    pixels = PixelInput(graph.input.name, graph.layout, manifest.input.color, spec.gain, spec.offset)
    half = task.precision == "fp16" and task.device != "tensorrt"
    expected = _plain_step(session, normalization, page, graph.static_batch or 1)[0]
    session.close()
    return normalization, Recipe(pixels=None if task.plain else pixels, half=half), expected


def _open(
    path: Path, files: ModelFiles, task: Task, plan: SessionPlan, normalization: Normalization
) -> tuple[Session, Step]:
    if task.plain:
        plain = OrtSession(path, files.manifest, plan)
        return plain, partial(_plain_step, plain, normalization)
    memory = "cuda" if task.device in ACCELERATORS else "cpu"
    bound = BoundSession(path, files.manifest, plan, memory=memory)
    return bound, partial(_bound_step, bound)


def _plain_step(
    session: OrtSession, normalization: Normalization, page: NDArray[np.uint8], size: int
) -> NDArray[np.float32]:
    batch = session.new_batch(session.graph.batch_shape(size, *page.shape[:2]))
    for index in range(size):
        normalize_into(page, normalization, batch[index : index + 1])
    return session.run(batch)


def _bound_step(session: BoundSession, page: NDArray[np.uint8], size: int) -> NDArray[np.float32]:
    batch = session.new_batch((size, *page.shape))
    return session.run(np.concatenate([page[None]] * size, out=batch))


def _time(step: Callable[[], object], size: int, runs: int) -> dict[str, float]:
    """Milliseconds for one image, after a tenth as many runs that are not counted."""
    for _ in range(runs // 10):
        step()
    times = []
    for _ in range(runs):
        started = time.perf_counter()
        step()
        times.append((time.perf_counter() - started) * 1e3 / size)
    return {"p50_ms": round(median(times), 4), "p99_ms": round(percentile(sorted(times), 0.99), 4)}


def _difference(step: Step, page: NDArray[np.uint8], size: int, expected: NDArray[np.float32]) -> float:
    """After another picture, so that a replay which reads or writes the wrong memory is found out."""
    step(255 - page, size)
    return round(max(float(np.abs(each - expected).max()) for each in step(page, size)), 8)


if __name__ == "__main__":
    main()
