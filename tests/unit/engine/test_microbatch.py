"""The scheduler of an accelerator, rule by rule."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest

from ocrdet.engine.ticket import Ticket
from ocrdet.errors import (
    Cancelled,
    DeadlineExceeded,
    DeviceLost,
    InferenceFailed,
    NotReady,
    OutOfDeviceMemory,
)
from ocrdet.telemetry.metrics import Metrics
from tests.unit.engine.sessions import PATIENCE_S, Device, make_tensor, mark_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def make_device() -> Iterator[Callable[..., Device]]:
    """Makes devices, and ends them after the test."""
    devices: list[Device] = []

    def make(*sizes: int, metrics: Metrics | None = None) -> Device:
        devices.append(Device(sizes or (1, 2, 4), metrics))
        return devices[-1]

    yield make
    for device in devices:
        device.let_go()
        device.scheduler.close()
        device.pool.shutdown()


def fail_when(images_fail: Callable[[list[float]], bool], error: Exception) -> Callable[[list[float]], None]:
    """A script that raises this error for these runs."""

    def script(images: list[float]) -> None:
        if images_fail(images):
            raise error

    return script


def test_an_idle_device_starts_at_once_with_what_there_is(make_device: Callable[..., Device]) -> None:
    """A lone image never waits for company: its run begins while nobody else is there."""
    device = make_device()
    device.session.hold.clear()
    answer = device.asker.ask(1.0)
    device.session.wait_for_start()
    assert device.session.batches == [[1.0]]
    device.let_go()
    assert mark_of(answer) == 1.0


def test_micro_batches_form_while_the_device_is_busy(make_device: Callable[..., Device]) -> None:
    """What gathered behind a run goes in one batch, and everyone gets the map of their own image."""
    metrics = Metrics()
    device = make_device(metrics=metrics)
    device.keep_busy()
    answers = device.gather(1.0, 2.0, 3.0, 4.0)
    device.let_go()
    assert [mark_of(answer) for answer in answers] == [1.0, 2.0, 3.0, 4.0]
    assert device.batches == [[1.0, 2.0, 3.0, 4.0]]
    assert metrics.registry.get_sample_value("ocrdet_batch_size_sum") == 5


def test_the_tiles_of_one_image_run_as_one_micro_batch(make_device: Callable[..., Device]) -> None:
    """On an idle device too: they are queued together."""
    device = make_device()
    result = device.scheduler.infer([make_tensor(mark) for mark in (1.0, 2.0, 3.0, 4.0)], Ticket())
    assert [float(values[0, 0]) for values in result.maps] == [1.0, 2.0, 3.0, 4.0]
    assert device.session.batches == [[1.0, 2.0, 3.0, 4.0]]
    assert result.ran_s >= 0
    assert result.waited_s >= 0


def test_one_failed_tile_fails_its_image_and_no_other(make_device: Callable[..., Device]) -> None:
    """The error is told only when the device is done with all of its tensors."""
    device = make_device()
    device.session.script = fail_when(lambda images: 2.0 in images, InferenceFailed("bad tile"))
    with pytest.raises(InferenceFailed, match="bad tile"):
        device.scheduler.infer([make_tensor(mark) for mark in (1.0, 2.0, 3.0, 4.0)], Ticket())
    assert device.session.batches[-1] == [4.0]
    assert mark_of(device.asker.ask(5.0)) == 5.0


def test_only_warmed_batch_sizes_reach_the_device(make_device: Callable[..., Device]) -> None:
    """Seven images go as four, two and one, the oldest first."""
    device = make_device(4, 1, 2)
    device.keep_busy()
    answers = device.gather(*map(float, range(1, 8)))
    device.let_go()
    assert [mark_of(answer) for answer in answers] == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]
    assert device.batches == [[1.0, 2.0, 3.0, 4.0], [5.0, 6.0], [7.0]]


def test_batches_never_mix_shapes(make_device: Callable[..., Device]) -> None:
    """The oldest image decides the shape; those of another shape keep their order."""
    device = make_device()
    device.keep_busy()
    answers = []
    for mark, shape in ((1.0, (2, 2)), (2.0, (3, 1)), (3.0, (2, 2)), (4.0, (3, 1))):
        answers += device.gather(mark, shape=shape)
    device.let_go()
    assert [mark_of(answer) for answer in answers] == [1.0, 2.0, 3.0, 4.0]
    assert device.batches == [[1.0, 3.0], [2.0, 4.0]]
    assert device.session.shapes[1:] == [(2, 3, 2, 2), (2, 3, 3, 1)]


def test_a_graph_of_one_fixed_batch_size_gets_all_that_fit_into_it(
    make_device: Callable[..., Device],
) -> None:
    """Three images for a batch of four are one run, not three; the session fills it up."""
    device = make_device(4)
    device.keep_busy()
    answers = device.gather(1.0, 2.0, 3.0)
    device.let_go()
    assert [mark_of(answer) for answer in answers] == [1.0, 2.0, 3.0]
    assert device.batches == [[1.0, 2.0, 3.0]]


def test_late_and_cancelled_images_are_dropped_before_compute(make_device: Callable[..., Device]) -> None:
    """Their places in the batch go to images that are still wanted."""
    device = make_device(1, 2)
    device.keep_busy()
    gone = Ticket()
    cancelled = device.gather(1.0, ticket=gone)[0]
    late = device.gather(2.0, ticket=Ticket(0.0))[0]
    wanted = device.gather(3.0, 4.0)
    gone.cancel()
    device.let_go()
    with pytest.raises(Cancelled) as caught:
        cancelled.result(PATIENCE_S)
    assert caught.value.facts["stage"] == "inference"
    with pytest.raises(DeadlineExceeded):
        late.result(PATIENCE_S)
    assert [mark_of(answer) for answer in wanted] == [3.0, 4.0]
    assert device.batches == [[3.0, 4.0]]


def test_a_failed_batch_is_run_again_item_by_item(make_device: Callable[..., Device]) -> None:
    """The one image that fails fails alone."""
    device = make_device()
    device.session.script = fail_when(lambda images: 2.0 in images, InferenceFailed("bad input"))
    device.keep_busy()
    answers = device.gather(1.0, 2.0, 3.0, 4.0)
    device.let_go()
    with pytest.raises(InferenceFailed, match="bad input"):
        answers[1].result(PATIENCE_S)
    assert [mark_of(answers[index]) for index in (0, 2, 3)] == [1.0, 3.0, 4.0]
    assert device.batches == [[1.0, 2.0, 3.0, 4.0], [1.0], [2.0], [3.0], [4.0]]
    assert device.scheduler.trouble() is None


def test_an_image_that_was_given_up_during_a_failed_batch_is_not_run_again(
    make_device: Callable[..., Device],
) -> None:
    """The second try looks at the ticket as the first did."""
    device, gone = make_device(), Ticket()

    def script(images: list[float]) -> None:
        if len(images) > 1:
            gone.cancel()
            raise InferenceFailed("the batch failed")

    device.session.script = script
    device.keep_busy()
    cancelled, wanted = device.gather(1.0, ticket=gone)[0], device.gather(2.0)[0]
    device.let_go()
    with pytest.raises(Cancelled):
        cancelled.result(PATIENCE_S)
    assert mark_of(wanted) == 2.0
    assert device.batches == [[1.0, 2.0], [2.0]]


def test_out_of_memory_halves_the_batch_and_retries_item_by_item(make_device: Callable[..., Device]) -> None:
    """Everyone is served, the device is not called broken, and later batches are smaller."""
    device = make_device()
    device.session.script = fail_when(lambda images: len(images) > 2, OutOfDeviceMemory("full"))
    device.keep_busy()
    answers = device.gather(1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0)
    device.let_go()
    assert [mark_of(answer) for answer in answers] == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]
    assert device.batches == [[1.0, 2.0, 3.0, 4.0], [1.0], [2.0], [3.0], [4.0], [5.0, 6.0], [7.0, 8.0]]
    assert device.scheduler.trouble() is None


def test_only_repeated_failures_of_single_images_make_a_full_device_a_broken_one(
    make_device: Callable[..., Device],
) -> None:
    """Two may be chance, three are not."""
    device = make_device()
    device.session.script = fail_when(lambda _: True, OutOfDeviceMemory("full"))
    for expected in (None, None, "Single images repeatedly do not fit into the device's memory."):
        with pytest.raises(OutOfDeviceMemory):
            device.scheduler.infer([make_tensor(1.0)], Ticket())
        assert device.scheduler.trouble() == expected


def test_a_lost_device_fails_its_batch_without_a_second_try_and_latches_trouble(
    make_device: Callable[..., Device],
) -> None:
    """There is no point in asking it again."""
    device = make_device()
    device.session.script = fail_when(lambda images: 1.0 in images, DeviceLost("gone"))
    device.keep_busy()
    answers = device.gather(1.0, 2.0)
    device.let_go()
    for answer in answers:
        with pytest.raises(DeviceLost):
            answer.result(PATIENCE_S)
    assert device.batches == [[1.0, 2.0]]
    device.scheduler.infer([make_tensor(3.0)], Ticket())
    assert device.scheduler.trouble() == "gone"


def test_a_map_that_is_not_finite_fails_its_own_image_only(make_device: Callable[..., Device]) -> None:
    """The rest of the batch is answered from the same run."""
    device = make_device()
    device.keep_busy()
    answers = device.gather(1.0, np.nan)
    device.let_go()
    assert mark_of(answers[0]) == 1.0
    with pytest.raises(InferenceFailed, match="not finite"):
        answers[1].result(PATIENCE_S)
    assert len(device.batches) == 1


def test_a_session_that_breaks_its_promise_fails_images_and_not_the_device_thread(
    make_device: Callable[..., Device],
) -> None:
    """Neither an error that nobody foresaw nor a missing map leaves a caller waiting."""
    device = make_device()
    device.session.script = fail_when(lambda _: True, RuntimeError("unforeseen"))
    with pytest.raises(InferenceFailed, match="unforeseen"):
        device.scheduler.infer([make_tensor(1.0)], Ticket())
    device.session.script = None
    device.session.answer = lambda batch: batch[:0, 0]
    with pytest.raises(InferenceFailed):
        device.scheduler.infer([make_tensor(1.0)], Ticket())
    device.session.answer = lambda batch: batch[:, 0]
    assert float(device.scheduler.infer([make_tensor(2.0)], Ticket()).maps[0][0, 0]) == 2.0
    assert device.scheduler.trouble() is None


def test_one_thread_owns_every_run(make_device: Callable[..., Device]) -> None:
    """Whoever calls, the device sees the same thread."""
    device = make_device()
    for answer in [device.asker.ask(float(mark)) for mark in range(20)]:
        answer.result(PATIENCE_S)
    assert device.session.threads == {"ocrdet-device"}


def test_a_dead_device_thread_is_trouble_and_leaves_nobody_waiting(
    make_device: Callable[..., Device], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever ends the thread: those who wait are answered, those who come are refused, health says so."""
    device = make_device()
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    first = device.keep_busy()
    (queued,) = device.gather(1.0)
    monkeypatch.setattr(device.scheduler, "_take", lambda: 1 / 0)
    device.let_go()
    assert mark_of(first) == 0.0
    with pytest.raises(DeviceLost, match="has ended"):
        queued.result(PATIENCE_S)
    assert "has ended: ZeroDivisionError" in (device.scheduler.trouble() or "")
    with pytest.raises(NotReady):
        device.scheduler.infer([make_tensor(2.0)], Ticket())


def test_closing_finishes_what_is_queued_refuses_the_rest_and_frees_the_session_once(
    make_device: Callable[..., Device],
) -> None:
    """The thread ends, and a second close does nothing."""
    device = make_device()
    first = device.keep_busy()
    queued = device.gather(1.0, 2.0)
    closing = device.pool.submit(device.scheduler.close)
    device.let_go()
    closing.result(PATIENCE_S)
    assert [mark_of(answer) for answer in (first, *queued)] == [0.0, 1.0, 2.0]
    device.scheduler.close()
    assert device.session.closed == 1
    assert not device.scheduler._thread.is_alive()
    with pytest.raises(NotReady):
        device.scheduler.infer([make_tensor(3.0)], Ticket())
    assert device.scheduler.trouble() is None
    assert device.scheduler.stalled() is None
