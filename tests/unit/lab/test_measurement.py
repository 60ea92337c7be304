"""Percentiles, windows and counts, on times made up."""

from __future__ import annotations

import json

import pytest

from ocrdet.lab.measurement import AnswerSample, Measurement, Outcome, needed_samples, percentile


@pytest.mark.parametrize(
    ("count", "name", "expected"),
    [
        (2, "p50", 1),
        (3, "p50", 2),
        (100, "p50", 50),
        (10, "p90", 9),
        (11, "p90", 10),
        (20, "p95", 19),
        (100, "p99", 99),
        (101, "p99", 100),
        (1000, "p99.9", 999),
        (1001, "p99.9", 1000),
        (10_000, "p99.9", 9990),
    ],
)
def test_a_percentile_is_the_nearest_rank(count: int, name: str, expected: int) -> None:
    """Of the numbers from 1 on, the least that the share of all does not exceed."""
    assert percentile(range(1, count + 1), name) == expected


@pytest.mark.parametrize(
    ("name", "needed"), [("p50", 2), ("p90", 10), ("p95", 20), ("p99", 100), ("p99.9", 1000)]
)
def test_too_few_samples_have_no_percentile(name: str, needed: int) -> None:
    """One less than one over the share above it: the longest would be taken for it."""
    assert needed_samples(name) == needed
    assert percentile(range(needed - 1), name) is None
    assert percentile(range(needed), name) is not None


def test_only_requests_due_in_the_window_are_measured() -> None:
    """From its first moment on, up to its end; when they end does not matter."""
    measured = Measurement(1, 3)
    for due_s in (0.9, 1.0, 2.9, 3.0):
        measured.note_sent(due_s)
        measured.note(Outcome(due_s, due_s + 2, 0.0, "200"))
    assert (measured.sent, measured.ended, measured.answered) == (2, 2, 2)
    assert measured.latencies_s == pytest.approx([2, 2])


def test_the_rate_counts_answers_that_came_within_the_window() -> None:
    """Also to requests of the warm-up: what the server did then was work all the same."""
    measured = Measurement(1, 3)
    for due_s, ended_s in ((0.5, 0.9), (0.5, 1.5), (1.5, 2.5), (2.9, 3.1)):
        measured.note(Outcome(due_s, ended_s, 0.0, "200"))
    assert measured.rate() == 1
    assert measured.rate(2.0) == 2
    assert measured.rate(0.5) == 0


def test_refusals_are_not_among_the_latencies_but_timeouts_are() -> None:
    """A quick refusal must not make answers look fast, nor a hanging one disappear."""
    measured = Measurement(0, 9)
    for status, ms in (
        ("200", 50),
        ("429", 1),
        ("503", 2),
        ("timeout", 900),
        ("connection error", 3),
        ("415", 4),
    ):
        measured.note(Outcome(1, 1 + ms / 1e3, 0.0, status, b"told"))
    assert measured.latencies_s == pytest.approx([0.05, 0.9])
    assert measured.refusals_s["429"] == pytest.approx([0.001])
    assert measured.refusals_s["503"] == pytest.approx([0.002])
    assert (measured.ended, measured.answered, measured.failed) == (6, 1, 5)
    assert measured.first_body["415"] == b"told"


def test_a_window_that_is_cut_ends_where_it_was_cut() -> None:
    """An interrupt during the warm-up leaves nothing."""
    measured = Measurement(2, 10)
    measured.cut(5)
    assert measured.seconds == 3
    measured.cut(1)
    assert (measured.seconds, measured.rate()) == (0, 0)


def test_the_server_s_own_times_are_medians_of_answers() -> None:
    """What is not an answer of ocrdet is left out."""
    sample = AnswerSample(10)
    for ms in (1, 2, 9):
        sample.offer(json.dumps({"timings_ms": {"decode": ms}, "regions": [0] * ms}).encode())
    for body in (b"<html>", b"[]", b'{"regions": []}', b'{"timings_ms": [], "regions": []}'):
        sample.offer(body)
    assert sample.medians() == ({"decode": 2}, 2, 3)


def test_nothing_answered_has_no_medians() -> None:
    """Rather than zeros."""
    assert AnswerSample(10).medians() == ({}, None, 0)


def test_a_sample_is_bounded_and_takes_late_answers_as_well_as_early_ones() -> None:
    """A thousand answers, a hundred kept, from all over."""
    sample = AnswerSample(100)
    for number in range(1000):
        sample.offer(json.dumps({"timings_ms": {"number": number}, "regions": []}).encode())
    medians, _, count = sample.medians()
    assert count == 100
    assert 350 < medians["number"] < 650
