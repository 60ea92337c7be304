"""The scheduler of the CPU, rule by rule."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import pytest

from ocrdet.engine.lanes import LaneScheduler
from ocrdet.engine.ticket import Ticket
from ocrdet.errors import Cancelled, DeadlineExceeded, DeviceLost, InferenceFailed, NotReady
from ocrdet.telemetry.metrics import Metrics
from tests.unit.engine.sessions import PATIENCE_S, Asker, FakeSession, make_tensor, mark_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    """The callers' threads."""
    with ThreadPoolExecutor(8) as pool:
        yield pool


def make_lanes(
    narrow: FakeSession,
    wide: FakeSession | None = None,
    *,
    lanes: int = 2,
    alone: bool = False,
    metrics: Metrics | None = None,
) -> LaneScheduler:
    """A scheduler over fake sessions."""
    return LaneScheduler(narrow, wide, lanes=lanes, slowest_run_s=0.1, alone=lambda: alone, metrics=metrics)


@pytest.mark.parametrize(
    ("alone", "has_wide", "runs"), [(True, True, (0, 1)), (False, True, (1, 0)), (True, False, (1, 0))]
)
def test_the_wide_session_serves_an_image_only_when_it_is_alone(
    alone: bool, has_wide: bool, runs: tuple[int, int]
) -> None:
    """In company, or where there is one CPU, the one-thread session does."""
    narrow, wide = FakeSession(), FakeSession()
    scheduler = make_lanes(narrow, wide if has_wide else None, alone=alone)
    assert float(scheduler.infer([make_tensor(7.0)], Ticket()).maps[0][0, 0]) == 7.0
    assert (len(narrow.batches), len(wide.batches)) == runs


def test_the_tiles_of_an_image_run_one_after_another_each_made_when_its_turn_comes() -> None:
    """Between two of them the lane is free for others, and only one tensor need be in memory."""
    session, made = FakeSession(), []
    scheduler = make_lanes(session)

    def tensors() -> Iterator[NDArray[np.float32]]:
        for mark in (1.0, 2.0, 3.0):
            made.append((mark, len(session.batches)))
            yield make_tensor(mark)

    result = scheduler.infer(tensors(), Ticket())
    assert [float(values[0, 0]) for values in result.maps] == [1.0, 2.0, 3.0]
    assert made == [(1.0, 0), (2.0, 1), (3.0, 2)]
    assert session.batches == [[1.0], [2.0], [3.0]]


def test_as_many_images_run_at_a_time_as_there_are_lanes_and_each_run_holds_one(
    pool: ThreadPoolExecutor,
) -> None:
    """Two lanes are both used, and the third image waits for one of them."""
    session = FakeSession()
    session.hold.clear()
    scheduler = make_lanes(session)
    asker = Asker(scheduler, pool)
    answers = [asker.ask(mark) for mark in (1.0, 2.0, 3.0, 4.0, 5.0)]
    session.wait_for_start()
    session.wait_for_start()
    session.hold.set()
    assert [mark_of(answer) for answer in answers] == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert session.most_running == 2
    assert sorted(session.batches) == [[1.0], [2.0], [3.0], [4.0], [5.0]]
    assert scheduler.queue_depth == 0


def test_late_and_cancelled_images_are_dropped_before_compute(pool: ThreadPoolExecutor) -> None:
    """They wait for the lane, and are never run once it is free."""
    session = FakeSession()
    session.hold.clear()
    asker = Asker(make_lanes(session, lanes=1), pool)
    first = asker.ask(1.0)
    session.wait_for_start()
    gone, late = Ticket(), Ticket(0.0)
    dropped, missed = asker.ask(2.0, ticket=gone), asker.ask(3.0, ticket=late)
    gone.cancel()
    session.hold.set()
    with pytest.raises(Cancelled):
        dropped.result(PATIENCE_S)
    with pytest.raises(DeadlineExceeded) as caught:
        missed.result(PATIENCE_S)
    assert caught.value.facts["stage"] == "inference"
    assert mark_of(first) == 1.0
    assert session.batches == [[1.0]]


def test_one_image_never_fails_another(pool: ThreadPoolExecutor) -> None:
    """A run that raises costs its own caller the answer, and its lane stays in use."""

    def fail_on_two(images: list[float]) -> None:
        if images == [2.0]:
            raise InferenceFailed("bad input")

    session = FakeSession(fail_on_two)
    asker = Asker(make_lanes(session, lanes=1), pool)
    answers = [asker.ask(mark) for mark in (1.0, 2.0, 3.0)]
    assert mark_of(answers[0]) == 1.0
    with pytest.raises(InferenceFailed, match="bad input"):
        answers[1].result(PATIENCE_S)
    assert mark_of(answers[2]) == 3.0


def test_a_map_that_is_not_finite_is_a_failure() -> None:
    """It is never handed on to become an empty answer."""
    scheduler = make_lanes(FakeSession())
    with pytest.raises(InferenceFailed, match="not finite"):
        scheduler.infer([make_tensor(np.nan)], Ticket())
    assert scheduler.trouble() is None


def test_a_lost_device_latches_trouble() -> None:
    """Readiness asks for it ever after."""

    def lose(_: list[float]) -> None:
        raise DeviceLost("gone")

    session = FakeSession(lose)
    scheduler = make_lanes(session)
    with pytest.raises(DeviceLost):
        scheduler.infer([make_tensor(1.0)], Ticket())
    session.script = None
    scheduler.infer([make_tensor(1.0)], Ticket())
    assert scheduler.trouble() == "gone"


def test_waiting_and_running_are_measured_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock is read on arrival, at the start of the run and at its end."""
    times = iter([10.0, 11.0, 13.0])
    scheduler = make_lanes(FakeSession())
    monkeypatch.setattr(time, "perf_counter", lambda: next(times))
    result = scheduler.infer([make_tensor(1.0)], Ticket())
    assert (result.waited_s, result.ran_s) == (1.0, 2.0)


def test_every_run_is_counted_as_a_batch_of_one() -> None:
    """The histogram shows that the CPU does not batch."""
    metrics = Metrics()
    scheduler = make_lanes(FakeSession(), metrics=metrics)
    for mark in (1.0, 2.0):
        scheduler.infer([make_tensor(mark)], Ticket())
    assert metrics.registry.get_sample_value("ocrdet_batch_size_bucket", {"le": "1.0"}) == 2


def test_closing_waits_for_what_runs_refuses_the_rest_and_frees_each_session_once(
    pool: ThreadPoolExecutor,
) -> None:
    """A second close does nothing."""
    narrow, wide = FakeSession(), FakeSession()
    narrow.hold.clear()
    scheduler = make_lanes(narrow, wide, lanes=1)
    asker = Asker(scheduler, pool)
    running = asker.ask(1.0)
    narrow.wait_for_start()
    closing = threading.Event()

    def close() -> None:
        closing.set()
        scheduler.close()

    closed = pool.submit(close)
    assert closing.wait(PATIENCE_S)
    assert narrow.closed == 0
    narrow.hold.set()
    closed.result(PATIENCE_S)
    assert mark_of(running) == 1.0
    scheduler.close()
    assert (narrow.closed, wide.closed) == (1, 1)
    with pytest.raises(NotReady):
        scheduler.infer([make_tensor(2.0)], Ticket())
    assert scheduler.stalled() is None
