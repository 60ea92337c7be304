"""Real PDF files and hostile ones, rendered by the real process."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from ocrdet.engine.pages import PageLimits, PdfDocuments
from ocrdet.errors import CorruptImage, EncryptedDocument, PageNotRendered
from tests.pdfs import A4, drawn_pdf, endless_pdf, hungry_pdf, stream, text_pdf, write_pdf

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocrdet.engine.pages import PdfDocument

USUAL = PageLimits(20.0, 1 << 30)
WORDS = [[("HARBOUR", 90, 140, 40)], [("4096", 300, 500, 30)], []]
PAGE = "<</Type/Page/Parent 2 0 R/MediaBox[0 0 90 60]>>"
CATALOG = "<</Type/Catalog/Pages 2 0 R>>"


@contextlib.contextmanager
def opened(data: bytes, limits: PageLimits = USUAL) -> Iterator[PdfDocument]:
    """A document for the length of a block, after which nothing is left of it."""
    documents = PdfDocuments(1, limits)
    document = documents.open(data)
    try:
        yield document
    finally:
        document.close()
        document.thread.shutdown(wait=True)
        assert documents.count == 0


def ink(pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> tuple[int, int, int, int]:
    """Where the dark pixels are: x1, y1, x2, y2."""
    ys, xs = np.nonzero(pixels.min(axis=2) < 128)
    return int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1


def test_words_are_where_the_pdf_has_them() -> None:
    """At twice as many pixels as points, dark on white, and nothing on an empty page."""
    with opened(text_pdf(WORDS)) as document:
        assert document.load() == 3
        assert list(document.page_size(0)) == list(A4)
        left, top, right, bottom = ink(document.render(0, 1190, 1684))
        assert 180 <= left < 195
        assert 215 <= top < 225
        assert 480 < right < 600
        assert 278 <= bottom <= 283
        assert document.render(2, 1190, 1684).min() == 255


def test_colours_come_as_red_green_and_blue() -> None:
    """In the order of every other image."""
    with opened(drawn_pdf(["1 0 0 rg 0 0 595 842 re f"])) as document:
        document.load()
        assert document.render(0, 7, 9).reshape(-1, 3).tolist() == [[255, 0, 0]] * 63


@pytest.mark.parametrize(("turn", "size"), [(90, (842, 595)), (180, A4), (270, (842, 595))])
def test_a_turned_page_is_as_a_person_sees_it(turn: int, size: tuple[int, int]) -> None:
    """Its size too."""
    with opened(text_pdf(WORDS, entries=f"/Rotate {turn}")) as document:
        document.load()
        assert list(document.page_size(0)) == list(size)
        left, top, right, bottom = ink(document.render(0, *size))
        assert (right - left > bottom - top) == (turn == 180)


def test_what_is_filled_into_a_form_and_stamped_on_is_there() -> None:
    """A person sees it as well."""
    box = "/Rect[100 600 400 700]"
    look = stream("0 0 300 100 re f", "/Type/XObject/Subtype/Form/BBox[0 0 300 100]")
    for kind in ("/Subtype/Widget/FT/Tx/T(name)", "/Subtype/Stamp"):
        objects: list[str | bytes] = [
            "<</Type/Catalog/Pages 2 0 R/AcroForm<</Fields[4 0 R]>>>>",
            "<</Type/Pages/Kids[3 0 R]/Count 1>>",
            "<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Annots[4 0 R]>>",
            f"<</Type/Annot{kind}{box}/F 4/AP<</N 5 0 R>>>>",
            look,
        ]
        with opened(write_pdf(objects)) as document:
            document.load()
            assert ink(document.render(0, *A4)) == (100, 142, 400, 242)


def test_an_encrypted_document_says_so() -> None:
    """With a password, or by a way that is not known."""
    for how in ("Standard", "Unheard.Of"):
        lock = f"<</Filter/{how}/V 2/R 3/Length 128/P -44/O<{'00' * 32}>/U<{'11' * 32}>>>"
        data = write_pdf(
            [CATALOG, "<</Type/Pages/Kids[3 0 R]/Count 1>>", PAGE, lock], "/Encrypt 4 0 R/ID[<00><00>]"
        )
        with opened(data) as document, pytest.raises(EncryptedDocument, match="password"):
            document.load()


@pytest.mark.parametrize("data", [b"%PDF-1.7\n", text_pdf(WORDS)[:200], b"%PDF-1.7\n" + bytes(9999)])
def test_what_is_no_pdf_behind_its_first_line_is_corrupt(data: bytes) -> None:
    """Also where PDFium would like to mend it."""
    with opened(data) as document, pytest.raises(CorruptImage):
        document.load()


@pytest.mark.parametrize(
    "objects",
    [
        [CATALOG, "<</Type/Pages/Kids[2 0 R 3 0 R]/Count 2>>", "<</Type/Pages/Kids[2 0 R]/Count 2>>"],
        [CATALOG, "<</Type/Pages/Kids[3 0 R]/Count 2000000000>>", PAGE],
        [CATALOG, "<</Type/Pages/Kids[3 0 R]/Count -1>>", PAGE],
        [CATALOG, *(f"<</Type/Pages/Kids[{after} 0 R]/Count 1>>" for after in range(3, 5003)), PAGE],
        [f"<</Type/Catalog/Pages 2 0 R/X {'[' * 50_000}>>", "<</Type/Pages/Kids[3 0 R]/Count 1>>", PAGE],
        [CATALOG, "<</Type/Pages/Kids[3 0 R]/Count 1>>", "<</Type/Page/MediaBox[0 0 nan 1e99]>>"],
        [CATALOG, "<</Type/Pages/Kids[3 0 R]/Count 1>>", "<</Type/Page/MediaBox[9 9 9 9]/Contents 3 0 R>>"],
    ],
    ids=["loop", "billions", "minus one", "deep tree", "deep array", "no number", "empty box"],
)
def test_a_twisted_document_is_rendered_or_refused(objects: list[str | bytes]) -> None:
    """Loops, lies and depths: in no time, and without harm."""
    began = time.monotonic()
    with opened(write_pdf(objects)) as document:
        with contextlib.suppress(CorruptImage, PageNotRendered):
            assert document.load() >= 1
            document.page_size(0)
            document.render(0, 90, 60)
        assert time.monotonic() - began < USUAL.seconds


def test_a_hundred_thousand_pages_cost_nothing_until_they_are_asked_for() -> None:
    """Any of them."""
    count = 100_000
    kids = " ".join(f"{number} 0 R" for number in range(3, count + 3))
    data = write_pdf([CATALOG, f"<</Type/Pages/Kids[{kids}]/Count {count}>>", *[PAGE] * count])
    with opened(data) as document:
        assert document.load() == count
        assert document.page_size(count - 1) == (90, 60)


def test_a_page_without_an_end_is_given_up_and_others_are_rendered() -> None:
    """At the limit, and the process with it."""
    with opened(endless_pdf(3, [1]), PageLimits(1.0, 1 << 30)) as document:
        document.load()
        first = document.render(0, *A4)
        with pytest.raises(PageNotRendered, match="Page 2 was not rendered within 1000 ms"):
            document.render(1, *A4)
        assert (document.render(2, *A4) == first).all()


def test_a_page_that_takes_all_memory_is_given_up_and_others_are_rendered() -> None:
    """From under two thousand bytes; where there is more memory, it is rendered."""
    data = hungry_pdf(3, [1])
    assert len(data) < 2000
    with opened(data, PageLimits(20.0, 256 << 20)) as document:
        document.load()
        first = document.render(0, *A4)
        with pytest.raises(PageNotRendered, match="more than 268435456 bytes"):
            document.render(1, *A4)
        assert (document.render(2, *A4) == first).all()


def test_a_page_of_more_pixels_than_memory_is_given_up() -> None:
    """The pixels themselves count."""
    with opened(text_pdf(WORDS), PageLimits(20.0, 192 << 20)) as document:
        document.load()
        with pytest.raises(PageNotRendered, match="bytes of memory"):
            document.render(0, 8000, 8000)
        assert document.render(1, *A4).min() < 128
