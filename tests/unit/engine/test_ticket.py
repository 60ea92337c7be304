"""Tickets: whether an answer is still wanted."""

from __future__ import annotations

import time

import pytest

from ocrdet.engine.ticket import Ticket
from ocrdet.errors import Cancelled, DeadlineExceeded
from tests.unit.engine.sessions import Clock


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of every ticket."""
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", clock)
    return clock


def test_work_that_cannot_end_in_time_is_refused_before_it_begins() -> None:
    """The sentence says how long it takes and how long there is; without a deadline everything may begin."""
    Ticket(10.0).require(1.0, "inference")
    Ticket().require(1e9, "inference")
    with pytest.raises(DeadlineExceeded, match="at least 20000 ms") as caught:
        Ticket(10.0).require(20.0, "inference")
    assert caught.value.facts["stage"] == "inference"


def test_work_without_a_deadline_is_wanted_for_ever(clock: Clock) -> None:
    """Someone who waits as long as it takes is never told that it took too long."""
    ticket = Ticket()
    clock.now += 1e9
    ticket.check("inference")
    assert ticket.remaining_s() is None
    assert not ticket.cancelled


def test_a_deadline_passes_at_its_instant_and_names_the_stage_and_the_limit(clock: Clock) -> None:
    """Work is wanted right until the deadline, and not from then on."""
    ticket = Ticket(2.5)
    clock.now += 2.4
    ticket.check("decode")
    assert ticket.remaining_s() == pytest.approx(0.1)
    clock.now = 1002.5
    with pytest.raises(DeadlineExceeded, match="2500 ms") as caught:
        ticket.check("inference")
    assert caught.value.facts["stage"] == "inference"
    clock.now += 10
    assert ticket.remaining_s() == 0.0
    assert ticket.elapsed_s() == pytest.approx(12.5)


def test_cancelled_work_stops_at_its_next_stage(clock: Clock) -> None:
    """A cancelled ticket says so even before its deadline, and wins over it."""
    ticket = Ticket(2.5)
    ticket.cancel()
    assert ticket.cancelled
    clock.now += 10
    with pytest.raises(Cancelled) as caught:
        ticket.check("postprocess")
    assert caught.value.facts["stage"] == "postprocess"


def test_the_time_in_the_queue_is_what_passes_between_enqueue_and_dequeue(clock: Clock) -> None:
    """A ticket that never waited has waited for nothing."""
    ticket = Ticket()
    ticket.dequeue()
    assert ticket.queued_s == 0.0
    clock.now += 1
    ticket.enqueue()
    clock.now += 3
    ticket.dequeue()
    assert ticket.queued_s == 3.0
