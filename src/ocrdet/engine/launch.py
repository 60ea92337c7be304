"""From a model file to a warm scheduler: sessions made, shapes warmed, the device proven."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ocrdet.engine.bound_session import BoundSession
from ocrdet.engine.huge_pages import use_huge_pages
from ocrdet.engine.lanes import LaneScheduler
from ocrdet.engine.microbatch import MicroBatchScheduler
from ocrdet.engine.precision import require_precision
from ocrdet.engine.prepared import prepared_graph, writable_cache
from ocrdet.engine.providers import ACCELERATORS, SessionPlan
from ocrdet.engine.recipe import PixelInput, Recipe
from ocrdet.engine.resources import available_cpus, plan_threads
from ocrdet.engine.session import OrtSession, default_device, runtime_facts
from ocrdet.engine.shaped_session import ShapedSession
from ocrdet.engine.warm_up import make_warm, probe_speed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ocrdet.engine.inspection import GraphSpec
    from ocrdet.engine.providers import Precision
    from ocrdet.engine.resources import ThreadPlan
    from ocrdet.engine.scheduler import Scheduler
    from ocrdet.engine.store import ModelFiles
    from ocrdet.engine.warm_up import WarmSession
    from ocrdet.telemetry.metrics import Metrics


@dataclass(frozen=True, slots=True)
class LaunchPlan:
    """What an operator may decide about the engine.

    Attributes:
        device: auto, cpu, cuda, tensorrt or openvino.
        cpus: CPUs to use; 0 takes them from affinity and cgroup quota.
        precision: What the model computes in.
        max_micro_batch_images: Largest micro-batch on an accelerator.
        gpu_mem_limit_bytes: Fuse for the CUDA arena; 0 sets none.
        cuda_graphs: Whether runs on CUDA are captured and replayed.
        cache_dir: Folder that keeps rewritten graphs and compiled ones; None for the user's.
    """

    device: str = "auto"
    cpus: int = 0
    precision: Precision = "fp32"
    max_micro_batch_images: int = 8
    gpu_mem_limit_bytes: int = 0
    cuda_graphs: bool = False
    cache_dir: Path | None = None


@dataclass(frozen=True, slots=True)
class Engine:
    """A model that is ready to run.

    Attributes:
        scheduler: Takes the tensors.
        graph: What the model takes and gives.
        shapes: Closed set of warmed (H, W).
        batch_sizes: Closed set of warmed batch sizes.
        provider: ONNX Runtime's name of the execution provider in use.
        precision: What it computes in.
        threads: How the CPUs are shared out.
        slowest_run_s: The slowest warmed run.
        pixel_s: Seconds that one model pixel takes at best.
    """

    scheduler: Scheduler
    graph: GraphSpec
    shapes: tuple[tuple[int, int], ...]
    batch_sizes: tuple[int, ...]
    provider: str
    precision: Precision
    threads: ThreadPlan
    slowest_run_s: float
    pixel_s: float

    def describe(self) -> dict[str, object]:
        """What runs, where and how wide, as JSON can say it."""
        runtime = runtime_facts()
        return {
            "onnxruntime": runtime["version"],
            "cuda": runtime["cuda"],
            "provider": self.provider,
            "precision": self.precision,
            "shapes": [list(shape) for shape in self.shapes],
            "batch_sizes": list(self.batch_sizes),
            "threads": dataclasses.asdict(self.threads),
            "slowest_warm_run_ms": round(self.slowest_run_s * 1e3, 1),
        }


def launch_engine(
    files: ModelFiles, plan: LaunchPlan, *, alone: Callable[[], bool], metrics: Metrics | None = None
) -> Engine:
    """Load a model onto a device and warm everything that will ever run.

    Args:
        files: The verified model.
        plan: The operator's decisions.
        alone: Whether the image asked for is the only one in the house.
        metrics: Where runs are counted.

    Raises:
        ConfigurationError: The device is not there, or does not really do the work.
        ManifestInvalid: The graph is no detector of this kind.
        SelfTestFailed: The output is not a probability map.
    """
    device = default_device() if plan.device == "auto" else plan.device
    require_precision(plan.precision, device, files.manifest)
    threads = plan_threads(plan.cpus or available_cpus(), device)
    if device in ACCELERATORS:
        return _launch_on_accelerator(files, plan, device, threads, metrics)
    open_lanes = _open_openvino if device == "openvino" else _open_cpu
    narrow, wide = open_lanes(files, plan, threads)
    use_huge_pages()
    scheduler = LaneScheduler(
        narrow.session,
        wide.session if wide else None,
        lanes=threads.lanes,
        slowest_run_s=max(warm.slowest_run_s for warm in (narrow, wide) if warm),
        alone=alone,
        metrics=metrics,
    )
    return _engine(scheduler, wide or narrow, plan, threads)


def _open_cpu(
    files: ModelFiles, plan: LaunchPlan, threads: ThreadPlan
) -> tuple[WarmSession, WarmSession | None]:
    """A session of one thread for the lanes, and one of all threads for a lone request."""
    with prepared_graph(files, Recipe(), plan.cache_dir) as path:

        def open_warm(threads_per_run: int) -> WarmSession:
            session = OrtSession(path, files.manifest, SessionPlan("cpu", threads=threads_per_run))
            return make_warm(session, files.manifest.shapes, 1)

        narrow = open_warm(threads.threads)
        # A lone request is a third faster on all threads; a second session of one file costs little memory.
        return narrow, open_warm(threads.wide_threads) if threads.wide_threads > 1 else None


def _open_openvino(files: ModelFiles, plan: LaunchPlan, threads: ThreadPlan) -> tuple[WarmSession, None]:
    """One session for all: it shares its threads out among its lanes by itself."""
    session_plan = SessionPlan(
        "openvino", threads=threads.threads, lanes=threads.lanes, precision=plan.precision
    )
    session = ShapedSession(files.path, files.manifest, session_plan)
    return make_warm(session, files.manifest.shapes, 1), None


def _launch_on_accelerator(
    files: ModelFiles, plan: LaunchPlan, device: str, threads: ThreadPlan, metrics: Metrics | None
) -> Engine:
    session_plan = SessionPlan(
        device,
        precision=plan.precision,
        gpu_mem_limit_bytes=plan.gpu_mem_limit_bytes,
        cuda_graphs=plan.cuda_graphs and device == "cuda",
        engine_cache=writable_cache(plan.cache_dir, "tensorrt") if device == "tensorrt" else None,
    )

    def open_warm() -> WarmSession:
        # It checks the graph as the model has it, and is what the device is held against.
        reference = OrtSession(files.path, files.manifest, SessionPlan("cpu"))
        try:
            recipe = _pixel_recipe(files, reference.graph, half=device == "cuda" and plan.precision == "fp16")
            with prepared_graph(files, recipe, plan.cache_dir) as path:
                session = BoundSession(path, files.manifest, session_plan)
            try:
                warm = make_warm(session, files.manifest.shapes, plan.max_micro_batch_images)
                probe_speed(session, reference, warm.shapes[0])
            except BaseException:
                session.close()  # its locked memory does not go by itself
                raise
        finally:
            reference.close()
        return warm

    scheduler = MicroBatchScheduler(open_warm, metrics=metrics)
    return _engine(scheduler, scheduler.warm, plan, threads)


def _pixel_recipe(files: ModelFiles, graph: GraphSpec, *, half: bool) -> Recipe:
    """Pixels in, normalised inside: the host writes bytes, and a quarter of those of a tensor."""
    manifest = files.manifest
    spec = manifest.normalization
    pixels = PixelInput(graph.input.name, graph.layout, manifest.input.color, spec.gain, spec.offset)
    return Recipe(pixels=pixels, half=half)


def _engine(scheduler: Scheduler, warm: WarmSession, plan: LaunchPlan, threads: ThreadPlan) -> Engine:
    """What was launched.

    Args:
        scheduler: Runs it.
        warm: The session that is fastest for one image alone.
        plan: The operator's decisions.
        threads: How the CPUs are shared out.
    """
    largest = max(warm.batch_sizes) * max(height * width for height, width in warm.shapes)
    session = warm.session
    return Engine(
        scheduler,
        session.graph,
        warm.shapes,
        warm.batch_sizes,
        session.provider,
        plan.precision,
        threads,
        warm.slowest_run_s,
        warm.slowest_run_s / largest,
    )
