"""Names and labels of metrics are a contract with dashboards and alerts."""

from __future__ import annotations

from pathlib import Path

import pytest

from ocrdet.api.problems import KINDS, SLUGS
from ocrdet.api.routes import ROUTES
from ocrdet.telemetry.metrics import STATUSES, Metrics
from tests.fakes import IMAGE, FakeDetector, client_of, make_app

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"
CONTRACT = {
    "ocrdet_requests_total": {"route", "status"},
    "ocrdet_request_duration_seconds": {"route"},
    "ocrdet_stage_duration_seconds": {"stage"},
    "ocrdet_queue_depth": set(),
    "ocrdet_inflight_images": set(),
    "ocrdet_saturation_ratio": set(),
    "ocrdet_batch_size": set(),
    "ocrdet_regions_per_image": set(),
    "ocrdet_rejected_total": {"reason"},
    "ocrdet_cancelled_total": {"stage"},
    "ocrdet_image_pixels": set(),
    "ocrdet_model_info": {"name", "version", "sha256", "provider"},
    "ocrdet_memory_bytes": {"kind"},
    "ocrdet_engine_restarts_total": set(),
}


def served_metrics() -> dict[str, set[str]]:
    """Label names by metric, as a started service serves them."""
    app = make_app(FakeDetector())
    with client_of(app) as client:
        assert client.get("/metrics").headers["content-type"].startswith("text/plain; version=0.0.4")
        registry = app.state.service.metrics.registry
        found = {}
        for metric in registry.collect():
            if metric.name.startswith("ocrdet_"):
                name = metric.name + ("_total" if metric.type == "counter" else "")
                found[name] = {label for sample in metric.samples for label in sample.labels} - {"le"}
    return found


def test_the_service_serves_exactly_the_metrics_of_the_contract() -> None:
    """No name or label changes unnoticed."""
    assert served_metrics() == CONTRACT


@pytest.mark.parametrize("name", CONTRACT)
def test_every_metric_is_documented(name: str) -> None:
    """With a line of its own."""
    assert f"| `{name}` |" in PAGE.read_text(encoding="utf-8")


def test_every_status_of_a_problem_has_a_label() -> None:
    """None of them is lost under `other`."""
    assert {kind.status for kind in KINDS.values()} <= set(STATUSES)


def test_requests_of_every_kind_add_no_series() -> None:
    """Memory of the scraper is bounded whatever clients send."""

    def series(text: str) -> set[str]:
        return {
            line.rpartition(" ")[0]
            for line in text.splitlines()
            if line.startswith("ocrdet_") and "_bucket" not in line
        }

    with client_of(make_app(FakeDetector())) as client:
        before = series(client.get("/metrics").text)
        client.post("/detect", content=IMAGE)
        client.post("/detect?x=1", content=IMAGE)
        client.post("/detect/batch", json={"images": ["QQ==", "%"]})
        client.request("BREW", "/coffee")
        client.get("/detect/%2e%2e/x")
        assert series(client.get("/metrics").text) == before


def test_routes_and_reasons_are_known_from_the_start() -> None:
    """The service hands its own sets to the metrics."""
    text = Metrics(routes=[route.path for route in ROUTES], reasons=SLUGS).render().decode()
    for route in ROUTES:
        assert f'ocrdet_requests_total{{route="{route.path}",status="200"}} 0.0' in text
    assert 'ocrdet_rejected_total{reason="overloaded"} 0.0' in text
