"""POST /detect/batch: many images in, one answer each.

A batch holds one admitted slot from before its body is read until its end, and works through its images with
it: so it always goes on and never waits for others that wait for it. While slots are free it takes more, up
to one more than there are workers. An image is read from the socket only when a slot is there for it: what
is not wanted yet stays in the socket.
"""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic_core import to_json
from starlette.requests import Request  # FastAPI looks at the handlers' annotations at run time
from starlette.responses import Response
from typing_extensions import override

from ocrdet.api.answers import JSON_MEDIA_TYPE, detection_dict
from ocrdet.api.batch_images import FormImages, batch_options, json_images
from ocrdet.api.detect import watched
from ocrdet.api.forms import FormReader
from ocrdet.api.middleware import record_of, told_problem
from ocrdet.api.offload import Offloaded
from ocrdet.api.options import collect_pairs
from ocrdet.api.problems import KINDS
from ocrdet.api.request import RequestContext
from ocrdet.api.upload import FORM_TYPE, JSON_TYPE, media_type
from ocrdet.engine.ticket import Ticket
from ocrdet.errors import Cancelled, InvalidParameter, Overloaded, QueueFull

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from concurrent.futures import Executor

    from starlette.types import Receive, Scope, Send

    from ocrdet.api.batch_images import BatchImage
    from ocrdet.api.request import Body
    from ocrdet.engine.admission import Slot
    from ocrdet.values import Detection

T = TypeVar("T")
NDJSON_MEDIA_TYPE = "application/x-ndjson"


async def detect_batch(request: Request) -> Response:
    """Find the text regions of many images.

    Raises:
        InvalidParameter: The body is neither a form nor JSON.
        Cancelled: The client went away.
    """
    context = RequestContext.enter(request)
    limits, content_type = context.service.limits, request.headers.get("content-type", "")
    query = collect_pairs(request.query_params.multi_items())
    batch_options(query)
    kind = media_type(content_type)
    if kind not in {FORM_TYPE, JSON_TYPE}:
        raise InvalidParameter(f"A batch is sent as {FORM_TYPE} or {JSON_TYPE}.", field="Content-Type")
    body = context.body_of(request, limits.max_batch_body_bytes)
    # A form keeps one image per slot in memory; JSON has all of them there from the start.
    if kind == JSON_TYPE:
        slot = context.detector.gate.admit(size_bytes=body.expected_bytes)
        batch = Batch(context, body, _read_json(context, body, query, slot), slot, 0)
    else:
        reader = FormReader(
            content_type, max_part_bytes=limits.max_body_bytes, max_parts=limits.max_batch_images
        )
        slot = context.detector.gate.admit(size_bytes=min(body.expected_bytes, limits.max_body_bytes))
        images = aiter(FormImages(body, reader, query, limits))
        batch = Batch(context, body, images, slot, limits.max_body_bytes)
    return await answer_batch(request, batch, body)


async def answer_batch(request: Request, batch: Batch, body: Body, beginning: bytes = b"{") -> Response:
    """Run a batch; all of its results, or a stream of them where the client asks for one.

    Args:
        request: The request.
        batch: Not yet run.
        body: Where it comes from.
        beginning: Of the JSON object that holds all results.

    Raises:
        Cancelled: The client went away.
    """
    run = asyncio.create_task(batch.run())
    if NDJSON_MEDIA_TYPE in request.headers.get("accept", ""):
        await _body_read(batch, run)
        return BatchStream(batch, run, body)
    async with watched(body) as gone, _stopped(run):
        await asyncio.wait({run, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not run.done():
            raise Cancelled("The client went away before the batch was done.")
        run.result()
    results = b",".join(batch.results[index] for index in sorted(batch.results))
    return Response(beginning + b'"results":[' + results + b"]}", media_type=JSON_MEDIA_TYPE)


async def _read_json(
    context: RequestContext, body: Body, query: Mapping[str, object], slot: Slot
) -> AsyncIterator[BatchImage]:
    data = await body.read()
    slot.resize(len(data))
    for image in await Offloaded(context, partial(json_images, data, query, context.service.limits)).result():
        yield image


class Batch:
    """One batch under way.

    Attributes:
        results: Finished results by index, each one JSON object.
        finished: Indexes as they are finished; None when there are no more.
        body_read: Set once the whole body has been read and is well-formed.
    """

    def __init__(
        self,
        context: RequestContext,
        body: Body,
        images: AsyncIterator[BatchImage],
        slot: Slot,
        size_bytes: int,
    ) -> None:
        """Prepare; `run` does the work.

        Args:
            context: The request.
            body: Its body.
            images: What the body holds.
            slot: One admitted slot.
            size_bytes: What an image under one more slot may hold in memory.
        """
        self._context = context
        self._body = body
        self._images = images
        self._size_bytes = size_bytes
        # Every slot with the work that used it last.
        self._slots: dict[Slot, Offloaded[Any] | None] = {slot: None}
        self._free: asyncio.Queue[Slot] = asyncio.Queue()
        self._free.put_nowait(slot)
        self.results: dict[int, bytes] = {}
        self.finished: asyncio.Queue[int | None] = asyncio.Queue()
        self.body_read = asyncio.Event()

    async def run(self) -> None:
        """Work through all images; raise why the body cannot be read on."""
        try:
            async with asyncio.TaskGroup() as group:
                slot = await self._take_slot()
                while (image := await anext(self._images, None)) is not None:
                    if self._body.ended:
                        self.body_read.set()
                    group.create_task(self._work(image, slot))
                    slot = await self._take_slot()
                self.body_read.set()
        except BaseExceptionGroup as group_error:
            raise group_error.exceptions[0] from None
        finally:
            for slot, work in self._slots.items():
                # A thread may still be at work under it.
                if work is None:
                    slot.release()
                else:
                    work.when_ended(slot.release)
            self._context.record.facts |= {"bytes": self._body.size_bytes, "images": len(self.results)}
            self.finished.put_nowait(None)

    async def _take_slot(self) -> Slot:
        """A slot that no image uses; one more than there are workers, so that reading and working overlap."""
        if self._free.empty() and len(self._slots) <= self._context.detector.workers.threads:
            with contextlib.suppress(Overloaded):
                slot = self._context.detector.gate.admit(size_bytes=self._size_bytes)
                self._slots[slot] = None
                return slot
        return await self._free.get()

    async def _work(self, image: BatchImage, slot: Slot) -> None:
        self.results[image.index] = await self._result(image, slot)
        self._tell(image.index)
        # At the deadline a thread may still be at work on its pixels.
        if (work := self._slots[slot]) is not None:
            work.when_ended(slot.renew)
        self._free.put_nowait(slot)

    def _tell(self, index: int) -> None:
        """A result is there."""
        self.finished.put_nowait(index)

    async def _result(self, image: BatchImage, slot: Slot) -> bytes:
        context = self._context
        try:
            detection, content = await self._detect(image, slot)
        except Cancelled:
            raise
        except Exception as error:  # noqa: BLE001 - one image never fails another
            problem = told_problem(error, context.record, context.service.metrics)
            told = problem.as_dict(context.record.request_id)
            return to_json(_beginning(image, problem.kind.status) | {"problem": told})
        context.record.note_stages(detection.model, detection.timings)
        return content

    async def _detect(self, image: BatchImage, slot: Slot) -> tuple[Detection, bytes]:
        return await self._offload(partial(self._job, image), slot)

    async def _offload(
        self, call: Callable[[Ticket, Slot], T], slot: Slot, threads: Executor | None = None
    ) -> T:
        """What a call on a thread returns, once there is room for its pixels."""
        context = self._context
        while True:
            # Asked for before the try, so that nothing given back meanwhile is missed.
            room = asyncio.wrap_future(context.detector.gate.wait_until_free())
            context.ticket.check("queue")
            ticket = Ticket(context.ticket.remaining_s())
            work = Offloaded(context, partial(call, ticket, slot), ticket, threads)
            self._slots[slot] = work
            try:
                return await work.result()
            except QueueFull:
                # Its pixels do not fit beside those of others now.
                await asyncio.wait({room}, timeout=context.ticket.remaining_s())
            finally:
                room.cancel()

    def _job(self, image: BatchImage, ticket: Ticket, slot: Slot) -> tuple[Detection, bytes]:
        detection = image.detect(self._context.detector, ticket, slot)
        answer = detection_dict(detection, image.options, self._context.record.request_id)
        return detection, to_json(_beginning(image, 200) | {"detection": answer})


def _beginning(image: BatchImage, status: int) -> dict[str, object]:
    return {"index": image.index, "name": image.name, **image.facts, "status": status}


async def _body_read(batch: Batch, run: asyncio.Task[None]) -> None:
    """Wait until the whole body has been read, or raise why it cannot be.

    No sooner may a streamed answer begin: Nginx stops sending a body once its answer has begun.
    """
    complete = asyncio.create_task(batch.body_read.wait())
    try:
        await asyncio.wait({complete, run}, return_when=asyncio.FIRST_COMPLETED)
        if run.done():
            run.result()
    except BaseException:
        run.cancel()
        raise
    finally:
        complete.cancel()


class BatchStream(Response):
    """The results of a batch as NDJSON, each as soon as it is there."""

    def __init__(self, batch: Batch, run: asyncio.Task[None], body: Body) -> None:
        """Stream a batch whose body has been read."""
        super().__init__(media_type=NDJSON_MEDIA_TYPE)
        del self.headers["content-length"]
        self._batch = batch
        self._run = run
        self._body = body

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send every result; stop when the client goes away."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async with watched(self._body) as gone, _stopped(self._run):
            gone.add_done_callback(lambda _: self._batch.finished.put_nowait(None))
            while (index := await self._batch.finished.get()) is not None:
                line = self._batch.results[index] + b"\n"
                await send({"type": "http.response.body", "body": line, "more_body": True})
            if gone.done():
                record_of(scope).outcome = KINDS[Cancelled].slug
            else:
                await asyncio.wait({self._run})  # all it still does is put things away
        await send({"type": "http.response.body", "body": b"", "more_body": False})


@contextlib.asynccontextmanager
async def _stopped(run: asyncio.Task[None]) -> AsyncIterator[None]:
    """Leave nothing running behind a block, however it ends."""
    try:
        yield
    finally:
        run.cancel()
        await asyncio.wait({run})
        if not run.cancelled():
            run.exception()  # asyncio complains of one that nobody has looked at
