"""The scheduler of an accelerator: one thread owns every run, batches form while the device is busy."""

from __future__ import annotations

import threading
import time
from collections import deque
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ocrdet.engine.scheduler import InferenceResult, Progress, finite
from ocrdet.errors import (
    Cancelled,
    DeadlineExceeded,
    DeviceLost,
    InferenceFailed,
    NotReady,
    OutOfDeviceMemory,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from ocrdet.engine.ticket import Ticket
    from ocrdet.engine.warm_up import WarmSession
    from ocrdet.telemetry.metrics import Metrics


@dataclass(frozen=True, slots=True)
class _Pass:
    """One map of a batch, and the times of the batch's run."""

    values: NDArray[np.float32]
    started: float
    ended: float


@dataclass(slots=True)
class _Item:
    tensor: NDArray[np.generic]
    ticket: Ticket
    answer: Future[_Pass] = field(default_factory=Future)


class MicroBatchScheduler:
    """Takes what waits when the device becomes free: never waits for more, never mixes shapes.

    The thread picks the oldest image, adds waiting ones of the same shape up to the largest warmed batch
    size that they fill, and runs them; the session fills up a graph of one fixed batch size. A batch that
    fails is run again one by one, so that one input never fails another. Out of device memory also halves the
    largest batch from then on.
    """

    def __init__(self, open_session: Callable[[], WarmSession], *, metrics: Metrics | None = None) -> None:
        """Start the owner thread and wait until it has opened its session.

        CUDA keeps its handles and workspaces per thread: what another thread warmed would be cold here.

        Args:
            open_session: Makes and warms the device's session; called on the owner thread, as every run is.
            metrics: Where batch sizes are counted.
        """
        self._metrics = metrics
        self._changed = threading.Condition()
        self._queue: deque[_Item] = deque()
        self._closed = False
        self._ended: str | None = None
        opened: Future[WarmSession] = Future()
        self._thread = threading.Thread(
            target=self._own_device, args=(open_session, opened), name="ocrdet-device", daemon=True
        )
        self._thread.start()
        self.warm = opened.result()
        self._sizes = sorted(self.warm.batch_sizes)
        self._largest = self._sizes[-1]
        self._progress = Progress(self.warm.slowest_run_s)

    def infer(self, tensors: Iterable[NDArray[np.generic]], ticket: Ticket) -> InferenceResult:
        """See `Scheduler.infer`; all passes are queued at once, so that they form micro-batches.

        Raises:
            NotReady: The scheduler was closed.
        """
        items = [_Item(tensor, ticket) for tensor in tensors]
        arrived = time.perf_counter()
        with self._changed:
            if self._closed:
                raise NotReady("The model was closed.")
            self._queue.extend(items)
            self._progress.begin()
            self._changed.notify()
        try:
            passes = _results(items)
        except BaseException as error:
            self._progress.end(error)
            raise
        self._progress.end()
        started = min(each.started for each in passes)
        ended = max(each.ended for each in passes)
        return InferenceResult(tuple(each.values for each in passes), started - arrived, ended - started)

    @property
    def queue_depth(self) -> int:
        """See `Scheduler.queue_depth`."""
        return len(self._queue)

    def trouble(self) -> str | None:
        """See `Scheduler.trouble`."""
        return self._ended or self._progress.trouble()

    def stalled(self) -> str | None:
        """See `Scheduler.stalled`."""
        return self._progress.stalled()

    def close(self) -> None:
        """See `Scheduler.close`."""
        with self._changed:
            if self._closed:
                return
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _own_device(self, open_session: Callable[[], WarmSession], opened: Future[WarmSession]) -> None:
        try:
            warm = open_session()
        except BaseException as error:  # noqa: BLE001 - it is raised again where the scheduler is made
            opened.set_exception(error)
            return
        opened.set_result(warm)
        try:
            self._serve_queue()
        except BaseException as error:
            self._ended = f"The thread that owns the device has ended: {error!r}"
            raise
        finally:
            self._refuse_rest()
            warm.session.close()

    def _refuse_rest(self) -> None:
        """Whatever ended the thread, nobody may wait for an answer that cannot come."""
        with self._changed:
            self._closed, left = True, list(self._queue)
            self._queue.clear()
        for item in left:
            item.answer.set_exception(DeviceLost("The thread that owns the device has ended."))

    def _serve_queue(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._closed)
                if not self._queue:
                    return
                batch = self._take()
            if batch:
                self._run(batch)

    def _take(self) -> list[_Item]:
        """The oldest wanted image and those of its shape that fill a warmed size; drops the unwanted."""
        shape: tuple[int, ...] | None = None
        taken: list[_Item] = []
        left: deque[_Item] = deque()
        while self._queue:
            item = self._queue.popleft()
            if shape is not None and (len(taken) >= self._largest or item.tensor.shape != shape):
                left.append(item)
            elif _wanted(item):
                shape = item.tensor.shape
                taken.append(item)
        keep = self._fitting(len(taken))
        left.extendleft(reversed(taken[keep:]))
        self._queue = left
        return taken[:keep]

    def _fitting(self, waiting: int) -> int:
        # Fewer than the smallest size: a graph of fixed batch, which the session fills up.
        return max((size for size in self._sizes if size <= min(waiting, self._largest)), default=waiting)

    def _run(self, items: list[_Item]) -> None:
        started = time.perf_counter()
        try:
            tensors = [item.tensor for item in items]
            batch = self.warm.session.new_batch((len(items), *tensors[0].shape[1:]))
            maps = self.warm.session.run(np.concatenate(tensors, out=batch))
            ended = time.perf_counter()
            # A copy of its own, so that one image's map does not keep the whole batch alive.
            results = [_Pass(values.copy(), started, ended) for _, values in zip(items, maps, strict=True)]
        except InferenceFailed as error:
            self._after_failure(items, error)
            return
        except Exception as error:  # noqa: BLE001 - nothing may end the thread that owns the device
            self._after_failure(items, InferenceFailed(f"The run failed: {error!r}"))
            return
        self._progress.move()
        if self._metrics is not None:
            self._metrics.observe_batch_size(len(items))
        for item, result in zip(items, results, strict=True):
            try:
                finite(result.values)
            except InferenceFailed as error:
                item.answer.set_exception(error)
            else:
                item.answer.set_result(result)

    def _after_failure(self, items: list[_Item], error: InferenceFailed) -> None:
        if isinstance(error, OutOfDeviceMemory) and len(items) > 1:
            self._largest = max(self._sizes[0], len(items) // 2)
        if len(items) == 1 or isinstance(error, DeviceLost):
            for item in items:
                item.answer.set_exception(error)
            return
        for item in items:
            if _wanted(item):
                self._run([item])


def _wanted(item: _Item) -> bool:
    """Whether to compute it; if not, its caller is told why."""
    try:
        item.ticket.check("inference")
    except (Cancelled, DeadlineExceeded) as error:
        item.answer.set_exception(error)
        return False
    return True


def _results(items: list[_Item]) -> list[_Pass]:
    """What became of each; an error only once all have ended, because the tensors are in use till then."""
    wait(item.answer for item in items)
    return [item.answer.result() for item in items]
