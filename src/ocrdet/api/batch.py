"""POST /detect/batch: many images in, one answer each.

A batch holds one admitted slot from before its body is read until its end, and works through its images with
it: so it always goes on and never waits for others that wait for it. While slots are free it takes more, one
lane each. A lane reads its image from the socket, has it detected, and only then reads the next: what is not
wanted yet stays in the socket.
"""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from typing import TYPE_CHECKING

from starlette.requests import Request  # FastAPI looks at the handlers' annotations at run time
from starlette.responses import Response
from typing_extensions import override

from ocrdet.api.answers import JSON_MEDIA_TYPE
from ocrdet.api.batch_source import FormSource, JsonSource, batch_options
from ocrdet.api.batch_work import Batch
from ocrdet.api.body import declared_length
from ocrdet.api.context import RequestContext
from ocrdet.api.detect import watched
from ocrdet.api.offload import Offloaded
from ocrdet.api.options import collect_pairs
from ocrdet.api.problems import KINDS
from ocrdet.api.record import record_of
from ocrdet.api.upload import FORM_TYPE, JSON_TYPE, media_type
from ocrdet.errors import Cancelled, InvalidParameter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from starlette.types import Receive, Scope, Send

    from ocrdet.api.batch_source import BatchSource
    from ocrdet.api.body import Body

NDJSON_MEDIA_TYPE = "application/x-ndjson"
CLIENT_CLOSED = KINDS[Cancelled]


async def detect_batch(request: Request) -> Response:
    """Find the text regions of many images.

    Raises:
        InvalidParameter: The body is neither a form nor JSON.
        Cancelled: The client went away.
    """
    context = RequestContext.enter(request)
    limits, headers = context.service.limits, request.headers
    query = collect_pairs(request.query_params.multi_items())
    batch_options(query)
    kind = media_type(headers.get("content-type"))
    if kind not in {FORM_TYPE, JSON_TYPE}:
        raise InvalidParameter(f"A batch is sent as {FORM_TYPE} or {JSON_TYPE}.", field="Content-Type")
    length = declared_length(headers, limits.max_batch_body_bytes)
    body = context.body_of(request, limits.max_batch_body_bytes)
    # A form keeps one image per lane in memory; JSON has all of them there from the start.
    first_bytes, lane_bytes = limits.max_body_bytes, limits.max_body_bytes
    if kind == JSON_TYPE:
        first_bytes, lane_bytes = limits.max_batch_body_bytes, 0
    slot = context.detector.gate.admit(size_bytes=min(length or first_bytes, first_bytes))
    try:
        source = await _open_source(context, body, query, headers.get("content-type", ""))
        if kind == JSON_TYPE:
            slot.resize(body.size_bytes)
    except BaseException:
        slot.release()
        raise
    batch = Batch(context, source, lane_bytes)
    run = asyncio.create_task(batch.run(slot))
    if NDJSON_MEDIA_TYPE in headers.get("accept", ""):
        await _whole_body(source, run)
        context.record.facts["bytes"] = body.size_bytes
        return BatchStream(batch, run, body)
    async with watched(body) as gone, _stopped(run):
        await asyncio.wait({run, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not run.done():
            raise Cancelled("The client went away before the batch was done.")
        run.result()
    context.record.facts["bytes"] = body.size_bytes
    content = b'{"results":[' + b",".join(batch.results[index] for index in sorted(batch.results)) + b"]}"
    return Response(content, media_type=JSON_MEDIA_TYPE)


async def _open_source(
    context: RequestContext, body: Body, query: Mapping[str, object], content_type: str
) -> BatchSource:
    limits = context.service.limits
    bounds = {"max_image_bytes": limits.max_body_bytes, "max_images": limits.max_batch_images}
    if media_type(content_type) == FORM_TYPE:
        return FormSource(body, content_type, query, **bounds)
    parse = partial(JsonSource, await body.read(), query, **bounds)
    workers, metrics = context.detector.workers, context.service.metrics
    return await Offloaded(workers, parse, ticket=context.ticket, metrics=metrics).result()


async def _whole_body(source: BatchSource, run: asyncio.Task[None]) -> None:
    """Wait until the whole body has been read, or raise why it cannot be.

    No sooner may a streamed answer begin: Nginx stops sending a body once its answer has begun.
    """
    complete = asyncio.create_task(source.complete.wait())
    try:
        await asyncio.wait({complete, run}, return_when=asyncio.FIRST_COMPLETED)
    except BaseException:
        run.cancel()
        raise
    finally:
        complete.cancel()
    if run.done():
        run.result()


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
                record_of(scope).outcome = CLIENT_CLOSED.slug
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
