"""What all schedulers share: finite maps, progress, and when a device is not to be trusted."""

from __future__ import annotations

import time

import numpy as np
import pytest

from ocrdet.engine.scheduler import (
    LEAST_PATIENCE_S,
    MEMORY_FAILURES_UNTIL_BROKEN,
    PATIENCE_FACTOR,
    Progress,
    finite,
)
from ocrdet.engine.ticket import Ticket
from ocrdet.errors import Cancelled, DeviceLost, InferenceFailed, OutOfDeviceMemory
from tests.unit.engine.sessions import Clock, Device, make_tensor


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of every progress."""
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", clock)
    return clock


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_output_that_is_not_finite_is_a_failure_and_never_an_empty_answer(value: float) -> None:
    """One such value among many is enough."""
    values = np.zeros((64, 64), np.float32)
    values[13, 37] = value
    with pytest.raises(InferenceFailed, match="not finite"):
        finite(values)


def test_a_finite_map_passes_as_it_is() -> None:
    """The largest map of all ones is finite, and is not copied."""
    values = np.ones((1024, 1024), np.float32)
    assert finite(values) is values


def test_a_lost_device_stays_lost() -> None:
    """Only a new process mends it, so a later success changes nothing."""
    progress = Progress(0.1)
    progress.begin()
    progress.end(DeviceLost("The device stopped answering."))
    progress.begin()
    progress.end()
    assert progress.trouble() == "The device stopped answering."


def test_out_of_memory_counts_as_a_broken_device_only_when_it_repeats() -> None:
    """A success in between begins the count anew; other failures do not count."""
    progress = Progress(0.1)
    failures: list[BaseException | None] = [OutOfDeviceMemory("full")] * (MEMORY_FAILURES_UNTIL_BROKEN - 1)
    for error in [*failures, None, *failures, InferenceFailed("odd"), Cancelled("gone")]:
        progress.begin()
        progress.end(error)
        assert progress.trouble() is None
    progress.begin()
    progress.end(OutOfDeviceMemory("full"))
    assert "memory" in str(progress.trouble())


def test_work_stalls_when_nothing_ends_for_longer_than_the_patience(clock: Clock) -> None:
    """An idle engine never stalls; waiting counts from the first image or the last end."""
    progress = Progress(slowest_run_s=10.0)
    assert progress.patience_s == 100.0
    clock.now += 1e6
    assert progress.stalled() is None
    progress.begin()
    clock.now += 90
    progress.begin()
    clock.now += 10
    assert progress.stalled() is None
    clock.now += 1
    assert progress.stalled() == "2 images wait and none was finished for 101 s."
    progress.end()
    assert progress.stalled() is None
    clock.now += 101
    assert progress.stalled() is not None
    progress.end()
    assert progress.stalled() is None


def test_every_run_of_an_image_of_many_tiles_is_progress(clock: Clock) -> None:
    """An image that takes longer than the patience is no stall while one run of it after another ends."""
    device, heard = Device((1,), None), []

    def script(_: list[float]) -> None:
        clock.now += LEAST_PATIENCE_S - 1
        heard.append(device.scheduler.stalled())

    device.session.script = script
    device.scheduler.infer([make_tensor(float(mark)) for mark in range(3)], Ticket())
    device.scheduler.close()
    assert heard == [None] * 3


def test_the_patience_is_ten_times_the_slowest_run_and_never_hasty() -> None:
    """A fast model on a busy machine may be held up for a while."""
    assert PATIENCE_FACTOR >= 10
    assert Progress(0.001).patience_s == LEAST_PATIENCE_S
