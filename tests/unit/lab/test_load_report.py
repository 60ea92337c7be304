"""What a person reads of a load, and what a program does."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ocrdet.lab.load import Load, Target
from ocrdet.lab.load_report import report_dict, write_report
from ocrdet.lab.measurement import Measurement, Outcome
from ocrdet.lab.slo import Objective

OPEN = {"concurrency": None, "rate": 20.0}
ANSWER = b'{"regions": [{}, {}], "timings_ms": {"decode": 1.25, "total": 240.4}}'


def report_of(*outcomes: Outcome, slo: tuple[str, ...] = (), whole: bool = True, **more: object) -> Any:  # noqa: ANN401 - JSON
    """The report of ten seconds."""
    load = Load(Target("http://127.0.0.1:9", [b"a"]), Measurement(0, 10), 8)
    for outcome in outcomes:
        load.measurement.note_sent(outcome.due_s)
        load.measurement.note(outcome)
    load.waited = 3 * bool(more.pop("waited", False))
    verdicts = [Objective.read(text).judge(load.measurement) for text in slo]
    return report_dict(load, OPEN | more, verdicts, whole=whole)


def answers(count: int, *, lag_s: float = 0.0) -> list[Outcome]:
    """Answers after 1, 2, 3 ... ms."""
    return [Outcome(0, ms / 1e3, lag_s, "200", ANSWER) for ms in range(1, count + 1)]


def test_a_row_has_each_percentile_that_can_be_told() -> None:
    """With how many there are, and a dash for the others."""
    refused = Outcome(1, 1.004, 0.0, "429", b'{"detail": "All is\\ntaken."}')
    lines = write_report(report_of(*answers(200), refused, refused)).splitlines()
    rows = {line[:13].strip(): line[13:].split() for line in lines}
    assert rows["requests"] == ["202", "in", "10", "s;", "200:", "200,", "429:", "2"]
    assert rows["rate"] == ["20.2/s", "offered,", "20/s", "answered"]
    assert rows["latency ms"] == ["200", "100", "180", "190", "198", "-", "200"]
    assert rows["429 ms"] == ["2", "4", "-", "-", "-", "-", "4"]
    assert rows["server ms"] == ["decode", "1.25,", "total", "240"]
    assert rows["429"] == ["All", "is", "taken."]
    assert "regions in an image: 2" in "\n".join(lines)
    assert lines[-1] == "warning: 2 requests were not answered with 200 and are not among the latencies."


def test_a_closed_loop_says_first_what_it_hides() -> None:
    """Nobody reads its percentiles as what callers feel."""
    text = write_report(report_of(*answers(5), concurrency=4))
    assert text.startswith("A closed loop")
    assert "coordinated omission" in text
    assert "coordinated omission" not in write_report(report_of(*answers(5)))


@pytest.mark.parametrize(("lag_s", "told"), [(0.009, False), (0.011, True)])
def test_a_generator_that_was_the_bottleneck_is_told(lag_s: float, told: bool) -> None:
    """By the highest percentile of its lateness; one late moment is none."""
    assert ("the generator was the bottleneck" in write_report(report_of(*answers(20, lag_s=lag_s)))) is told
    once = [*answers(20), *answers(1, lag_s=9.0)]
    assert "the generator was the bottleneck" not in write_report(report_of(*once))


def test_waiting_timeouts_and_interrupts_are_told() -> None:
    """Each changes what the figures mean."""
    text = write_report(report_of(Outcome(0, 5, 0, "timeout"), waited=True, whole=False))
    assert "3 requests waited while every connection was busy" in text
    assert "1 timeouts are among the latencies" in text
    assert "interrupted" in text


def test_each_objective_has_its_line() -> None:
    """Passed or failed, and the figure or the reason."""
    text = write_report(report_of(*answers(20), slo=("p50<11ms", "p99<1s", "rate>1000")))
    assert text.splitlines()[-3:] == [
        "PASS  p50 < 11 ms    10 ms",
        "FAIL  p99 < 1000 ms  cannot be told: it takes 100 answers, there are 20",
        "FAIL  rate > 1000/s  2/s",
    ]


def test_a_load_without_any_answer_has_a_report() -> None:
    """Nothing is divided by nothing."""
    report = report_of(Outcome(0, 0.1, 0, "connection error", b"[Errno 111] Connection refused"))
    text = write_report(report)
    assert "connection error: 1" in text
    assert "[Errno 111] Connection refused" in text
    assert report["latency_ms"] == {"n": 0}
    assert "none ended" in write_report(report_of())


def test_the_report_is_json() -> None:
    """Figures, configuration and verdicts."""
    report = json.loads(json.dumps(report_of(*answers(20), slo=("p50<11ms",))))
    assert report["configuration"] == OPEN
    assert report["whole"] is True
    assert report["latency_ms"]["p90"] == 18
    assert report["latency_ms"]["p99"] is None
    assert report["requests"]["statuses"] == {"200": 20}
    assert report["slo"] == [{"objective": "p50 < 11 ms", "passed": True, "measured": 10, "told": "10 ms"}]
