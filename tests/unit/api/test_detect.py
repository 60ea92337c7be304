"""POST /detect."""

from __future__ import annotations

import base64
import gc
import threading
import tracemalloc
from typing import TYPE_CHECKING

import httpx
import pytest

from ocrdet.api.detect import preferred_format
from ocrdet.errors import (
    CorruptImage,
    DeviceLost,
    InferenceFailed,
    QueueFull,
    TruncatedImage,
    UnsupportedFormat,
)
from tests.fakes import IMAGE, PATIENCE_S, FakeDetector, client_of, make_app, make_detection, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ocrdet.engine.ticket import Ticket
    from tests.fakes import Client


@pytest.fixture
def detector() -> FakeDetector:
    """One that finds two regions."""
    return FakeDetector()


@pytest.fixture
def client(detector: FakeDetector) -> Iterator[Client]:
    """A client of the application around it, with a body limit of 4 KiB."""
    with client_of(make_app(detector, max_body_bytes=4096)) as client:
        yield client


def slug_of(response: object) -> str:
    """The last part of a problem's type."""
    return str(response.json()["type"]).rpartition(":")[2]  # type: ignore[attr-defined]


def test_the_three_ways_in_give_the_same_answer(client: Client, detector: FakeDetector) -> None:
    """Raw body, form and JSON carry the same bytes to the detector."""
    answers = [
        client.post("/detect", content=IMAGE, headers={"content-type": "image/jpeg"}),
        client.post("/detect", files={"file": ("a.png", IMAGE)}),
        client.post("/detect", files={"image": ("a.png", IMAGE)}),
        client.post("/detect", json={"image": base64.b64encode(IMAGE).decode()}),
    ]
    assert [answer.status_code for answer in answers] == [200] * 4
    assert detector.seen == [IMAGE] * 4
    assert all(answer.json()["regions"] == answers[0].json()["regions"] for answer in answers)


def test_options_in_the_body_win_over_the_query(client: Client, detector: FakeDetector) -> None:
    """Each way in can carry options."""
    client.post("/detect?max_regions=5&fit=stretch", content=IMAGE)
    client.post("/detect?max_regions=5", files={"file": IMAGE}, data={"max_regions": "6", "polygons": "true"})
    client.post("/detect?max_regions=5", json={"image": base64.b64encode(IMAGE).decode(), "max_regions": 7})
    assert [options.max_regions for options in detector.options] == [5, 6, 7]
    assert detector.options[0].fit == "stretch"
    assert detector.options[1].polygons


def test_wrong_options_are_refused_before_the_body_is_looked_at(
    client: Client, detector: FakeDetector
) -> None:
    """The query is known first."""
    for query in ("fit=crop", "unknown=1", "fit=auto&fit=tile", "score_threshold=2"):
        response = client.post(f"/detect?{query}", content=IMAGE)
        assert (response.status_code, slug_of(response)) == (422, "invalid-parameter")
    assert detector.seen == []


@pytest.mark.parametrize("options", [{"fit": "crop"}, {"unknown": "1"}])
def test_wrong_options_in_the_body_are_refused(client: Client, options: dict[str, str]) -> None:
    """With the same problem."""
    responses = [
        client.post("/detect", files={"file": IMAGE}, data=options),
        client.post("/detect", json={"image": "QQ==", **options}),
    ]
    for response in responses:
        assert (response.status_code, slug_of(response)) == (422, "invalid-parameter")


def test_output_webui_is_the_older_json(client: Client) -> None:
    """With the client's own file name."""
    answer = client.post("/detect?output=webui", files={"file": ("a.png", IMAGE)}).json()
    assert answer["image_path"] == "a.png"
    assert len(answer["boxes"]) == len(answer["texts"]) == len(answer["scores"]) == 2


@pytest.mark.parametrize(
    ("accept", "magic"), [("image/png", b"\x89PNG"), ("image/jpeg", b"\xff\xd8"), ("*/*", b"\x89PNG")]
)
def test_output_image_is_a_picture(client: Client, accept: str, magic: bytes) -> None:
    """PNG or JPEG as the client asks."""
    response = client.post("/detect?output=image", content=IMAGE, headers={"accept": accept})
    assert response.status_code == 200
    assert response.content.startswith(magic)
    assert response.headers["content-type"] == ("image/jpeg" if accept == "image/jpeg" else "image/png")


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("", "png"),
        ("*/*", "png"),
        ("image/*", "png"),
        ("image/jpeg", "jpeg"),
        ("image/png, image/jpeg", "png"),
    ],
)
def test_png_is_preferred_unless_only_jpeg_is_asked_for(accept: str, wanted: str) -> None:
    """PNG loses nothing."""
    assert preferred_format(accept) == wanted


@pytest.mark.parametrize(
    ("error", "status", "slug"),
    [
        (CorruptImage("The PNG's chunks contradict each other."), 422, "corrupt-image"),
        (TruncatedImage("The image ends early."), 422, "truncated-image"),
        (UnsupportedFormat("Not an image.", supported=["jpeg", "png"]), 415, "unsupported-format"),
        (QueueFull("All pixels are taken.", retry_after_s=3), 429, "overloaded"),
        (InferenceFailed("output of /secret/model.onnx is NaN"), 500, "internal"),
        (DeviceLost("CUDA error 700 in tensor_x"), 500, "internal"),
        (ZeroDivisionError("division by zero in /secret/path.py"), 500, "internal"),
    ],
)
def test_every_failure_of_the_detector_is_a_problem(
    client: Client, detector: FakeDetector, error: Exception, status: int, slug: str
) -> None:
    """Told apart where the client can do something, and silent about the inside."""
    detector.failures[IMAGE] = error
    response = client.post("/detect", content=IMAGE)
    assert (response.status_code, slug_of(response)) == (status, slug)
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["request_id"] == response.headers["x-request-id"]
    assert "secret" not in response.text
    assert "tensor_x" not in response.text
    assert detector.gate.inflight_images == 0


def test_facts_of_an_error_stand_beside_its_sentence(client: Client, detector: FakeDetector) -> None:
    """Programs need not read prose."""
    detector.failures[IMAGE] = QueueFull("Full.", retry_after_s=3, limit=8)
    response = client.post("/detect", content=IMAGE)
    assert response.headers["retry-after"] == "3"
    assert response.json()["limit"] == 8
    assert response.json()["retryable"] is True


def test_an_empty_body_is_a_missing_image(client: Client) -> None:
    """Never a 500, and never an empty answer."""
    response = client.post("/detect")
    assert (response.status_code, slug_of(response)) == (400, "missing-image")


def test_a_body_above_the_limit_is_refused_with_the_limit(client: Client, detector: FakeDetector) -> None:
    """Declared or found while reading."""

    async def pieces() -> object:
        for _ in range(5):
            yield b"x" * 1000

    for content in (b"x" * 5000, pieces()):
        response = client.post("/detect", content=content)
        assert (response.status_code, slug_of(response)) == (413, "body-too-large")
        assert response.json()["limit_bytes"] == 4096
        assert "4096" in response.json()["detail"]
    assert detector.gate.inflight_images == 0
    assert detector.seen == []


def test_a_full_gate_refuses_before_the_body_is_read(client: Client, detector: FakeDetector) -> None:
    """With the time after which to come back."""
    slots = [detector.gate.admit(size_bytes=1) for _ in range(8)]
    response = client.post("/detect", content=IMAGE)
    assert (response.status_code, slug_of(response)) == (429, "overloaded")
    assert int(response.headers["retry-after"]) >= 1
    assert detector.seen == []
    slots.pop().release()
    assert client.post("/detect", content=IMAGE).status_code == 200


@pytest.mark.parametrize("value", ["0", "-5", "1.5", "soon", "1" * 40])
def test_a_wrong_timeout_header_is_an_invalid_parameter(client: Client, value: str) -> None:
    """Rather than no deadline at all."""
    response = client.post("/detect", content=IMAGE, headers={"x-request-timeout-ms": value})
    assert (response.status_code, slug_of(response)) == (422, "invalid-parameter")


def test_an_answer_at_the_deadline_leaves_the_slot_until_the_work_has_ended(
    client: Client, detector: FakeDetector
) -> None:
    """The client hears in time; the memory is still in use, and is counted so."""
    detector.hold.clear()
    response = client.post("/detect", content=IMAGE, headers={"x-request-timeout-ms": "50"})
    assert (response.status_code, slug_of(response)) == (504, "deadline-exceeded")
    assert detector.gate.inflight_images == 1
    detector.hold.set()
    assert detector.gate.wait_idle(10)
    metrics = client.get("/metrics").text
    assert 'ocrdet_cancelled_total{stage="postprocess"} 1.0' in metrics


def test_work_that_no_thread_has_begun_is_dropped_at_the_deadline(
    client: Client, detector: FakeDetector
) -> None:
    """What waits in the queue holds neither slot nor bytes after that."""
    detector.hold.clear()
    for _ in range(3):
        client.post("/detect", content=IMAGE, headers={"x-request-timeout-ms": "30"})
    assert detector.gate.inflight_images == 2
    assert 'ocrdet_cancelled_total{stage="queue"} 1.0' in client.get("/metrics").text
    detector.hold.set()
    assert detector.gate.wait_idle(10)
    assert len(detector.seen) == 2


def test_keys_guard_the_work_but_not_the_probes(tmp_path: Path) -> None:
    """Probes and scrapers carry no secrets."""
    keys = tmp_path / "keys"
    keys.write_text("s3cret\n")
    with client_of(make_app(FakeDetector(), api_keys_file=str(keys))) as client:
        for path in ("/detect", "/detect/batch"):
            response = client.post(path, content=IMAGE)
            assert (response.status_code, slug_of(response)) == (401, "unauthorized")
            assert response.headers["www-authenticate"].startswith("Bearer")
        for path in ("/info", "/models"):
            assert client.get(path).status_code == 401
        for path in ("/livez", "/readyz", "/healthz", "/metrics"):
            assert client.get(path).status_code == 200
        response = client.post("/detect", content=IMAGE, headers={"authorization": "Bearer s3cret"})
        assert response.status_code == 200


def test_timings_and_warnings_of_the_detection_are_in_the_answer() -> None:
    """The total is the request's own, from its first byte."""
    with client_of(make_app(FakeDetector(detection=make_detection(0)))) as client:
        answer = client.post("/detect", content=IMAGE).json()
    assert answer["warnings"][0]["code"] == "no_text_found"
    assert answer["timings_ms"]["inference"] == 4.0
    assert 0 < answer["timings_ms"]["total"] != 15.0


@pytest.mark.parametrize("late", [False, True])
def test_a_body_that_failed_is_not_kept_in_memory(detector: FakeDetector, *, late: bool) -> None:
    """Not even until the garbage collector comes by, and not if nobody waited for the failure any more."""
    body, go_on = bytes(2 << 20), threading.Event()

    def decode(_: bytes) -> None:
        error = ValueError("torn")
        raise error

    def detect(data: bytes, *_: object, ticket: Ticket, **__: object) -> None:
        assert not late or go_on.wait(PATIENCE_S)
        ticket.check("postprocess")
        try:
            decode(data)
        except ValueError as error:
            raise CorruptImage("torn") from error

    detector.detect = detect  # type: ignore[method-assign, assignment]
    gc.disable()
    try:
        with running(make_app(detector)) as live:
            url, headers = f"{live.url}/detect", {"x-request-timeout-ms": "300"}
            tracemalloc.start()
            response = httpx.post(url, content=body, headers=headers, timeout=PATIENCE_S)
            go_on.set()
            assert detector.gate.wait_idle(PATIENCE_S)
        # Measured when the server has ended, and no thread is on its way out of anything.
        held_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        gc.enable()
    assert response.status_code == (504 if late else 422)
    assert held_bytes < len(body)
