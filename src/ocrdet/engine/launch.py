"""From a model file to a warm scheduler: sessions made, shapes warmed, the device proven."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ocrdet.engine.lanes import LaneScheduler
from ocrdet.engine.microbatch import MicroBatchScheduler
from ocrdet.engine.resources import available_cpus, plan_threads
from ocrdet.engine.session import ACCELERATORS, OrtSession, SessionPlan, default_device, runtime_facts
from ocrdet.engine.warm_up import make_warm, probe_speed

if TYPE_CHECKING:
    from collections.abc import Callable

    from ocrdet.engine.inspection import GraphSpec
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
        max_micro_batch_images: Largest micro-batch on an accelerator.
        gpu_mem_limit_bytes: Fuse for the CUDA arena; 0 sets none.
    """

    device: str = "auto"
    cpus: int = 0
    max_micro_batch_images: int = 8
    gpu_mem_limit_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Engine:
    """A model that is ready to run.

    Attributes:
        scheduler: Takes the tensors.
        graph: What the model takes and gives.
        shapes: Closed set of warmed (H, W).
        batch_sizes: Closed set of warmed batch sizes.
        provider: ONNX Runtime's name of the execution provider in use.
        threads: How the CPUs are shared out.
        slowest_run_s: The slowest warmed run.
        pixel_s: Seconds that one model pixel takes at best.
    """

    scheduler: Scheduler
    graph: GraphSpec
    shapes: tuple[tuple[int, int], ...]
    batch_sizes: tuple[int, ...]
    provider: str
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
    threads = plan_threads(plan.cpus or available_cpus(), on_accelerator=device in ACCELERATORS)
    if device in ACCELERATORS:
        return _launch_on_accelerator(files, plan, device, threads, metrics)
    return _launch_on_cpu(files, device, threads, alone, metrics)


def _launch_on_cpu(
    files: ModelFiles,
    device: str,
    threads: ThreadPlan,
    alone: Callable[[], bool],
    metrics: Metrics | None,
) -> Engine:
    def open_warm(threads_per_run: int, lanes: int) -> WarmSession:
        plan = SessionPlan(device, threads=threads_per_run, lanes=lanes)
        session = OrtSession(files.path, files.manifest, plan)
        return make_warm(session, files.manifest.shapes, 1)

    narrow = open_warm(1, threads.lanes)
    # A lone request is a third faster on all threads; a second session of the same file costs little memory.
    wide = open_warm(threads.wide_threads, 1) if threads.wide_threads > 1 else None
    scheduler = LaneScheduler(
        narrow.session,
        wide.session if wide else None,
        lanes=threads.lanes,
        slowest_run_s=max(warm.slowest_run_s for warm in (narrow, wide) if warm),
        alone=alone,
        metrics=metrics,
    )
    return _engine(scheduler, wide or narrow, threads)


def _launch_on_accelerator(
    files: ModelFiles, plan: LaunchPlan, device: str, threads: ThreadPlan, metrics: Metrics | None
) -> Engine:
    def open_warm() -> WarmSession:
        session_plan = SessionPlan(device, gpu_mem_limit_bytes=plan.gpu_mem_limit_bytes)
        session = OrtSession(files.path, files.manifest, session_plan)
        warm = make_warm(session, files.manifest.shapes, plan.max_micro_batch_images)
        reference = OrtSession(files.path, files.manifest, SessionPlan("cpu"))
        try:
            probe_speed(session, reference, warm.shapes[0])
        finally:
            reference.close()
        return warm

    scheduler = MicroBatchScheduler(open_warm, metrics=metrics)
    return _engine(scheduler, scheduler.warm, threads)


def _engine(scheduler: Scheduler, warm: WarmSession, threads: ThreadPlan) -> Engine:
    """What was launched.

    Args:
        scheduler: Runs it.
        warm: The session that is fastest for one image alone.
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
        threads,
        warm.slowest_run_s,
        warm.slowest_run_s / largest,
    )
