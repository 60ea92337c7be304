"""The lanes of one batch: how its images share slots and workers."""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from typing import TYPE_CHECKING

from pydantic_core import to_json

from ocrdet.api.answers import detection_dict
from ocrdet.api.offload import Offloaded
from ocrdet.api.problems import problem_of
from ocrdet.engine.ticket import Ticket
from ocrdet.errors import Cancelled, OcrdetError, Overloaded, QueueFull

if TYPE_CHECKING:
    from ocrdet.api.batch_source import BatchImage, BatchSource
    from ocrdet.api.context import RequestContext
    from ocrdet.engine.admission import Slot
    from ocrdet.values import Detection


class Batch:
    """One batch under way.

    Attributes:
        results: Finished results by index, each one JSON object.
        finished: Indexes as they are finished; None when there are no more.
    """

    def __init__(self, context: RequestContext, source: BatchSource, lane_bytes: int) -> None:
        """Prepare; `run` does the work.

        Args:
            context: The request.
            source: Its images.
            lane_bytes: What one further lane may hold in memory.
        """
        self._context = context
        self._source = source
        self._lane_bytes = lane_bytes
        self._group = asyncio.TaskGroup()
        self._lanes = 0
        # One more than there are workers, so that one image is read while the others are worked on.
        self._max_lanes = context.detector.workers._max_workers + 1
        self.results: dict[int, bytes] = {}
        self.finished: asyncio.Queue[int | None] = asyncio.Queue()

    async def run(self, slot: Slot) -> None:
        """Work through all images, beginning with one admitted slot; raise why the body cannot be read on."""
        try:
            async with self._group:
                self._open_lane(slot)
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None
        finally:
            self._context.record.facts["images"] = len(self.results)
            self.finished.put_nowait(None)

    def _open_lane(self, slot: Slot) -> None:
        lane = _Lane(slot)
        self._lanes += 1
        # Not in the lane's own coroutine: cancelled before its first step, it never runs its `finally`.
        self._group.create_task(self._work(lane)).add_done_callback(lambda _: lane.leave())

    def _open_another_lane(self) -> None:
        if self._lanes < self._max_lanes:
            with contextlib.suppress(Overloaded):
                self._open_lane(self._context.detector.gate.admit(size_bytes=self._lane_bytes))

    async def _work(self, lane: _Lane) -> None:
        while (image := await self._source.next_image()) is not None:
            self._open_another_lane()
            self.results[image.index] = await self._result(image, lane)
            self.finished.put_nowait(image.index)
            lane.slot.renew()

    async def _result(self, image: BatchImage, lane: _Lane) -> bytes:
        try:
            return await self._detect(image, lane)
        except Cancelled:
            raise
        except OcrdetError as error:
            problem = problem_of(error)
            self._context.service.metrics.count_rejected(problem.kind.slug)
            return to_json(
                {
                    "index": image.index,
                    "name": image.name,
                    "status": problem.kind.status,
                    "problem": problem.as_dict(self._context.record.request_id),
                }
            )

    async def _detect(self, image: BatchImage, lane: _Lane) -> bytes:
        room: asyncio.Future[None] | None = None
        while True:
            self._context.ticket.check("queue")
            ticket = Ticket(self._context.ticket.remaining_s())
            work = Offloaded(
                self._context.detector.workers,
                partial(self._job, image, ticket, lane.slot),
                ticket=ticket,
                metrics=self._context.service.metrics,
            )
            lane.work = work
            try:
                detection, content = await work.result()
            except QueueFull:
                # Its pixels do not fit beside those of others now. Having asked to be told when something is
                # given back, try once more: only a refusal after the asking is worth the wait.
                if room is not None:
                    await asyncio.wait({room}, timeout=self._context.ticket.remaining_s())
                room = asyncio.wrap_future(self._context.detector.gate.wait_until_free())
            else:
                self._context.record.note_stages(detection.timings)
                self._context.record.model = detection.model
                return content

    def _job(self, image: BatchImage, ticket: Ticket, slot: Slot) -> tuple[Detection, bytes]:
        options = self._source.options
        detection = self._context.detector.detect(image.load(), options, ticket=ticket, slot=slot)
        answer = detection_dict(detection, options, self._context.record.request_id)
        return detection, to_json(
            {"index": image.index, "name": image.name, "status": 200, "detection": answer}
        )


class _Lane:
    """One slot of a batch, and the work that last used it."""

    def __init__(self, slot: Slot) -> None:
        self.slot = slot
        self.work: Offloaded[tuple[Detection, bytes]] | None = None

    def leave(self) -> None:
        """Give the slot back when no thread works under it any more."""
        if self.work is None:
            self.slot.release()
        else:
            self.work.when_ended(self.slot.release)
