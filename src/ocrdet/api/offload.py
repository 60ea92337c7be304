"""The event loop hands one call to the detector's workers, and waits no longer than makes sense."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ocrdet.api.problems import forget_frames
from ocrdet.errors import Cancelled, DeadlineExceeded, Draining, OcrdetError
from ocrdet.telemetry.metrics import CANCEL_STAGES

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor, Future

    from ocrdet.api.request import RequestContext
    from ocrdet.engine.ticket import Ticket
    from ocrdet.telemetry.metrics import Metrics

T = TypeVar("T")


class Offloaded(Generic[T]):
    """One call on a worker thread."""

    def __init__(
        self,
        context: RequestContext,
        call: Callable[[], T],
        ticket: Ticket | None = None,
        threads: Executor | None = None,
    ) -> None:
        """Submit the call.

        Args:
            context: The request that asks for it.
            call: What a worker does; it looks at the ticket between its stages.
            ticket: Its deadline and cancellation, where they are not the request's own.
            threads: Where it runs, if not on the detector's workers.

        Raises:
            Draining: The workers take nothing any more.
        """
        self._ticket = ticket or context.ticket
        self._call: Callable[[], T] | None = call
        self._metrics = context.service.metrics
        self._ticket.enqueue()
        try:
            self._future: Future[T] = (threads or context.detector.workers).submit(self._run)
        except RuntimeError:
            raise Draining(
                "This instance is shutting down; send the request again.", retry_after_s=1
            ) from None
        self._future.add_done_callback(self._end)

    def when_ended(self, release: Callable[[], None]) -> None:
        """Call `release` once no thread works on it any more, which may be now: then its slot is free."""
        self._future.add_done_callback(lambda _: release())

    async def result(self, *, gone: asyncio.Future[None] | None = None) -> T:
        """What the call returned, at the deadline at the latest.

        Args:
            gone: Done when the client has gone away.

        Raises:
            Cancelled: The client went away; the work is dropped at its next stage.
            DeadlineExceeded: The deadline passed; likewise.
        """
        future = asyncio.wrap_future(self._future)
        try:
            waiting: list[asyncio.Future[Any]] = [future] if gone is None else [future, gone]
            await asyncio.wait(
                waiting, timeout=self._ticket.remaining_s(), return_when=asyncio.FIRST_COMPLETED
            )
            if future.done():
                return future.result()
            if gone is not None and gone.done():
                raise Cancelled("The client went away before the answer was ready.")
            raise DeadlineExceeded(
                "The deadline passed before the answer was ready. Send less at once, or ask for more time "
                "(X-Request-Timeout-Ms) if the server's own limit allows it."
            )
        finally:
            if not future.done():
                self._ticket.cancel()
                future.cancel()

    def _run(self) -> T:
        self._ticket.dequeue()
        self._ticket.check("queue")
        call, self._call = self._call, None
        if call is None:
            raise Cancelled("Dropped before it began.", stage="queue")
        return call()

    def _end(self, future: Future[T]) -> None:
        # A cancelled call stays in the pool's queue for a while; the image it holds must not.
        self._call = None
        if future.cancelled():
            self._metrics.count_cancelled("queue")
        elif (error := future.exception()) is not None:
            forget_frames(error)
            if isinstance(error, OcrdetError):
                count_given_up(error, self._metrics)


def count_given_up(error: OcrdetError, metrics: Metrics) -> None:
    """Count work that was dropped because nobody waits for it, under the stage that it did not reach."""
    if isinstance(error, Cancelled | DeadlineExceeded):
        stage = error.facts.get("stage")
        metrics.count_cancelled(next((known for known in CANCEL_STAGES if known == stage), "queue"))
