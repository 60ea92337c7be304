"""What probes, scrapers and operators see of a server at work."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families

from ocrdet import __version__
from tests.system.images import draw_page, save
from tests.system.server import wait_for

if TYPE_CHECKING:
    from tests.system.server import ServerProcess

PAGE = draw_page()
PNG = PAGE.file("png")
MODEL = "ppocrv6-det-small"
STAGES = ("decode", "queue", "preprocess", "inference", "postprocess")
# The names that HTTP clients, dashboards and alerts rely on.
METRICS = {
    "ocrdet_requests_total",
    "ocrdet_request_duration_seconds_bucket",
    "ocrdet_stage_duration_seconds_bucket",
    "ocrdet_queue_depth",
    "ocrdet_inflight_images",
    "ocrdet_saturation_ratio",
    "ocrdet_batch_size_bucket",
    "ocrdet_regions_per_image_bucket",
    "ocrdet_rejected_total",
    "ocrdet_cancelled_total",
    "ocrdet_image_pixels_bucket",
    "ocrdet_model_info",
    "ocrdet_memory_bytes",
    "ocrdet_engine_restarts_total",
    "process_start_time_seconds",
    "process_resident_memory_bytes",
    "process_open_fds",
}


def test_a_ready_server_says_so_in_three_ways(server: ServerProcess) -> None:
    """Alive, ready with every check by name, and healthy with the live model."""
    assert server.client.get("/livez").json() == {"status": "ok"}
    ready = server.client.get("/readyz")
    assert ready.status_code == 200
    assert {"model", "warm_up", "self_test", "device", "memory"} <= ready.json()["checks"].keys()
    assert set(ready.json()["checks"].values()) == {"ok"}
    healthy = server.client.get("/healthz").json()
    assert healthy.items() >= {"status": "ok", "model": MODEL, "provider": "CPUExecutionProvider"}.items()
    assert all(
        server.client.get(path).headers["cache-control"] == "no-store" for path in ("/livez", "/readyz")
    )


def test_info_names_versions_device_and_limits(server: ServerProcess) -> None:
    """What a report of a fault should begin with."""
    info = server.client.get("/info").json()
    assert info["ocrdet"] == __version__
    assert info["model"]["name"] == MODEL
    assert re.fullmatch("[0-9a-f]{64}", info["model"]["sha256"])
    assert info["limits"]["max_image_pixels"] == 50_000_000
    assert info["previous_model"] is None
    text = server.client.get("/info").text
    assert "CPUExecutionProvider" in text
    assert all(word in info for word in ("onnxruntime", "opencv", "threads"))


def test_every_documented_metric_is_there_from_the_start(server: ServerProcess) -> None:
    """In the text format that Prometheus reads."""
    response = server.client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=")
    names = {
        sample.name for family in text_string_to_metric_families(response.text) for sample in family.samples
    }
    assert sorted(METRICS - names) == []


def test_metrics_move_with_the_work(server: ServerProcess) -> None:
    """Requests, refusals, stages, sizes and regions are counted once each."""
    watched: list[tuple[str, dict[str, str]]] = [
        ("ocrdet_requests_total", {"route": "/detect", "status": "200"}),
        ("ocrdet_requests_total", {"route": "/detect", "status": "415"}),
        ("ocrdet_request_duration_seconds_count", {"route": "/detect"}),
        ("ocrdet_rejected_total", {"reason": "unsupported-format"}),
        ("ocrdet_regions_per_image_count", {}),
        ("ocrdet_regions_per_image_sum", {}),
        ("ocrdet_image_pixels_sum", {}),
        ("ocrdet_batch_size_sum", {}),
        ("ocrdet_stage_duration_seconds_count", {"stage": "inference"}),
    ]
    before = [server.metric(name, **labels) for name, labels in watched]
    assert server.detect(PNG).status_code == 200
    assert server.detect(b"no image at all").status_code == 415
    after = [server.metric(name, **labels) for name, labels in watched]
    steps = [b - a for a, b in zip(before, after, strict=True)]
    assert steps == [1, 1, 2, 1, 1, 2, PAGE.image.width * PAGE.image.height, 1, 1]
    assert server.metric("ocrdet_model_info", name=MODEL, provider="CPUExecutionProvider") == 1
    assert wait_for(server.idle, "the slot to be free")
    assert server.metric("ocrdet_saturation_ratio") == 0
    assert server.metric("ocrdet_engine_restarts_total") == 0


def test_a_sane_request_id_is_kept(server: ServerProcess) -> None:
    """In the header and in the body, of answers and of problems."""
    for data in (PNG, b"no image at all"):
        response = server.detect(data, headers={"X-Request-Id": "order-7/line.3"})
        assert response.headers["x-request-id"] == response.json()["request_id"] == "order-7/line.3"


@pytest.mark.parametrize("given", ["", "a b", "x" * 129, 'quote"', "\u00e9"])
def test_any_other_request_id_is_replaced(server: ServerProcess, given: str) -> None:
    """It goes into logs, so it is a token or nothing."""
    response = server.detect(PNG, headers={"X-Request-Id": given.encode("latin-1")})
    assert re.fullmatch("[0-9a-f]{32}", response.headers["x-request-id"])
    assert response.json()["request_id"] == response.headers["x-request-id"]


def test_an_answer_tells_its_model_and_its_time(server: ServerProcess) -> None:
    """In headers that browsers and proxies show."""
    response = server.detect(PNG)
    assert response.headers["x-model-version"] == f"{MODEL}/6.0"
    timing = dict(re.findall(r"(\w+);dur=([\d.]+)", response.headers["server-timing"]))
    assert list(timing) == [*STAGES, "total"]
    assert float(timing["inference"]) > 0
    told = response.json()["timings_ms"]
    assert list(told) == [*STAGES, "total"]
    assert sum(told[stage] for stage in STAGES) <= told["total"] + 1


def test_each_request_leaves_one_line_in_the_log(server: ServerProcess) -> None:
    """With what happened to it, how large it was, and where its time went."""
    trace = "0af7651916cd43dd8448eb211c80319c"
    headers = {"X-Request-Id": "logged-1", "traceparent": f"00-{trace}-b7ad6b7169203331-01"}
    assert server.detect(PNG, headers=headers).status_code == 200
    (line,) = server.log_of("logged-1")
    expected = {
        "level": "info",
        "message": "request",
        "method": "POST",
        "route": "/detect",
        "status": 200,
        "outcome": "ok",
        "trace_id": trace,
        "model": f"{MODEL}/6.0",
        "bytes": len(PNG),
        "width": PAGE.image.width,
        "height": PAGE.image.height,
        "format": "png",
        "regions": 2,
    }
    assert expected.items() <= line.items()
    assert list(line["stages_ms"]) == list(STAGES)
    assert line["total_ms"] >= line["stages_ms"]["inference"] > 0


def test_a_refusal_leaves_one_line_with_its_reason(server: ServerProcess) -> None:
    """An operator sees what clients do wrong."""
    truncated = save(draw_page().image, "jpeg")[:2000]
    assert server.detect(truncated, headers={"X-Request-Id": "logged-2"}).status_code == 422
    (line,) = server.log_of("logged-2")
    assert (line["status"], line["outcome"], line["bytes"]) == (422, "truncated-image", 2000)
