"""A session that does what the test says: it can be held, it can fail, and it remembers."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from ocrdet.engine.inspection import PIXELS_TYPE, GraphSpec, TensorSpec
from ocrdet.engine.microbatch import MicroBatchScheduler
from ocrdet.engine.recipe import PIXELS
from ocrdet.engine.ticket import Ticket
from ocrdet.engine.warm_up import WarmSession

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from numpy.typing import NDArray

    from ocrdet.engine.scheduler import InferenceResult, Scheduler
    from ocrdet.telemetry.metrics import Metrics

PATIENCE_S = 20.0
IMAGE = TensorSpec("x", (None, 3, None, None), "tensor(float)")
MAP = TensorSpec("map", (None, 1, None, None), "tensor(float)")
GRAPH = GraphSpec(IMAGE, MAP, "NCHW", None, None, None)
PIXEL_GRAPH = GraphSpec(TensorSpec(PIXELS, (None, None, None, 3), PIXELS_TYPE), MAP, "NHWC", None, None, None)


def make_tensor(mark: float, shape: tuple[int, int] = (2, 2)) -> NDArray[np.float32]:
    """One image all of whose values are `mark`: the fake session's map of it is the same."""
    return np.full((1, 3, *shape), mark, np.float32)


class FakeSession:
    """The map of an image is its first channel.

    Attributes:
        batches: What was run, in order: the first value of each image.
        shapes: The shape of each run.
        threads: Which thread ran it.
        started: Released once at the beginning of every run.
        hold: While it is clear, every run waits.
        script: Called with the images of a run; what it raises, the run raises.
        answer: What a run gives for its batch.
        most_running: Most runs at one time.
        closed: How often it was closed.
    """

    provider = "FakeExecutionProvider"

    def __init__(self, script: Callable[[list[float]], None] | None = None) -> None:
        """Answer everything at once, unless the script objects."""
        self.graph = GRAPH
        self.batches: list[list[float]] = []
        self.shapes: list[tuple[int, ...]] = []
        self.threads: set[str] = set()
        self.started = threading.Semaphore(0)
        self.hold = threading.Event()
        self.hold.set()
        self.script = script
        self.answer: Callable[[NDArray[np.float32]], NDArray[np.float32]] = lambda batch: batch[:, 0]
        self.running = 0
        self.most_running = 0
        self.closed = 0
        self._lock = threading.Lock()

    def run(self, batch: NDArray[np.generic]) -> NDArray[np.float32]:
        """The first channel of each image."""
        images = [float(image) for image in batch[:, 0, 0, 0]]
        with self._lock:
            self.batches.append(images)
            self.shapes.append(batch.shape)
            self.threads.add(threading.current_thread().name)
            self.running += 1
            self.most_running = max(self.most_running, self.running)
        self.started.release()
        try:
            assert self.hold.wait(PATIENCE_S), "the test forgot to let the session go"
            if self.script is not None:
                self.script(images)
        finally:
            with self._lock:
                self.running -= 1
        return self.answer(batch.astype(np.float32))

    def new_batch(self, shape: tuple[int, ...]) -> NDArray[np.generic]:
        """Memory of the input's type."""
        return np.empty(shape, self.graph.input.dtype)

    def wait_for_start(self) -> None:
        """Wait until one more run has begun."""
        assert self.started.acquire(timeout=PATIENCE_S), "no run began"

    def close(self) -> None:
        """Remember it; nobody may be inside."""
        assert self.running == 0, "closed under a run"
        self.closed += 1


class Asker:
    """Asks a scheduler for maps from threads of its own."""

    def __init__(self, scheduler: Scheduler, pool: ThreadPoolExecutor) -> None:
        """Ask this scheduler."""
        self._scheduler = scheduler
        self._pool = pool

    def ask(
        self, mark: float, *, shape: tuple[int, int] = (2, 2), ticket: Ticket | None = None
    ) -> Future[InferenceResult]:
        """The answer to come for an image of this mark."""
        return self._pool.submit(self._scheduler.infer, [make_tensor(mark, shape)], ticket or Ticket())


def mark_of(answer: Future[InferenceResult]) -> float:
    """The mark of the image that an answer belongs to."""
    values = answer.result(PATIENCE_S).maps[0]
    assert values.dtype == np.float32
    assert (values == values[0, 0]).all()
    return float(values[0, 0])


class Device:
    """A scheduler over a fake session, with callers of its own."""

    def __init__(self, sizes: tuple[int, ...], metrics: Metrics | None) -> None:
        """Start the scheduler's thread."""
        self.session = FakeSession()
        warm = WarmSession(self.session, ((32, 32),), tuple(sizes), 0.1)
        self.scheduler = MicroBatchScheduler(lambda: warm, metrics=metrics)
        self.pool = ThreadPoolExecutor(16, thread_name_prefix="caller")
        self.asker = Asker(self.scheduler, self.pool)

    def keep_busy(self) -> Future[InferenceResult]:
        """Run image 0 and hold it, so that others gather behind it."""
        self.session.hold.clear()
        answer = self.asker.ask(0.0)
        self.session.wait_for_start()
        return answer

    def gather(
        self, *marks: float, shape: tuple[int, int] = (2, 2), ticket: Ticket | None = None
    ) -> list[Future[InferenceResult]]:
        """Queue images one by one, in this order."""
        answers = []
        for mark in marks:
            depth = self.scheduler.queue_depth
            answers.append(self.asker.ask(mark, shape=shape, ticket=ticket))
            # The device's thread is busy, so this is the one who hears of the new image.
            with self.scheduler._changed:
                while self.scheduler.queue_depth == depth:
                    assert self.scheduler._changed.wait(PATIENCE_S), "the image did not arrive"
        return answers

    def let_go(self) -> None:
        """End the run that is held, and all that follow."""
        self.session.hold.set()

    @property
    def batches(self) -> list[list[float]]:
        """What was run after the first image."""
        return self.session.batches[1:]


class Clock:
    """A clock that the test sets."""

    def __init__(self, now: float = 1000.0) -> None:
        """Start at some time."""
        self.now = now

    def __call__(self) -> float:
        """The time."""
        return self.now
