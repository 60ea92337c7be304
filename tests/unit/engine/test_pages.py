"""A document is rendered by a process that may do anything, and nothing but its own pages suffers."""

from __future__ import annotations

import os
import threading
from functools import partial
from typing import TYPE_CHECKING

import pytest

from ocrdet.engine.pages import PageLimits, PdfDocument, PdfDocuments
from ocrdet.engine.pages_process import PagesProcess
from ocrdet.errors import Cancelled, CorruptImage, EncryptedDocument, OcrdetError, PageNotRendered, QueueFull
from tests.unit.engine.page_workers import HONEST, PATIENT, WORKER, failing

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HURRIED = PageLimits(seconds=0.3, memory_bytes=1 << 30)


def opened(script: str, limits: PageLimits = PATIENT, worker: str = WORKER) -> PdfDocument:
    """A document whose process does what a script says."""
    start = partial(PagesProcess, worker=("-c", worker))
    return PdfDocuments(1, limits, start).open(script.encode())


def ended(document: PdfDocument) -> None:
    """Wait until nothing is left of a document."""
    document.close().result(10)


def test_pages_come_as_pixels_of_the_size_asked_for() -> None:
    """Each from its own place in the document."""
    document = opened(HONEST)
    assert document.load() == 3
    assert document.page_size(1) == (300.0, 200.0)
    for index in range(3):
        pixels = document.render(index, 40, 30)
        assert pixels.shape == (30, 40, 3)
        assert (pixels == index).all()
    ended(document)


@pytest.mark.parametrize(
    ("what", "error"),
    [
        ("os._exit(3)", PageNotRendered),
        ("os.kill(os.getpid(), 9)", PageNotRendered),
        ("write({}, b'too few pixels'); os._exit(0)", PageNotRendered),
        ("write(b'no JSON')", PageNotRendered),
        ("write(b'[1, 2]')", PageNotRendered),
        ("write(b'[' * 4096)", PageNotRendered),
        ("os.write(1, b'\\xff' * 8 + b'{' * 9999)", PageNotRendered),
        ("write({'error': 'memory'})", PageNotRendered),
        ("write({'error': ['anything']})", PageNotRendered),
        ("write({'error': 'broken'})", CorruptImage),
    ],
)
def test_whatever_a_process_does_costs_one_page(what: str, error: type[OcrdetError]) -> None:
    """It dies, lies, or answers with nonsense; the pages before and after are rendered."""
    document = opened(failing(1, what))
    document.load()
    assert (document.render(0, 8, 8) == 0).all()
    with pytest.raises(error, match="Page 2"):
        document.render(1, 8, 8)
    assert (document.render(2, 8, 8) == 2).all()
    ended(document)


def test_a_page_that_takes_too_long_is_ended_and_the_next_is_rendered() -> None:
    """The sentence names the limit."""
    document = opened(failing(0, "time.sleep(60)"), PageLimits(0.5, 1 << 30))
    document.load()
    with pytest.raises(PageNotRendered, match="within 500 ms") as caught:
        document.render(0, 8, 8)
    assert caught.value.facts == {"limit_ms": 500}
    assert (document.render(1, 8, 8) == 1).all()
    ended(document)


def test_a_page_for_which_no_memory_is_left_gets_a_process_of_its_own(tmp_path: Path) -> None:
    """Memory fills up from page to page, which is not that page's fault."""
    mark = tmp_path / "again"
    what = f"open({str(mark)!r}, 'x').close(); os._exit(1)"
    script = failing(1, f"if not os.path.exists({str(mark)!r}):\n        {what}\n    exec({HONEST!r})")
    document = opened(script)
    document.load()
    document.render(0, 8, 8)
    assert (document.render(1, 8, 8) == 1).all()
    assert mark.exists()
    ended(document)


def test_a_page_without_a_size_is_refused() -> None:
    """Before any pixel of it is reserved."""
    sizes = "[[], 'A4', [1], [0, 5], [-1, 5], [float('nan'), 5], [5, float('inf')], None]"
    document = opened(f"write({{'size': {sizes}[request['size']]}})")
    document.load()
    for index in range(8):
        with pytest.raises((CorruptImage, PageNotRendered), match=f"Page {index + 1}"):
            document.page_size(index)
    ended(document)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ({"error": "encrypted"}, EncryptedDocument),
        ({"error": "broken"}, CorruptImage),
        ({"pages": 0}, CorruptImage),
        ({"pages": "many"}, PageNotRendered),
        ({}, PageNotRendered),
    ],
)
def test_a_document_that_cannot_be_opened_says_why(
    answer: dict[str, object], error: type[OcrdetError]
) -> None:
    """Encrypted, broken, empty, or not to be understood."""
    document = opened(HONEST, worker=WORKER.replace('{"pages": 3}', repr(answer)))
    with pytest.raises(error, match="The PDF"):
        document.load()
    ended(document)


def test_opening_has_a_time_limit_too() -> None:
    """A document may loop before its first page."""
    document = opened(HONEST, HURRIED, worker="import time; time.sleep(60)")
    with pytest.raises(PageNotRendered, match="The PDF was not rendered within 300 ms"):
        document.load()
    ended(document)


def test_closing_ends_the_process_at_once_and_leaves_no_zombie(tmp_path: Path) -> None:
    """Whatever it does at that moment; who waits for it is told."""
    mark = tmp_path / "pid"
    half = str(mark) + "~"
    script = f"open({half!r}, 'w').write(str(os.getpid())); os.rename({half!r}, {str(mark)!r})"
    document = opened(f"{script}; time.sleep(60)")
    document.load()
    waiting = document.thread.submit(document.render, 0, 8, 8)
    written = threading.Event()
    while not mark.exists():
        written.wait(0.01)
    document.close()
    with pytest.raises(Cancelled):
        waiting.result(10)
    document.thread.shutdown(wait=True)
    with pytest.raises(ProcessLookupError):
        os.kill(int(mark.read_text()), 0)


@pytest.mark.parametrize("call", [PdfDocument.load, lambda document: document.render(0, 8, 8)])
def test_a_closed_document_starts_nothing(call: Callable[[PdfDocument], object]) -> None:
    """A second end does nothing either."""
    document = opened(HONEST)
    ended(document)
    document.close()
    with pytest.raises(Cancelled):
        call(document)


def test_only_so_many_documents_are_open_at_one_time() -> None:
    """One more is refused at once and told when to come back; one that ends makes room."""
    documents = PdfDocuments(1, PATIENT, partial(PagesProcess, worker=("-c", WORKER)))
    first = documents.open(HONEST.encode())
    with pytest.raises(QueueFull, match="All 1 PDF files") as caught:
        documents.open(HONEST.encode())
    assert caught.value.retry_after_s >= 1
    ended(first)
    assert documents.count == 0
    ended(documents.open(HONEST.encode()))


def test_the_process_knows_nothing_of_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable of its environment reaches it, and no open file."""
    monkeypatch.setenv("OCRDET_SECRET", "x")
    script = "write({'size': [1 + ('OCRDET_SECRET' in os.environ), len(os.listdir('/dev/fd'))]})"
    document = opened(script)
    pipe = os.pipe()
    os.set_inheritable(pipe[0], True)
    document.load()
    # Standard input, output and error, and the one that lists them.
    assert document.page_size(0) == (1, 4)
    ended(document)
    for descriptor in pipe:
        os.close(descriptor)
