"""POST /detect/pages, with a detector and a renderer that only pretend."""

from __future__ import annotations

import base64
import io
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from PIL import Image

from ocrdet.engine.pages import PdfDocuments
from ocrdet.engine.pages_process import PagesProcess
from ocrdet.errors import CorruptImage, InferenceFailed
from ocrdet.vision.tiff_pages import TiffPages
from tests.fakes import PATIENCE_S, FakeDetector, client_of, make_app, running
from tests.unit.api.test_batch import slugs
from tests.unit.engine.page_workers import HONEST, PATIENT, WORKER, failing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fastapi import FastAPI

    from tests.fakes import Client

NDJSON = {"accept": "application/x-ndjson"}
END = b"\n#%%EOF\n"


@pytest.fixture
def detector() -> FakeDetector:
    """One that finds two regions, with two workers."""
    return FakeDetector()


@pytest.fixture
def client(detector: FakeDetector) -> Iterator[Client]:
    """A client of the application around it."""
    with client_of(app_of(detector)) as client:
        yield client


def app_of(detector: FakeDetector, **settings: object) -> FastAPI:
    """An application whose PDF files are scripts for the worker that stands in for the real one."""
    app = make_app(detector, **settings)
    service = app.state.service
    start = partial(PagesProcess, worker=("-c", WORKER))
    service.documents = PdfDocuments(service.limits.max_inflight_documents, PATIENT, start)
    return app


def pdf(script: str = HONEST) -> bytes:
    """A PDF of three pages of 300 x 200 points."""
    return b"#%PDF-1.7\n" + script.encode() + END


def tiff(pages: int) -> bytes:
    """A TIFF whose pages have different widths."""
    images = [Image.new("L", (10 + page, 20)) for page in range(pages)]
    stream = io.BytesIO()
    images[0].save(stream, "tiff", save_all=True, append_images=images[1:])
    return stream.getvalue()


def all_given_back(app: FastAPI, detector: FakeDetector) -> bool:
    """Whether nothing is admitted and no PDF is open, at once or soon."""
    documents = app.state.service.documents
    return detector.gate.wait_idle(PATIENCE_S) and documents._gate.wait_idle(PATIENCE_S)


def test_every_page_of_a_pdf_has_its_result_in_order(client: Client, detector: FakeDetector) -> None:
    """With its number, its size in points, and the dpi it was rendered at."""
    answer = client.post("/detect/pages", content=pdf()).json()
    assert answer["document"] == {"format": "pdf", "pages": 3, "truncated": False}
    assert [(result["index"], result["name"], result["page"]) for result in answer["results"]] == [
        (0, "page 1", 1),
        (1, "page 2", 2),
        (2, "page 3", 3),
    ]
    for result in answer["results"]:
        assert (result["status"], result["dpi"], result["page_size_pt"]) == (200, 150, [300.0, 200.0])
        image = result["detection"]["image"]
        assert (image["format"], image["width"], image["height"]) == ("pdf", 625, 417)
        assert len(result["detection"]["regions"]) == 2
    assert sorted(detector.seen) == [b"625x417 %d" % page for page in range(3)]
    assert detector.gate.inflight_images == 0


def test_a_pdf_comes_in_every_way_in_which_an_image_does(client: Client, detector: FakeDetector) -> None:
    """With its options where each has them."""
    text = base64.b64encode(pdf()).decode()
    requests: list[tuple[str, dict[str, Any]]] = [
        ("?pages=2&dpi=72&max_regions=5", {"content": pdf()}),
        ("", {"files": {"file": pdf()}, "data": {"pages": "2", "dpi": "72", "max_regions": "5"}}),
        ("", {"json": {"image": text, "pages": "2", "dpi": 72, "max_regions": 5}}),
    ]
    for query, request in requests:
        answer = client.post(f"/detect/pages{query}", **request).json()
        assert [result["page"] for result in answer["results"]] == [2]
        assert (detector.seen.pop(), detector.options.pop().max_regions) == (b"300x200 1", 5)


def test_every_page_of_a_tiff_is_an_image(client: Client, detector: FakeDetector) -> None:
    """It has neither points nor dpi; of one page, or of another format, the file is the page."""
    data = tiff(3)
    answer = client.post("/detect/pages?pages=1,3", content=data).json()
    assert answer["document"] == {"format": "tiff", "pages": 3, "truncated": False}
    assert [result["page"] for result in answer["results"]] == [1, 3]
    assert all("dpi" not in result for result in answer["results"])
    assert sorted(Image.open(io.BytesIO(seen)).width for seen in detector.seen) == [10, 12]
    alone = tiff(1)
    answer = client.post("/detect/pages", content=alone).json()
    assert answer["document"]["pages"] == 1
    assert detector.seen[-1] == alone


@pytest.mark.parametrize("query", ["", "?allow_truncated=true"])
def test_a_document_that_ends_early_is_read_only_where_that_is_wanted(client: Client, query: str) -> None:
    """A PDF without its last line, a TIFF without its last page."""
    whole = tiff(3)
    third, _ = TiffPages.find(whole).directories[2]
    for data, pages in ((pdf().removesuffix(END), 3), (whole[:third], 2)):
        answer = client.post(f"/detect/pages{query}", content=data)
        if query:
            assert answer.json()["document"]["truncated"] is True
            assert len(answer.json()["results"]) == pages
        else:
            assert (answer.status_code, answer.json()["type"]) == (422, "urn:ocrdet:problem:truncated-image")


def test_one_bad_page_never_fails_another(detector: FakeDetector) -> None:
    """The renderer dies on it, the detector fails on it, or it is too large."""
    detector.failures = {b"625x417 2": InferenceFailed("NaN in /secret")}
    app = app_of(detector)
    with client_of(app) as client:
        data = pdf(failing(1, "os._exit(1)"))
        results = client.post("/detect/pages", content=data).json()["results"]
        assert slugs(results) == ["ok", "page-not-rendered", "internal"]
        assert results[1]["page_size_pt"] == [300.0, 200.0]
        assert "secret" not in json.dumps(results)
        size = "write({'size': [300.0 * 10 ** request['size'], 200.0]})"
        data = pdf(f"if 'size' in request:\n    {size}\nelse:\n" + HONEST.replace("\n", "\n    "))
        results = client.post("/detect/pages?dpi=600", content=data).json()["results"]
        assert slugs(results) == ["ok", "ok", "image-too-large"]
        assert results[2]["problem"]["max_dpi"] == 157
        assert all_given_back(app, detector)


@pytest.mark.parametrize(
    ("path", "data", "status", "slug"),
    [
        ("", b"no document", 415, "unsupported-format"),
        ("", b"", 400, "missing-image"),
        ("?dpi=9", pdf(), 422, "invalid-parameter"),
        ("?pages=4", pdf(), 422, "invalid-parameter"),
        ("?output=image", pdf(), 422, "invalid-parameter"),
        ("?page=1", pdf(), 422, "invalid-parameter"),
    ],
)
def test_a_document_as_a_whole_is_refused(
    detector: FakeDetector, path: str, data: bytes, status: int, slug: str
) -> None:
    """As one problem, before any page of it; nothing is held after it."""
    app = app_of(detector)
    with client_of(app) as client:
        for headers in ({}, NDJSON):
            response = client.post(f"/detect/pages{path}", content=data, headers=headers)
            assert (response.status_code, response.json()["type"]) == (status, f"urn:ocrdet:problem:{slug}")
        assert all_given_back(app, detector)
    assert detector.seen == []


def test_more_pages_than_the_limit_are_refused_unless_fewer_are_chosen(detector: FakeDetector) -> None:
    """Those that are chosen count, not those that there are."""
    app = app_of(detector, max_pages=2)
    with client_of(app) as client:
        for data in (pdf(), tiff(3)):
            refused = client.post("/detect/pages", content=data)
            assert (refused.status_code, refused.json()["limit"]) == (413, 2)
            chosen = client.post("/detect/pages?pages=2-", content=data).json()["results"]
            assert slugs(chosen) == ["ok", "ok"]
        assert all_given_back(app, detector)


def test_without_the_renderer_a_pdf_is_no_supported_format(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sentence names the extra; a TIFF is read all the same."""
    monkeypatch.setattr("ocrdet.api.pages.can_render", lambda: False)
    response = client.post("/detect/pages", content=pdf())
    assert (response.status_code, response.json()["type"]) == (415, "urn:ocrdet:problem:unsupported-format")
    assert "ocrdet[pdf]" in response.json()["detail"]
    assert client.post("/detect/pages", content=tiff(2)).status_code == 200


def test_ndjson_lines_come_in_page_order_while_others_are_worked_on(detector: FakeDetector) -> None:
    """A page that is done sooner waits for those before it; the first does not wait for the last."""
    second = threading.Event()
    original = detector.detect_decoded

    def detect_decoded(decoded: Any, *args: Any, **options: Any) -> Any:  # noqa: ANN401 - as the original
        if decoded.pixels[0, 0, 0] == 1:
            assert second.wait(PATIENCE_S)
        return original(decoded, *args, **options)

    detector.detect_decoded = detect_decoded  # type: ignore[method-assign]
    with (
        running(app_of(detector)) as live,
        httpx.Client(timeout=PATIENCE_S) as http,
        http.stream("POST", f"{live.url}/detect/pages", content=pdf(), headers=NDJSON) as response,
    ):
        assert response.headers["content-type"] == "application/x-ndjson"
        lines = response.iter_lines()
        assert json.loads(next(lines))["page"] == 1
        second.set()
        assert [json.loads(line)["page"] for line in lines] == [2, 3]


def test_a_page_is_rendered_while_the_one_before_is_detected(tmp_path: Path) -> None:
    """No further ahead than there are workers and one."""
    detector = FakeDetector(workers=1)
    detector.hold.clear()
    seen = tmp_path / "rendered"
    tell = f"open({str(seen)!r}, 'a').write('x')"
    data = pdf(f"if 'render' in request: {tell}\n{HONEST}")
    with running(app_of(detector)) as live, ThreadPoolExecutor(1) as asking:
        answer = asking.submit(httpx.post, f"{live.url}/detect/pages", content=data, timeout=PATIENCE_S)
        assert detector.started.wait(PATIENCE_S)
        while not seen.exists() or len(seen.read_text()) < 2:
            time.sleep(0.01)
        assert detector.seen == [b"625x417 0"]
        assert detector.gate.inflight_images == 2
        detector.hold.set()
    assert slugs(answer.result().json()["results"]) == ["ok"] * 3


def test_pages_whose_pixels_do_not_fit_together_wait_for_each_other() -> None:
    """An idle server refuses no page because of the others."""
    detector = FakeDetector(max_pixels=625 * 417 + 1)
    with client_of(app_of(detector)) as client:
        results = client.post("/detect/pages", content=pdf()).json()["results"]
    assert slugs(results) == ["ok"] * 3
    assert (detector.most_running, detector.gate._pixels) == (1, 0)


def test_pages_not_done_by_the_deadline_say_so_one_by_one(detector: FakeDetector) -> None:
    """What was done in time is not lost, and the process does not outlive the answer."""
    app = app_of(detector)
    with client_of(app) as client:
        data = pdf(failing(1, "time.sleep(60)"))
        answer = client.post("/detect/pages", content=data, headers={"x-request-timeout-ms": "1500"})
        assert slugs(answer.json()["results"]) == ["ok", "deadline-exceeded", "deadline-exceeded"]
        assert all_given_back(app, detector)


def test_one_document_more_than_may_be_open_is_refused(detector: FakeDetector) -> None:
    """At once; a TIFF needs no process, and is read."""
    app = app_of(detector, max_inflight_documents=1)
    with client_of(app) as client:
        other = app.state.service.documents.open(b"")
        refused = client.post("/detect/pages", content=pdf())
        assert (refused.status_code, refused.json()["type"]) == (429, "urn:ocrdet:problem:overloaded")
        assert int(refused.headers["retry-after"]) >= 1
        assert client.post("/detect/pages", content=tiff(2)).status_code == 200
        other.close()
        other.thread.shutdown(wait=True)
        assert client.post("/detect/pages", content=pdf()).status_code == 200
        assert all_given_back(app, detector)


@pytest.mark.parametrize("headers", [{}, NDJSON])
@pytest.mark.parametrize("worker", [WORKER, WORKER.replace("document = read()", "time.sleep(60)")])
def test_a_client_that_leaves_takes_the_process_along(
    detector: FakeDetector, headers: dict[str, str], worker: str
) -> None:
    """In the middle of a page, or before the first one."""
    app = app_of(detector)
    app.state.service.documents._start = partial(PagesProcess, worker=("-c", worker))
    data = pdf(failing(0, "time.sleep(60)"))
    with running(app) as live:
        with httpx.Client() as http, pytest.raises(httpx.ReadTimeout):
            http.post(f"{live.url}/detect/pages", content=data, headers=headers, timeout=0.7)
        assert all_given_back(app, detector)
    assert detector.seen == []


def test_a_failed_image_is_told_as_its_page(client: Client, detector: FakeDetector) -> None:
    """A single image has one page, with its problem."""
    data = tiff(1)
    detector.failures = {data: CorruptImage("Not a TIFF.")}
    response = client.post("/detect/pages", content=data)
    assert (response.status_code, slugs(response.json()["results"])) == (200, ["corrupt-image"])
