"""The stage clock: one image's laps, for its answer and for the metrics."""

from __future__ import annotations

import time

import pytest

from ocrdet.telemetry.metrics import Metrics
from ocrdet.telemetry.stage_clock import StageClock
from ocrdet.values import Timings


def test_laps_become_milliseconds_of_the_answer_and_seconds_of_the_metrics(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A stage measured elsewhere is noted, and its time does not fall into the next lap."""
    times = iter([10.0, 11.0, 15.0, 15.5])
    monkeypatch.setattr(time, "perf_counter", lambda: next(times))
    metrics = Metrics()
    clock = StageClock(metrics)
    clock.lap("decode")
    clock.note("inference", 4.0)
    clock.restart()
    clock.lap("postprocess")
    assert clock.timings(6.0) == Timings(decode=1000.0, inference=4000.0, postprocess=500.0, total=6000.0)
    for stage, seconds in (("decode", 1.0), ("inference", 4.0), ("postprocess", 0.5), ("queue", 0.0)):
        name = "ocrdet_stage_duration_seconds_sum"
        assert metrics.registry.get_sample_value(name, {"stage": stage}) == seconds
