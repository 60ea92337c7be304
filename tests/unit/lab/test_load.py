"""Requests sent when they are due, to a server of this process, and what is noted of them."""

from __future__ import annotations

import signal
import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest

from ocrdet.errors import InvalidParameter
from ocrdet.lab.arrivals import constant_arrivals
from ocrdet.lab.load import Load, Target
from ocrdet.lab.measurement import Measurement, percentile
from tests.unit.lab.answering import answering

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocrdet.lab.load import Progress
    from tests.unit.lab.answering import Answering

STALL_S = 0.5
NOW = (0.0, 0.0, 0.0)


@pytest.fixture
def server() -> Iterator[Answering]:
    """Answers at once."""
    with answering() as server:
        yield server


def load_on(server: Answering, *bodies: bytes, connections: int = 8, timeout_s: float = 20.0) -> Load:
    """A load that is measured from its begin."""
    return Load(Target(server.url, bodies, timeout_s=timeout_s), Measurement(0, 60), connections)


def test_images_options_and_key_are_sent(server: Answering) -> None:
    """The images in turn."""
    target = Target(f"{server.url}/prefix/", (b"a", b"b"), {"score_threshold": "0.3"}, "key")
    load = Load(target, Measurement(0, 60), 1)
    assert load.run(NOW)
    path = "/prefix/detect?score_threshold=0.3"
    assert server.requests == [(path, "Bearer key", body) for body in (b"a", b"b", b"a")]
    assert load.measurement.statuses == {"200": 3}
    assert load.measurement.sample.medians() == ({"decode": 1.5, "total": 4.0}, 2, 3)


def test_an_open_loop_sees_a_stall_that_a_closed_loop_hides(server: Answering) -> None:
    """What was due while the server stood still waited, though a closed loop would not have sent it."""
    server.stall_s = STALL_S
    opened = load_on(server, b"stall", connections=256)
    assert opened.run(constant_arrivals(150, 0.8))
    server.stall_s = STALL_S
    closed = load_on(server, b"stall", connections=1)
    assert closed.run(closed.closed_loop(2 * STALL_S))
    open_ms, closed_ms = opened.measurement.latencies_s, closed.measurement.latencies_s
    assert (percentile(open_ms, "p99") or 0) > 0.9 * STALL_S
    assert (percentile(open_ms, "p50") or 0) > 0.1 * STALL_S
    assert (percentile(closed_ms, "p95") or STALL_S) < 0.5 * STALL_S
    assert closed_ms[-1] >= STALL_S


def test_waiting_for_a_connection_counts_and_is_no_lag_of_the_generator(server: Answering) -> None:
    """The second of two that are due at once waits for the first to be answered."""
    server.stall_s = STALL_S
    load = load_on(server, b"stall", connections=1)
    assert load.run((0.0, 0.0))
    assert load.measurement.latencies_s[0] >= STALL_S
    assert (load.waited, load.most_in_flight, len(server.clients)) == (1, 2, 1)
    assert load.measurement.lags_s[-1] < STALL_S


def test_a_late_generator_is_told_and_its_lateness_counts(server: Answering) -> None:
    """Arrivals that come out half a second late, as those of a generator that is too busy."""

    def slow() -> Iterator[float]:
        time.sleep(STALL_S)
        yield 0.0

    load = load_on(server, b"a")
    assert load.run(slow())
    assert load.measurement.lags_s[0] >= STALL_S
    assert load.measurement.latencies_s[0] >= load.measurement.lags_s[0]


def test_a_closed_loop_has_always_so_many_in_flight(server: Answering) -> None:
    """And never one more, on as many connections."""
    load = load_on(server, b"a", connections=3)
    assert load.run(load.closed_loop(0.2))
    assert load.most_in_flight == len(server.clients) == 3
    assert load.waited == 0
    assert load.measurement.answered == len(server.requests) > 3


def test_refusals_are_counted_with_what_the_server_says(server: Answering) -> None:
    """And the next image is sent all the same: no second attempt, no pause."""
    load = load_on(server, b"a", b"full", connections=1)
    assert load.run(NOW)
    assert load.measurement.statuses == {"200": 2, "429": 1}
    assert b"All is" in load.measurement.first_body["429"]
    assert len(server.requests) == 3


def test_a_kept_connection_that_was_closed_is_opened_anew(server: Answering) -> None:
    """Every answer ends its connection, and none of them is an error."""
    load = load_on(server, b"leave", connections=1)
    assert load.run((0.0, 0.1, 0.2))
    assert load.measurement.statuses == {"200": 3}
    assert len(server.clients) == 3


def test_a_connection_without_an_answer_is_an_error(server: Answering) -> None:
    """On a new connection it is not tried again."""
    load = load_on(server, b"vanish", connections=1)
    assert load.run((0.0,))
    assert load.measurement.statuses == {"connection error": 1}
    assert len(server.requests) == 1


def test_a_server_that_is_gone_is_an_error_with_its_reason() -> None:
    """Nothing listens there."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    load = Load(Target(f"http://127.0.0.1:{port}", [b"a"]), Measurement(0, 60), 1)
    assert load.run((0.0,))
    assert load.measurement.statuses == {"connection error": 1}
    assert b"refused" in load.measurement.first_body["connection error"]


def test_what_takes_too_long_is_given_up_sent_or_not(server: Answering) -> None:
    """The second never got a connection; both waited as long as was allowed."""
    load = load_on(server, b"hold", connections=1, timeout_s=0.2)
    assert load.run((0.0, 0.0))
    assert load.measurement.statuses == {"timeout": 2}
    assert load.measurement.latencies_s[0] >= 0.2
    assert len(server.requests) == 1


def test_an_interrupt_ends_the_sending_and_waits_for_the_answers(server: Answering) -> None:
    """What was sent before is measured whole, and the window ends there."""

    def interrupted() -> Iterator[float]:
        yield 0.0
        server.released.set()
        raise KeyboardInterrupt

    load = load_on(server, b"hold")
    assert not load.run(interrupted())
    assert load.measurement.statuses == {"200": 1}
    assert load.measurement.seconds < 30


def test_a_second_interrupt_ends_the_waiting(server: Answering) -> None:
    """What has no answer then is in flight for ever, and nothing is noted any more."""

    def interrupt() -> None:
        while not server.requests:
            time.sleep(0.01)
        time.sleep(0.3)  # until the load waits
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    interrupter = threading.Thread(target=interrupt)
    interrupter.start()
    load = load_on(server, b"hold")
    assert not load.run((0.0,))
    interrupter.join()
    assert (load.measurement.sent, load.measurement.ended, load.progress().in_flight) == (1, 0, 1)
    server.released.set()
    for sender in threading.enumerate():
        if sender.name == "load":
            sender.join()
    assert load.measurement.ended == 0


def test_progress_is_told_while_it_runs(server: Answering) -> None:
    """Counts, rate and what is in flight."""
    seen: list[Progress] = []

    def watched() -> Iterator[float]:
        yield from NOW
        while load.measurement.ended < 3:
            time.sleep(0.01)
        seen.append(load.progress())

    load = load_on(server, b"a", b"full")
    assert load.run(watched())
    (progress,) = seen
    assert (progress.sent, progress.answered, progress.failed, progress.in_flight) == (3, 2, 1, 0)
    assert progress.rate == pytest.approx(2 / progress.now_s)
    assert progress.p50_s == load.measurement.latencies_s[0]
    assert progress.p99_s is None


def test_a_wrong_url_is_refused() -> None:
    """Before anything is sent."""
    with pytest.raises(InvalidParameter, match="http://127"):
        Load(Target("localhost", [b"a"]), Measurement(0, 1), 1)
