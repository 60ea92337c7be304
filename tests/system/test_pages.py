"""Documents of many pages, sent to the real server."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from PIL import Image

from tests.pdfs import A4, endless_pdf, hungry_pdf, text_pdf
from tests.system.images import assert_found, draw_page, draw_strip
from tests.system.server import ServerProcess, assert_problem, regions_of, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.system.images import Box

# Text, left edge, baseline from the top, size: points.
WORDS = [
    [("HARBOUR", 60, 120, 40), ("4096", 330, 300, 40)],
    [],
    [("Page three", 200, 700, 36)],
]
PDF = text_pdf(WORDS)
NDJSON = {"Accept": "application/x-ndjson"}


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory, small_model: Path) -> Iterator[ServerProcess]:
    """A server with narrow limits for documents."""
    settings = {
        "OCRDET_MODEL": str(small_model),
        "OCRDET_THREADS": "2",
        "OCRDET_PAGE_TIMEOUT_MS": "3000",
        "OCRDET_PAGE_MEMORY_BYTES": str(256 << 20),
        "OCRDET_MAX_PAGES": "5",
        "OCRDET_MAX_DOCUMENT_BYTES": "50000",
        "OCRDET_MAX_IMAGE_PIXELS": "4000000",
        "OCRDET_MAX_INFLIGHT_DOCUMENTS": "1",
    }
    with ServerProcess(tmp_path_factory.mktemp("narrow"), **settings) as server:
        yield server
        assert server.stop() == 0


def results_of(response: httpx.Response) -> list[dict[str, Any]]:
    """The results of an answer."""
    assert response.status_code == 200, response.text
    results: list[dict[str, Any]] = response.json()["results"]
    return results


def workers_of(server: ServerProcess) -> list[int]:
    """The processes that render PDF files for a server, ended ones that nobody has buried among them."""
    listing = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True
    ).stdout
    pairs = [tuple(map(int, line.split())) for line in listing.splitlines()]
    return [pid for pid, parent in pairs if parent == server.process.pid]


def place(words: list[tuple[str, int, int, int]], result: dict[str, Any]) -> list[Box]:
    """Where the capitals of words are, in the pixels of a page's result."""
    image = result["detection"]["image"]
    scale = image["width"] / result["page_size_pt"][0]
    widths = {"HARBOUR": 5.1, "4096": 2.23, "Page three": 4.9}
    return [
        (left * scale, (top - 0.75 * size) * scale, (left + widths[text] * size) * scale, top * scale)
        for text, left, top, size in words
    ]


@pytest.mark.parametrize("dpi", [72, 150, 300])
def test_the_words_of_a_pdf_are_found_at_every_dpi(server: ServerProcess, dpi: int) -> None:
    """Page by page, in the pixels of each; an empty page says that it is empty."""
    results = results_of(server.client.post("/detect/pages", content=PDF, params={"dpi": dpi}))
    assert [(result["index"], result["page"], result["dpi"]) for result in results] == [
        (index, index + 1, dpi) for index in range(3)
    ]
    for words, result in zip(WORDS, results, strict=True):
        assert result["page_size_pt"] == list(A4)
        image = result["detection"]["image"]
        assert (image["width"], image["height"]) == (round(595 * dpi / 72), round(842 * dpi / 72))
        assert_found(result["detection"], place(words, result))
    assert "blank_image" in [warning["code"] for warning in results[1]["detection"]["warnings"]]


def test_a_page_gives_what_its_image_gives_alone(server: ServerProcess) -> None:
    """Bit for bit: every page of a TIFF, and those of a document of another format."""
    pages = [draw_strip(number, 400 + 100 * number, 300).image for number in range(4)]
    stream = io.BytesIO()
    pages[0].save(stream, "tiff", save_all=True, append_images=pages[1:], compression="tiff_lzw")
    response = server.client.post("/detect/pages", content=stream.getvalue())
    assert response.json()["document"] == {"format": "tiff", "pages": 4, "truncated": False}
    for page, result in zip(pages, results_of(response), strict=True):
        alone = io.BytesIO()
        page.save(alone, "tiff")
        assert result["detection"]["regions"] == json.loads(regions_of(server.detect(alone.getvalue())))
    one = draw_page().file("png")
    (result,) = results_of(server.client.post("/detect/pages", files={"file": one}))
    assert result["detection"]["regions"] == json.loads(regions_of(server.detect(one)))


def test_ndjson_streams_the_pages_in_their_order(server: ServerProcess) -> None:
    """A long document, of which the middle is asked for."""
    words = [[(str(1000 + page), 200, 300, 60)] for page in range(30)]
    with server.client.stream(
        "POST", "/detect/pages?pages=5-24&dpi=72", content=text_pdf(words), headers=NDJSON
    ) as response:
        assert response.headers["content-type"] == "application/x-ndjson"
        results = [json.loads(line) for line in response.iter_lines()]
    assert [result["page"] for result in results] == list(range(5, 25))
    assert [result["index"] for result in results] == list(range(20))
    assert all(len(result["detection"]["regions"]) == 1 for result in results)


def test_pictures_in_a_pdf_are_read_like_scans(server: ServerProcess) -> None:
    """As most PDF files are made."""
    page = draw_page()
    stream = io.BytesIO()
    page.image.save(stream, "pdf", resolution=150.0)
    (result,) = results_of(server.client.post("/detect/pages", content=stream.getvalue()))
    image = result["detection"]["image"]
    assert (image["width"], image["height"]) == page.image.size
    assert_found(result["detection"], page.boxes)


def test_hostile_pages_cost_only_themselves(narrow: ServerProcess) -> None:
    """One without an end, one that takes all memory, one that is too large."""
    for data, slug in ((endless_pdf(3, [1]), "page-not-rendered"), (hungry_pdf(3, [1]), "page-not-rendered")):
        results = results_of(narrow.client.post("/detect/pages", content=data, params={"dpi": 72}))
        assert [result["status"] for result in results] == [200, 422, 200]
        assert results[1]["problem"]["type"] == f"urn:ocrdet:problem:{slug}"
        assert all(len(results[page]["detection"]["regions"]) == 1 for page in (0, 2))
    large = text_pdf(WORDS, (1e6, 1e6))
    results = results_of(narrow.client.post("/detect/pages", content=large))
    assert {result["problem"]["type"] for result in results} == {"urn:ocrdet:problem:image-too-large"}
    results = results_of(narrow.client.post("/detect/pages", content=PDF, params={"dpi": 600}))
    fits = {result["problem"]["max_dpi"] for result in results}
    assert len(fits) == 1
    results = results_of(narrow.client.post("/detect/pages", content=PDF, params={"dpi": fits.pop()}))
    assert {result["status"] for result in results} == {200}
    assert wait_for(lambda: not workers_of(narrow), "every process to be gone")
    assert narrow.idle()


def test_a_document_as_a_whole_is_refused_as_one_problem(narrow: ServerProcess) -> None:
    """Too many pages or bytes, a part that is not there, no document at all, one that ends early."""
    many = text_pdf([[]] * 6)
    post = narrow.client.post
    problem = assert_problem(post("/detect/pages", content=many), 413, "image-too-large")
    assert (problem["pages"], problem["limit"]) == (6, 5)
    assert len(results_of(post("/detect/pages?pages=2-", content=many))) == 5
    assert_problem(post("/detect/pages?pages=7", content=many), 422, "invalid-parameter")
    assert_problem(post("/detect/pages", content=bytes(50_001)), 413, "body-too-large")
    assert_problem(post("/detect/pages", content=b"%PDF-1.4 and no more %%EOF"), 422, "corrupt-image")
    assert_problem(post("/detect/pages", content=PDF[:-30]), 422, "truncated-image")
    assert_problem(post("/detect/pages", content=b"no document"), 415, "unsupported-format")
    assert_problem(narrow.detect(PDF), 415, "unsupported-format")
    assert wait_for(narrow.idle, "the slots to be free")


def test_a_process_killed_in_the_middle_costs_one_page(narrow: ServerProcess) -> None:
    """As the kernel does when memory is short."""
    data = endless_pdf(2, [0])
    with narrow.client.stream("POST", "/detect/pages?dpi=72", content=data, headers=NDJSON) as response:
        (worker,) = wait_for(lambda: workers_of(narrow), "a process")
        # It may have answered what pages there are, and no more: the first has no end.
        os.kill(worker, signal.SIGKILL)
        results = [json.loads(line) for line in response.iter_lines()]
    assert [result["status"] for result in results] == [422, 200]
    assert wait_for(lambda: not workers_of(narrow), "every process to be gone")


def test_a_client_that_leaves_takes_the_process_along(narrow: ServerProcess) -> None:
    """And makes room: no other document could be opened meanwhile, though images were served."""
    with narrow.client.stream("POST", "/detect/pages", content=endless_pdf(), headers=NDJSON):
        wait_for(lambda: workers_of(narrow), "a process")
        refused = narrow.client.post("/detect/pages", content=PDF)
        assert_problem(refused, 429, "overloaded")
        assert int(refused.headers["retry-after"]) >= 1
        assert len(narrow.found(draw_page().file("png"))["regions"]) == 2
    assert wait_for(lambda: not workers_of(narrow), "the process to be gone")
    assert wait_for(narrow.idle, "the slot to be free")
    assert len(results_of(narrow.client.post("/detect/pages", content=PDF))) == 3


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGKILL])
def test_no_process_outlives_the_server(ending: signal.Signals, tmp_path: Path, small_model: Path) -> None:
    """Whether it ends in order, when the drain is over, or is killed in the middle of a page."""
    settings = {"OCRDET_MODEL": str(small_model), "OCRDET_DRAIN_TIMEOUT_SECONDS": "0.3"}
    with ServerProcess(tmp_path, **settings) as server, ThreadPoolExecutor(1) as asking:
        answer = asking.submit(server.client.post, "/detect/pages", content=endless_pdf())
        (worker,) = wait_for(lambda: workers_of(server), "a process")
        server.process.send_signal(ending)
        if ending == signal.SIGTERM:
            assert_problem(answer.result(), 503, "draining")
            assert server.ended(error="timeout graceful shutdown exceeded") == 0
        else:
            assert isinstance(answer.exception(), httpx.TransportError)
        assert wait_for(lambda: gone(worker), "the process to be gone")


def gone(pid: int) -> bool:
    """Whether a process has ended; one whose parent is gone may wait a while for whoever buries it."""
    state = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout
    return state.strip()[:1] in {"", "Z"}


def test_requests_are_counted_under_their_own_route(server: ServerProcess) -> None:
    """And each page as one image."""
    before = server.metric("ocrdet_requests_total", route="/detect/pages", status="200")
    images = server.metric("ocrdet_image_pixels_count")
    assert server.client.post("/detect/pages", content=PDF).status_code == 200
    assert server.metric("ocrdet_requests_total", route="/detect/pages", status="200") == before + 1
    assert server.metric("ocrdet_image_pixels_count") == images + 3


def test_nothing_is_written_while_documents_are_read(tmp_path: Path, small_model: Path) -> None:
    """Neither by the server nor by its processes: their folder for temporary files stays as it is."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    settings = {"OCRDET_MODEL": str(small_model), "TMPDIR": str(folder)}
    with ServerProcess(tmp_path, **settings) as server:
        before = list(folder.iterdir())
        picture = io.BytesIO()
        Image.new("RGB", (1500, 2000), "white").save(picture, "pdf", resolution=150.0)
        for data in (PDF, picture.getvalue()):
            results = results_of(server.client.post("/detect/pages", content=data))
            assert {result["status"] for result in results} == {200}
        assert list(folder.iterdir()) == before
        assert server.stop() == 0
