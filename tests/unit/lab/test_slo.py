"""Objectives: read from what people type, and never passed in silence."""

from __future__ import annotations

import pytest

from ocrdet.errors import InvalidParameter
from ocrdet.lab.measurement import Measurement, Outcome
from ocrdet.lab.slo import Objective


def measured(answers: int, *others: str) -> Measurement:
    """Answers after 1, 2, 3 ... ms within ten seconds, and other ends."""
    measurement = Measurement(0, 10)
    for ms in range(1, answers + 1):
        measurement.note(Outcome(0, ms / 1e3, 0.0, "200"))
    for status in others:
        measurement.note(Outcome(1, 2, 0.0, status))
    return measurement


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("p99<500ms", ("p99", "<", 500)),
        (" p99.9 <= 1.5 s ", ("p99.9", "<=", 1500)),
        ("max < 2s", ("max", "<", 2000)),
        ("errors<0.1%", ("errors", "<", 0.1)),
        ("errors <= 0 %", ("errors", "<=", 0)),
        ("rate>20", ("rate", ">", 20)),
        ("rate >= 20/s", ("rate", ">=", 20)),
    ],
)
def test_an_objective_is_read(text: str, expected: tuple[str, str, float]) -> None:
    """With or without blanks."""
    assert Objective.read(text) == Objective(*expected)


@pytest.mark.parametrize(
    "text",
    [
        *("", "p99", "p99<", "p99<500", "p99>500ms", "p98<5ms", "p99x9<5ms"),
        *("errors<1", "errors>1%", "rate<20", "rate>5%"),
        *("p50<-1ms", "p50<nanms", "p50<1e3ms", "p50==1ms", "p50<1ms,p99<2ms"),
    ],
)
def test_what_is_no_objective_is_refused(text: str) -> None:
    """Without its unit, on the wrong side, or of something that is not measured."""
    with pytest.raises(InvalidParameter, match="--slo must be one of p50, p90"):
        Objective.read(text)


@pytest.mark.parametrize(
    ("text", "passed", "figure"),
    [
        ("p50<51ms", True, 50),
        ("p50<50ms", False, 50),
        ("p99<0.2s", True, 99),
        ("max<=100ms", True, 100),
        ("errors<1%", True, 0),
        ("errors<=0%", True, 0),
        ("rate>=10", True, 10),
        ("rate>10", False, 10),
    ],
)
def test_a_figure_is_held_against_its_bound(text: str, passed: bool, figure: float) -> None:
    """A hundred answers of 1 to 100 ms in ten seconds."""
    verdict = Objective.read(text).judge(measured(100))
    assert verdict.passed is passed
    assert verdict.measured == pytest.approx(figure)


def test_errors_are_everything_but_answers() -> None:
    """Three of a hundred."""
    verdict = Objective.read("errors<3%").judge(measured(97, "429", "timeout", "connection error"))
    assert (verdict.passed, verdict.measured, verdict.told) == (False, 3, "3 %")


def test_a_percentile_of_too_few_answers_has_failed() -> None:
    """With the reason; more answers are needed, not a better server."""
    verdict = Objective.read("p99<9s").judge(measured(99))
    assert (verdict.passed, verdict.measured) == (False, None)
    assert verdict.told == "cannot be told: it takes 100 answers, there are 99"
    assert Objective.read("p99<9s").judge(measured(100)).passed


@pytest.mark.parametrize("text", ["p50<9s", "max<9s", "errors<100%"])
def test_nothing_measured_is_no_pass(text: str) -> None:
    """Whatever the bound."""
    assert not Objective.read(text).judge(Measurement(0, 10)).passed


def test_a_rate_of_no_time_is_no_pass() -> None:
    """After an interrupt in the warm-up."""
    verdict = Objective.read("rate>=0").judge(Measurement(0, 0))
    assert (verdict.passed, verdict.told) == (False, "nothing was measured")


def test_a_verdict_says_what_was_asked_and_what_was_found() -> None:
    """In the unit of the objective."""
    verdict = Objective.read("p90 <0.5 s").judge(measured(100))
    assert (verdict.objective, verdict.told) == ("p90 < 500 ms", "90 ms")
    assert Objective.read("rate>20").judge(measured(100)).objective == "rate > 20/s"
