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
from functools import partial
from typing import TYPE_CHECKING

from starlette.requests import Request  # FastAPI looks at the handlers' annotations at run time
from starlette.responses import Response

from ocrdet.api.answers import JSON_MEDIA_TYPE, ImageFormat, detection_json, drawn_image, webui_json
from ocrdet.api.offload import Offloaded
from ocrdet.api.options import collect_pairs, read_options
from ocrdet.api.request import RequestContext
from ocrdet.api.upload import read_upload

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from starlette.datastructures import Headers

    from ocrdet.api.request import Body
    from ocrdet.engine.admission import Slot
    from ocrdet.values import Detection


async def detect(request: Request) -> Response:
    """Find the text regions of one image."""
    context = RequestContext.enter(request)
    query = collect_pairs(request.query_params.multi_items())
    read_options(query)
    body = context.body_of(request, context.service.limits.max_body_bytes)
    slot = context.detector.gate.admit(size_bytes=body.expected_bytes)
    try:
        data = await body.read()
        slot.resize(len(data))
        context.record.facts["bytes"] = len(data)
        work = Offloaded(context, partial(_work, context, slot, query, data, request.headers))
    except BaseException:
        slot.release()
        raise
    work.when_ended(slot.release)
    async with watched(body) as gone:
        detection, content, media_type = await work.result(gone=gone)
    context.record.note_detection(detection)
    return Response(content, media_type=media_type)


def _work(
    context: RequestContext, slot: Slot, query: Mapping[str, object], body: bytes, headers: Headers
) -> tuple[Detection, bytes, str]:
    """The detection and the answer with its media type; on a worker thread."""
    upload = read_upload(body, headers.get("content-type"))
    options = read_options(query, upload.options)
    ticket, record = context.ticket, context.record
    detection = context.detector.detect(upload.data, options.detect, ticket=ticket, slot=slot)
    ticket.check("serialize")
    began = time.perf_counter()
    timings = dataclasses.replace(detection.timings, total=record.elapsed_ms())
    detection = detection.with_timings(timings)
    media_type = JSON_MEDIA_TYPE
    if options.output == "image":
        image_format = preferred_format(headers.get("accept", ""))
        media_type = f"image/{image_format}"
        # The detector keeps no pixels: a second decode is the price of this rare answer, not of every one.
        content = drawn_image(context.detector.decode(upload.data), detection, image_format)
    elif options.output == "webui":
        content = webui_json(detection, upload.name)
    else:
        content = detection_json(detection, options.detect, record.request_id)
    context.service.metrics.observe_stage("serialize", time.perf_counter() - began)
    return detection, content, media_type


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
