"""What surrounds every request."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest

from ocrdet.telemetry.logs import FACTS
from tests.fakes import IMAGE, FakeDetector, client_of, make_app

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fakes import Client


@pytest.fixture
def detector() -> FakeDetector:
    """One that finds two regions."""
    return FakeDetector()


@pytest.fixture
def client(detector: FakeDetector) -> Iterator[Client]:
    """A client of the application around it."""
    with client_of(make_app(detector)) as client:
        yield client


def request_lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """The facts of each request's line."""
    return [getattr(record, FACTS) for record in caplog.records if record.getMessage() == "request"]


def test_a_sane_request_id_is_kept_and_returned(client: Client) -> None:
    """So that the caller's own log can be joined."""
    response = client.post("/detect", content=IMAGE, headers={"x-request-id": "abc-123"})
    assert response.headers["x-request-id"] == response.json()["request_id"] == "abc-123"


@pytest.mark.parametrize("given", ["", "a b", "x" * 129, "<script>", 'a"b'])
def test_any_other_request_id_is_replaced(client: Client, given: str) -> None:
    """It ends in logs and headers, so it must be harmless."""
    response = client.get("/livez", headers={"x-request-id": given})
    assert response.headers["x-request-id"] != given
    assert len(response.headers["x-request-id"]) == 32


def test_every_answer_carries_time_and_model(client: Client) -> None:
    """Problems included."""
    for response in (client.post("/detect", content=IMAGE), client.get("/nowhere"), client.get("/readyz")):
        assert "total;dur=" in response.headers["server-timing"]
        assert response.headers["x-model-version"] == "fake/1.0"
    assert "inference;dur=4.00" in client.post("/detect", content=IMAGE).headers["server-timing"]


def test_one_line_tells_all_about_a_request(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    """Who, what, how long, how large, how many."""
    caplog.set_level(logging.INFO)
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    client.post(
        "/detect",
        content=IMAGE,
        headers={"x-request-id": "me", "traceparent": f"00-{trace}-00f067aa0ba902b7-01"},
    )
    (line,) = request_lines(caplog)
    assert line["request_id"] == "me"
    assert (line["method"], line["route"], line["status"], line["outcome"]) == ("POST", "/detect", 200, "ok")
    assert line["trace_id"] == trace
    assert line["client"] == "127.0.0.1"
    assert line["model"] == "fake/1.0"
    assert (line["width"], line["height"], line["format"], line["regions"]) == (640, 480, "png", 2)
    assert line["bytes"] == len(IMAGE)
    assert line["stages_ms"]["inference"] == 4.0
    assert line["total_ms"] > 0


def test_a_problem_is_logged_under_its_name(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    """Outcomes can be counted from the log alone."""
    caplog.set_level(logging.INFO)
    client.post("/detect?fit=crop", content=IMAGE)
    client.get("/secret/../path")
    refused, lost = request_lines(caplog)
    assert (refused["outcome"], refused["status"]) == ("invalid-parameter", 422)
    assert (lost["outcome"], lost["route"]) == ("not-found", "other")


def test_probes_that_succeed_are_quiet(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    """They come every few seconds."""
    caplog.set_level(logging.INFO)
    for path in ("/livez", "/readyz", "/healthz", "/metrics"):
        client.get(path)
    assert request_lines(caplog) == []


def test_a_bug_is_logged_with_its_request_and_told_to_nobody(
    client: Client, detector: FakeDetector, caplog: pytest.LogCaptureFixture
) -> None:
    """The traceback is for the operator, under the id that the client got."""
    detector.failures[IMAGE] = KeyError("internal_name")
    response = client.post("/detect", content=IMAGE)
    assert response.status_code == 500
    assert "internal_name" not in response.text
    (record,) = [record for record in caplog.records if record.exc_info]
    assert getattr(record, FACTS)["request_id"] == response.headers["x-request-id"]
    assert request_lines(caplog)[-1]["outcome"] == "internal"


def test_requests_are_counted_by_template_and_status(client: Client) -> None:
    """A path that a client makes up is never a label."""
    client.post("/detect", content=IMAGE)
    client.get("/detect")
    client.get("/made/up/by/client")
    text = client.get("/metrics").text
    assert 'ocrdet_requests_total{route="/detect",status="200"} 1.0' in text
    assert 'ocrdet_requests_total{route="/detect",status="405"} 1.0' in text
    assert 'ocrdet_requests_total{route="other",status="404"} 1.0' in text
    assert "made" not in text


def test_a_wrong_method_is_told_the_right_ones(client: Client) -> None:
    """HEAD is answered wherever GET is."""
    for method, path, allowed in (
        ("OPTIONS", "/detect", "POST"),
        ("HEAD", "/detect", "POST"),
        ("OPTIONS", "/livez", "GET, HEAD"),
    ):
        response = client.request(method, path)
        assert (response.status_code, response.headers["allow"]) == (405, allowed)


def test_refusals_are_counted_by_reason(client: Client, detector: FakeDetector) -> None:
    """Under the problem's own name."""
    slots = [detector.gate.admit(size_bytes=1) for _ in range(8)]
    client.post("/detect", content=IMAGE)
    assert 'ocrdet_rejected_total{reason="overloaded"} 1.0' in client.get("/metrics").text
    assert len(slots) == 8


def test_the_gate_is_seen_in_the_metrics(client: Client, detector: FakeDetector) -> None:
    """Read at the scrape itself."""
    slot = detector.gate.admit(size_bytes=1)
    text = client.get("/metrics").text
    assert "ocrdet_inflight_images 1.0" in text
    assert "ocrdet_saturation_ratio 0.125" in text
    slot.release()
    assert 'ocrdet_model_info{name="fake"' in client.get("/metrics").text
