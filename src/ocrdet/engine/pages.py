"""PDF pages as pixels, rendered in a process of their own that can be killed at any moment.

One `PdfDocument` per file, one `PagesProcess` per document at a time; the process runs `pages_worker.py`.
"""

from __future__ import annotations

import importlib.util
import json
import math
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from ocrdet.engine.admission import Gate
from ocrdet.engine.pages_process import PageLimits, PagesProcess, ProcessEnded
from ocrdet.errors import Cancelled, CorruptImage, EncryptedDocument, OcrdetError, PageNotRendered, QueueFull

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from ocrdet.engine.admission import Slot

__all__ = ["PageLimits", "PdfDocument", "PdfDocuments", "can_render"]

RENDERER = "pypdfium2"
CLOSED = "The PDF was closed before the page was rendered."


def can_render() -> bool:
    """Whether the optional renderer is installed."""
    return importlib.util.find_spec(RENDERER) is not None


class PdfDocuments:
    """Opens PDF files: as many at one time as there may be processes."""

    def __init__(
        self,
        max_documents: int,
        limits: PageLimits,
        start: Callable[[PageLimits], PagesProcess] = PagesProcess,
    ) -> None:
        """Nothing is started yet.

        Args:
            max_documents: How many may be open at one time.
            limits: What rendering may take.
            start: Starts one process.
        """
        self._gate = Gate(max_images=max_documents, max_bytes=1, max_pixels=1)
        self._limits = limits
        self._start = start

    @property
    def count(self) -> int:
        """How many are open now."""
        return self._gate.inflight_images

    def open(self, data: bytes) -> PdfDocument:
        """A document to `load` first and to close when it is done with.

        Raises:
            QueueFull: As many as may be open are open.
        """
        try:
            permit = self._gate.admit(size_bytes=0)
        except QueueFull as error:
            most = self._gate.max_images
            raise QueueFull(
                f"All {most} PDF files that may be in work at one time are taken; try again later.",
                retry_after_s=error.retry_after_s,
                limit=most,
                budget="documents",
            ) from None
        return PdfDocument(data, self._limits, self._start, permit)


class PdfDocument:
    """One PDF file and the process that renders it.

    Its calls block, and belong on its own thread, one after the other; `close` may come from any. A process
    that ends takes one page along: the next page has a new one.

    Attributes:
        thread: Where the calls belong.
    """

    def __init__(
        self, data: bytes, limits: PageLimits, start: Callable[[PageLimits], PagesProcess], permit: Slot
    ) -> None:
        """Made by `PdfDocuments.open`."""
        self.thread = ThreadPoolExecutor(1, thread_name_prefix="ocrdet-pages")
        self._data = data
        self._limits = limits
        self._start = start
        self._permit = permit
        self._lock = threading.Lock()
        self._closed = False
        self._ended: Future[None] = Future()
        self._process: PagesProcess | None = None
        self._rendered = 0

    def load(self) -> int:
        """Start the process; the number of pages.

        Raises:
            EncryptedDocument: It cannot be read without a password.
            CorruptImage: It is no whole PDF, or has no pages.
            PageNotRendered: Opening it took too long, or the process failed on it.
            Cancelled: It was closed meanwhile.
        """
        what = "The PDF"
        with self._lock:
            if self._closed:
                raise Cancelled(CLOSED, stage="decode")
            process = self._process = self._start(self._limits)
            self._rendered = 0
        pages = self._talk(process, self._data, what).get("pages")
        if not isinstance(pages, int):
            raise self._failed(what)
        if pages < 1:
            raise CorruptImage("The PDF has no pages; export it again.")
        return pages

    def page_size(self, index: int) -> tuple[float, float]:
        """Width and height of a page as displayed, points.

        Raises:
            CorruptImage: The page is damaged, or has no size.
            PageNotRendered: It took too long, or the process failed on it.
            Cancelled: The document was closed meanwhile.
        """
        what = f"Page {index + 1}"
        answer = self._ask({"size": index}, what)
        try:
            width, height = (float(side) for side in answer["size"])
        except (KeyError, TypeError, ValueError):
            raise self._failed(what) from None
        if not (0 < width < math.inf and 0 < height < math.inf):
            raise CorruptImage(f"{what} states a size of {width:g}x{height:g} points; export the PDF again.")
        return width, height

    def render(self, index: int, width: int, height: int) -> NDArray[np.uint8]:
        """A page on white, scaled to a size.

        Args:
            index: Page, from 0.
            width: Pixels.
            height: Pixels.

        Returns:
            (height, width, 3) uint8 RGB.

        Raises:
            CorruptImage: The page is damaged.
            PageNotRendered: It took too long or too much memory, or the process failed on it.
            Cancelled: The document was closed meanwhile.
        """
        what, request = f"Page {index + 1}", {"render": [index, width, height]}
        pixels = np.empty((height, width, 3), np.uint8)
        alone = self._rendered == 0
        try:
            self._ask(request, what, pixels)
        except PageNotRendered as error:
            # Memory fills up from page to page: in a process of its own this one may have enough.
            if alone or "limit_ms" in error.facts:
                raise
            self._end_process()
            self._ask(request, what, pixels)
        self._rendered += 1
        return pixels

    def close(self) -> Future[None]:
        """End everything: the process at once, the thread as soon as it has noticed; done when it has."""
        with self._lock:
            if self._closed:
                return self._ended
            self._closed = True
            if self._process is not None:
                self._process.kill()
            self._ended = self.thread.submit(self._end)
        self.thread.shutdown(wait=False)
        return self._ended

    def _end(self) -> None:
        self._end_process()
        self._permit.release()

    def _end_process(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.end()

    def _ask(
        self, request: Mapping[str, object], what: str, pixels: NDArray[np.uint8] | None = None
    ) -> dict[str, Any]:
        if self._process is None:
            self.load()
        process = self._process
        if process is None:
            raise self._failed(what)
        return self._talk(process, json.dumps(request).encode(), what, pixels)

    def _talk(
        self, process: PagesProcess, message: bytes, what: str, pixels: NDArray[np.uint8] | None = None
    ) -> dict[str, Any]:
        try:
            answer = process.talk(message, pixels)
        except ProcessEnded as ended:
            self._process = None
            if self._closed:
                raise Cancelled(CLOSED, stage="decode") from None
            raise self._failed(what, late=ended.late) from None
        if "error" in answer:
            raise self._refusal(str(answer["error"]), what)
        return answer

    def _refusal(self, error: str, what: str) -> OcrdetError:
        if error == "encrypted":
            return EncryptedDocument(
                "The PDF can be opened with a password alone; send it without encryption."
            )
        if error == "broken":
            return CorruptImage(f"{what} cannot be read: damaged, or not whole. Export it again.")
        return self._failed(what)

    def _failed(self, what: str, *, late: bool = False) -> PageNotRendered:
        if late:
            limit_ms = round(self._limits.seconds * 1e3)
            return PageNotRendered(
                f"{what} was not rendered within {limit_ms} ms. Ask for a lower dpi, or send it as an image.",
                limit_ms=limit_ms,
            )
        limit = self._limits.memory_bytes
        return PageNotRendered(
            f"{what} made the renderer fail: it is damaged, or takes more than {limit} bytes of memory. "
            "Ask for a lower dpi, or send it as an image.",
            limit_bytes=limit,
        )
