"""POST /detect: one image in, its text regions out.

    authenticate -> ready? -> options -> admit -> read the body -> worker: parse, detect, serialise -> answer

Everything that can refuse comes before the body is read, everything that computes runs on the detector's
workers, and the slot is given back when a worker has really ended, whoever is still waiting by then.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.requests import Request  # FastAPI looks at the handlers' annotations at run time
from starlette.responses import Response

from ocrdet.api.answers import JSON_MEDIA_TYPE, ImageFormat, detection_json, drawn_image, webui_json
from ocrdet.api.body import declared_length
from ocrdet.api.context import RequestContext
from ocrdet.api.offload import Offloaded
from ocrdet.api.options import collect_pairs, read_options
from ocrdet.api.upload import read_upload

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from ocrdet.api.body import Body
    from ocrdet.api.upload import Upload
    from ocrdet.engine.admission import Slot
    from ocrdet.values import Detection


@dataclass(frozen=True, slots=True)
class Answer:
    """A finished answer on its way from a worker to the event loop."""

    content: bytes
    media_type: str
    detection: Detection


@dataclass(frozen=True, slots=True)
class Job:
    """What a worker does for one request; it holds everything it needs."""

    context: RequestContext
    slot: Slot
    query: Mapping[str, object]
    body: bytes
    content_type: str | None
    accept: str

    def run(self) -> Answer:
        """Parse, detect, serialise; on a worker thread."""
        upload = read_upload(self.body, self.content_type)
        options = read_options(self.query, upload.options)
        ticket, record = self.context.ticket, self.context.record
        detection = self.context.detector.detect(upload.data, options.detect, ticket=ticket, slot=self.slot)
        ticket.check("serialize")
        began = time.perf_counter()
        total_ms = record.elapsed_s() * 1e3
        detection = detection.with_timings(dataclasses.replace(detection.timings, total=total_ms))
        if options.output == "image":
            answer = self._image(upload, detection)
        elif options.output == "webui":
            answer = Answer(webui_json(detection, upload.name), JSON_MEDIA_TYPE, detection)
        else:
            content = detection_json(detection, options.detect, record.request_id)
            answer = Answer(content, JSON_MEDIA_TYPE, detection)
        self.context.service.metrics.observe_stage("serialize", time.perf_counter() - began)
        return answer

    def _image(self, upload: Upload, detection: Detection) -> Answer:
        image_format = preferred_format(self.accept)
        # The detector keeps no pixels: a second decode is the price of this rare answer, not of every one.
        decoded = self.context.detector.decode(upload.data)
        return Answer(drawn_image(decoded, detection, image_format), f"image/{image_format}", detection)


async def detect(request: Request) -> Response:
    """Find the text regions of one image."""
    context = RequestContext.enter(request)
    limits, headers = context.service.limits, request.headers
    query = collect_pairs(request.query_params.multi_items())
    read_options(query)
    length = declared_length(headers, limits.max_body_bytes)
    body = context.body_of(request, limits.max_body_bytes)
    slot = context.detector.gate.admit(size_bytes=length or limits.max_body_bytes)
    try:
        data = await body.read()
        slot.resize(len(data))
        context.record.facts["bytes"] = len(data)
        job = Job(context, slot, query, data, headers.get("content-type"), headers.get("accept", ""))
        work = Offloaded(
            context.detector.workers, job.run, ticket=context.ticket, metrics=context.service.metrics
        )
    except BaseException:
        slot.release()
        raise
    work.when_ended(slot.release)
    async with watched(body) as gone:
        answer = await work.result(gone=gone)
    context.record.note_detection(answer.detection)
    return Response(answer.content, media_type=answer.media_type)


@contextlib.asynccontextmanager
async def watched(body: Body) -> AsyncIterator[asyncio.Task[None]]:
    """A task that ends when the client of this body goes away, for the length of a block."""
    gone = asyncio.create_task(body.client_gone())
    try:
        yield gone
    finally:
        gone.cancel()


def preferred_format(accept: str) -> ImageFormat:
    """`jpeg` where the client asks for it and not for PNG, else `png`, which loses nothing."""
    wanted = accept.lower()
    return "jpeg" if "image/jpeg" in wanted and "image/png" not in wanted else "png"
