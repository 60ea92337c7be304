"""The scheduler of the CPU: lanes, because batches do not help there."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from ocrdet.engine.scheduler import InferenceResult, Progress, finite
from ocrdet.errors import NotReady

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import numpy as np
    from numpy.typing import NDArray

    from ocrdet.engine.session import Session
    from ocrdet.engine.ticket import Ticket
    from ocrdet.telemetry.metrics import Metrics


class LaneScheduler:
    """As many one-thread runs at a time as there are lanes, or one wide run for a lone image.

    A batch's activations leave the CPU's caches, so more images in one run cost more than they save. Runs
    happen on the callers' threads: there is no hand-over. Both sessions give the same bits, because a
    convolution is split among threads by its outputs and never within a sum.
    """

    def __init__(  # noqa: PLR0913 - what one launch decides, each named by its caller
        self,
        narrow: Session,
        wide: Session | None,
        *,
        lanes: int,
        slowest_run_s: float,
        alone: Callable[[], bool],
        metrics: Metrics | None = None,
    ) -> None:
        """Share out the lanes.

        Args:
            narrow: One thread per run; used by up to `lanes` callers at once.
            wide: All threads in one run, for a lone image; None where there is one CPU.
            lanes: Runs at one time.
            slowest_run_s: The slowest warmed run.
            alone: Whether the image asked for is the only one in the house.
            metrics: Where runs are counted.
        """
        self._narrow = narrow
        self._wide = wide
        self._lanes = lanes
        self._free = threading.Semaphore(lanes)
        self._alone = alone
        self._metrics = metrics
        self._progress = Progress(slowest_run_s)
        self._lock = threading.Lock()
        self._waiting = 0
        self._closed = False

    def infer(self, tensors: Iterable[NDArray[np.generic]], ticket: Ticket) -> InferenceResult:
        """See `Scheduler.infer`; between two passes the lane is anybody's."""
        maps, waited_s, ran_s = [], 0.0, 0.0
        for tensor in tensors:
            arrived = time.perf_counter()
            values, started = self._pass(tensor, ticket)
            maps.append(values)
            waited_s += started - arrived
            ran_s += time.perf_counter() - started
        return InferenceResult(tuple(maps), waited_s, ran_s)

    def _pass(self, tensor: NDArray[np.generic], ticket: Ticket) -> tuple[NDArray[np.float32], float]:
        """The map of one tensor, and when its run began."""
        self._progress.begin()
        try:
            self._acquire()
            try:
                result = self._run(tensor, ticket)
            finally:
                self._free.release()
        except BaseException as error:
            self._progress.end(error)
            raise
        self._progress.end()
        return result

    def _acquire(self) -> None:
        with self._lock:
            self._waiting += 1
        self._free.acquire()
        with self._lock:
            self._waiting -= 1

    def _run(self, tensor: NDArray[np.generic], ticket: Ticket) -> tuple[NDArray[np.float32], float]:
        if self._closed:
            raise NotReady("The model was closed.")
        ticket.check("inference")
        session = self._wide if self._wide is not None and self._alone() else self._narrow
        started = time.perf_counter()
        values = finite(session.run(tensor)[0])
        if self._metrics is not None:
            self._metrics.observe_batch_size(1)
        return values, started

    @property
    def queue_depth(self) -> int:
        """See `Scheduler.queue_depth`."""
        return self._waiting

    def trouble(self) -> str | None:
        """See `Scheduler.trouble`."""
        return self._progress.trouble()

    def stalled(self) -> str | None:
        """See `Scheduler.stalled`."""
        return self._progress.stalled()

    def close(self) -> None:
        """See `Scheduler.close`."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        # A lane in hand is a run that has ended: with all of them no run can be under way.
        for _ in range(self._lanes):
            self._free.acquire()
        self._narrow.close()
        if self._wide is not None:
            self._wide.close()
        for _ in range(self._lanes):
            self._free.release()
