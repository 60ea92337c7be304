"""POST /detect/pages: a PDF, a TIFF of many pages, or one image; one result per page.

A document is a batch of its pages. PDF pages are rendered one after the other, in page order, by a process of
the document's own; each rendered page goes the way of every decoded image while the next one is rendered.
"""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from pydantic_core import to_json
from starlette.requests import Request  # FastAPI looks at the handlers' annotations at run time
from starlette.responses import Response
from typing_extensions import override

from ocrdet.api.batch import Batch, answer_batch
from ocrdet.api.batch_images import BatchImage
from ocrdet.api.detect import watched
from ocrdet.api.offload import Offloaded
from ocrdet.api.options import collect_pairs
from ocrdet.api.page_options import PAGE_OPTIONS, PageOptions, require_page_size
from ocrdet.api.request import RequestContext
from ocrdet.api.upload import read_upload
from ocrdet.engine.pages import can_render
from ocrdet.errors import TruncatedImage, UnsupportedFormat
from ocrdet.values import DecodedImage, ImageHeader
from ocrdet.vision.header import SUPPORTED_FORMATS, read_header
from ocrdet.vision.tiff_pages import TiffPages

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from concurrent.futures import Executor

    from ocrdet.api.request import Body
    from ocrdet.detector import Detector
    from ocrdet.engine.admission import Slot
    from ocrdet.engine.pages import PdfDocument
    from ocrdet.engine.ticket import Ticket
    from ocrdet.values import Detection

# Where a reader of PDF files looks for their first line.
PDF_BEGINNING = re.compile(rb".{0,1024}?%PDF-", re.DOTALL)
PDF_FORMAT = "pdf"
# The last line of a PDF, and how far before the end of a file it may stand: some servers add a few bytes.
PDF_END, PDF_END_BYTES = b"%%EOF", 8192


async def detect_pages(request: Request) -> Response:
    """Find the text regions of every page of a document."""
    context = RequestContext.enter(request)
    query = collect_pairs(request.query_params.multi_items(), PAGE_OPTIONS)
    PageOptions.read(query)
    body = context.body_of(request, context.service.limits.max_document_bytes)
    slot = context.detector.gate.admit(size_bytes=body.expected_bytes)
    try:
        data = await body.read()
        slot.resize(len(data))
        read = partial(_read, context, query, data, request.headers.get("content-type"))
        del data
    except BaseException:
        slot.release()
        raise
    async with watched(body) as gone:
        document = await _offloaded(context, slot, gone, read)
        if document.format == PDF_FORMAT:
            document = await _opened(context, slot, gone, document)
    context.record.facts["format"] = document.format
    told = to_json({"format": document.format, "pages": document.pages, "truncated": document.truncated})
    batch = PagesBatch(context, body, document, slot)
    return await answer_batch(request, batch, body, b'{"document":' + told + b",")


@dataclass(frozen=True, slots=True)
class Document:
    """A document whose pages are known.

    Attributes:
        format: `pdf`, or that of the image.
        options: What the caller chose.
        load: The bytes of one page, from 0, as an image of its own; of a PDF those of the file.
        page_bytes: How much memory one more of these takes.
        truncated: Whether the file ends early; then there may have been more pages.
        pdf: Renders the pages of a PDF, once that is open.
        pages: How many there are.
        chosen: Those asked for, from 0, in their order.
    """

    format: str
    options: PageOptions
    load: Callable[[int], bytes]
    page_bytes: int = 0
    truncated: bool = False
    pdf: PdfDocument | None = None
    pages: int = 0
    chosen: tuple[int, ...] = ()

    def choose(self, context: RequestContext, pages: int) -> Document:
        """The same once it is known how many pages there are; errors are those of `PageOptions.select`."""
        chosen = self.options.select(pages, context.service.limits.max_pages)
        return replace(self, pages=pages, chosen=tuple(chosen))


async def _offloaded(
    context: RequestContext,
    slot: Slot,
    gone: asyncio.Future[None],
    call: Callable[[], Document],
    threads: Executor | None = None,
) -> Document:
    """What a call on a thread returns; where that fails, the slot is given back once it has ended."""
    release = slot.release
    try:
        work = Offloaded(context, call, threads=threads)
        release = partial(work.when_ended, slot.release)
        return await work.result(gone=gone)
    except BaseException:
        release()
        raise


def _read(
    context: RequestContext, query: Mapping[str, object], body: bytes, content_type: str | None
) -> Document:
    """What a body holds; a PDF is yet to be opened.

    Raises:
        UnsupportedFormat: It is neither an image nor a PDF that can be read here.
    """
    upload = read_upload(body, content_type, PAGE_OPTIONS)
    options = PageOptions.read(query, upload.options)
    data = upload.data
    if PDF_BEGINNING.match(data):
        if not can_render():
            raise UnsupportedFormat(
                "This is a PDF, and this server has nothing to read PDF files with; its operator can install "
                "the extra ocrdet[pdf]. Send the pages as images meanwhile.",
                supported=list(SUPPORTED_FORMATS),
            )
        truncated = PDF_END not in data.rstrip(b"\0\t\r\n ")[-PDF_END_BYTES:]
        _require_whole(PDF_FORMAT, options, truncated=truncated)
        return Document(PDF_FORMAT, options, lambda _: data, truncated=truncated)
    header = read_header(data)
    if header.format == "tiff" and header.frames > 1:
        pages = TiffPages.find(data)
        _require_whole(header.format, options, truncated=pages.truncated)
        document = Document("tiff", options, pages.page, len(data), pages.truncated)
        return document.choose(context, len(pages.directories))
    return Document(header.format, options, lambda _: data).choose(context, 1)


def _require_whole(file_format: str, options: PageOptions, *, truncated: bool) -> None:
    if truncated and not options.detect.allow_truncated:
        raise TruncatedImage(
            f"The {file_format.upper()} ends before its last page does; upload the whole file. With "
            "allow_truncated=true the pages that are there are read."
        )


async def _opened(
    context: RequestContext, slot: Slot, gone: asyncio.Future[None], document: Document
) -> Document:
    """A PDF with its process, which is to be closed."""
    try:
        pdf = context.service.documents.open(document.load(0))
    except BaseException:
        slot.release()
        raise

    def load() -> Document:
        return replace(document.choose(context, pdf.load()), pdf=pdf)

    try:
        return await _offloaded(context, slot, gone, load, pdf.thread)
    except BaseException:
        pdf.close()
        raise


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedPage(BatchImage):
    """One page of a PDF as pixels.

    Attributes:
        decoded: The pixels.
        seconds: How long rendering them took.
    """

    decoded: DecodedImage
    seconds: float

    @override
    def detect(self, detector: Detector, ticket: Ticket, slot: Slot) -> Detection:
        """What is found on it; on a worker thread."""
        return detector.detect_decoded(
            self.decoded, self.options, ticket=ticket, slot=slot, decode_s=self.seconds
        )


class PagesBatch(Batch):
    """The pages of one document under way; its results are told in the order of the pages."""

    def __init__(self, context: RequestContext, body: Body, document: Document, slot: Slot) -> None:
        """Prepare; `run` does the work, and closes the document."""
        super().__init__(context, body, self._pages(), slot, document.page_bytes)
        self._document = document
        self._rendering = asyncio.Lock()
        self._told = 0

    @override
    async def run(self) -> None:
        """Work through all pages."""
        try:
            await super().run()
        finally:
            if self._document.pdf is not None:
                # A client whose answer is complete may send its next document at once. `await` alone would
                # cancel the future together with this task, and nothing would be ended.
                await asyncio.wait({asyncio.wrap_future(self._document.pdf.close())})

    async def _pages(self) -> AsyncIterator[BatchImage]:
        document = self._document
        for index, page in enumerate(document.chosen):
            load = partial(document.load, page)
            options = document.options.detect
            yield BatchImage(index, f"page {page + 1}", options, load, {"page": page + 1})

    @override
    def _tell(self, index: int) -> None:
        while self._told in self.results:
            super()._tell(self._told)
            self._told += 1

    @override
    async def _detect(self, image: BatchImage, slot: Slot) -> tuple[Detection, bytes]:
        if (pdf := self._document.pdf) is None:
            return await super()._detect(image, slot)
        # One after the other, first come, first served: in page order, one page ahead of the detector.
        async with self._rendering:
            page = await self._offload(partial(self._render, pdf, image), slot, pdf.thread)
        return await super()._detect(page, slot)

    def _render(self, pdf: PdfDocument, image: BatchImage, ticket: Ticket, slot: Slot) -> RenderedPage:
        """A page as pixels; on the document's thread."""
        limits, dpi = self._context.service.limits, self._document.options.dpi
        number = self._document.chosen[image.index] + 1
        ticket.check("decode")
        began = time.perf_counter()
        size_pt = pdf.page_size(number - 1)
        image.facts.update(dpi=dpi, page_size_pt=[round(side, 3) for side in size_pt])
        width, height = require_page_size(
            number, size_pt, dpi, max_pixels=limits.max_image_pixels, max_side_px=limits.max_image_side_px
        )
        slot.reserve(width * height)
        decoded = DecodedImage(pdf.render(number - 1, width, height), ImageHeader(PDF_FORMAT, width, height))
        return RenderedPage(
            image.index,
            image.name,
            image.options,
            image.load,
            image.facts,
            decoded=decoded,
            seconds=time.perf_counter() - began,
        )
