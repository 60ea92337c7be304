"""The metrics themselves."""

from __future__ import annotations

import pytest

from ocrdet.telemetry.metrics import CANCEL_STAGES, STAGES, Metrics


def lines_of(metrics: Metrics) -> set[str]:
    """The lines of one scrape."""
    return set(metrics.render().decode().splitlines())


def test_every_label_value_exists_before_anything_happened() -> None:
    """A rate over a counter that appears with its first event would miss that event."""
    lines = lines_of(Metrics(routes=["/detect"], reasons=["overloaded"]))
    assert 'ocrdet_requests_total{route="/detect",status="429"} 0.0' in lines
    assert 'ocrdet_rejected_total{reason="overloaded"} 0.0' in lines
    for stage in STAGES:
        assert f'ocrdet_stage_duration_seconds_count{{stage="{stage}"}} 0.0' in lines
    for cancelled in CANCEL_STAGES:
        assert f'ocrdet_cancelled_total{{stage="{cancelled}"}} 0.0' in lines


def test_unknown_routes_and_statuses_add_no_series() -> None:
    """Labels stay bounded whatever clients ask for."""
    metrics = Metrics(routes=["/detect"])
    before = len(lines_of(metrics))
    metrics.count_request("/detect/../../etc", 404, 0.1)
    metrics.count_request("/detect", 418, 0.1)
    metrics.count_rejected("never heard of")
    assert len(lines_of(metrics)) == before
    assert 'ocrdet_requests_total{route="other",status="404"} 1.0' in lines_of(metrics)
    assert 'ocrdet_requests_total{route="/detect",status="other"} 1.0' in lines_of(metrics)


def test_observations_arrive_in_their_histograms() -> None:
    """Each method feeds the metric of its name."""
    metrics = Metrics()
    metrics.observe_stage("decode", 0.02)
    metrics.observe_image(1_000_000, 7)
    metrics.observe_batch_size(4)
    metrics.count_cancelled("queue")
    metrics.count_engine_restart()
    lines = lines_of(metrics)
    assert 'ocrdet_stage_duration_seconds_sum{stage="decode"} 0.02' in lines
    assert "ocrdet_regions_per_image_sum 7.0" in lines
    assert "ocrdet_batch_size_sum 4.0" in lines
    assert "ocrdet_image_pixels_sum 1e+06" in lines
    assert 'ocrdet_cancelled_total{stage="queue"} 1.0' in lines
    assert "ocrdet_engine_restarts_total 1.0" in lines


def test_gauges_are_read_from_their_owners_at_every_scrape() -> None:
    """No gauge is moved by hand."""
    depth = [3.0]
    metrics = Metrics()
    metrics.watch(queue_depth=lambda: depth[0], memory_bytes={"resident": lambda: 5.0})
    assert "ocrdet_queue_depth 3.0" in lines_of(metrics)
    depth[0] = 9.0
    assert "ocrdet_queue_depth 9.0" in lines_of(metrics)
    assert 'ocrdet_memory_bytes{kind="resident"} 5.0' in lines_of(metrics)


def test_a_new_model_takes_the_place_of_the_old_one() -> None:
    """Exactly one model is live."""
    metrics = Metrics()
    metrics.set_model(name="a", version="1", sha256="x", provider="CPU")
    metrics.set_model(name="b", version="2", sha256="y", provider="CPU")
    models = [line for line in lines_of(metrics) if line.startswith("ocrdet_model_info{")]
    assert models == ['ocrdet_model_info{name="b",provider="CPU",sha256="y",version="2"} 1.0']


def test_two_instances_do_not_share_a_registry() -> None:
    """Tests and embedded detectors may have metrics of their own."""
    first, second = Metrics(), Metrics()
    first.count_engine_restart()
    assert "ocrdet_engine_restarts_total 0.0" in lines_of(second)


@pytest.mark.parametrize(
    "name", ["process_resident_memory_bytes", "python_gc_collections_total", "python_info"]
)
def test_the_standard_process_metrics_are_there(name: str) -> None:
    """Dashboards for any Python process work here too."""
    assert any(line.startswith(name) for line in lines_of(Metrics()))
