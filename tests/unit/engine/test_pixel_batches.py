"""Micro-batches in memory that is used again, and pixels all the way: the maps are those of the lanes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pytest

from ocrdet.engine.bound_session import BoundSession
from ocrdet.engine.lanes import LaneScheduler
from ocrdet.engine.microbatch import MicroBatchScheduler
from ocrdet.engine.providers import SessionPlan
from ocrdet.engine.session import OrtSession
from ocrdet.engine.tensors import TensorMemory
from ocrdet.engine.ticket import Ticket
from ocrdet.engine.warm_up import WarmSession, make_warm
from ocrdet.errors import OutOfDeviceMemory
from ocrdet.vision.normalize import Normalization, make_tensors
from ocrdet.vision.tiles import Window
from tests.unit.engine.pixels import make_manifest, make_pixels, normalisation_of, pixel_detector
from tests.unit.engine.sessions import FakeSession, make_tensor

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from ocrdet.engine.inspection import GraphSpec
    from ocrdet.engine.scheduler import Scheduler

SHAPES = ((64, 64), (64, 32), (32, 96))
MANIFEST = make_manifest(shapes=SHAPES)
CALLERS = 8


class Way:
    """The detector's way from the scaled image to its maps."""

    def __init__(self, scheduler: Scheduler, graph: GraphSpec, normalization: Normalization | None) -> None:
        """By this scheduler; without a normalisation the graph has it."""
        self.scheduler = scheduler
        self._memory = TensorMemory(graph, SHAPES)
        self._normalization = normalization

    def maps(
        self, image: NDArray[np.uint8], shape: tuple[int, int], windows: list[Window]
    ) -> tuple[NDArray[np.float32], ...]:
        """A map per window."""
        new_tensor = partial(self._memory.new_tensor, shape, passes=len(windows))
        tensors = make_tensors(image, windows, self._normalization, new_tensor)
        return self.scheduler.infer(tensors, Ticket()).maps


@pytest.fixture(params=[False, True], ids=["open batch", "fixed batch"])
def ways(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[tuple[Way, Way]]:
    """The way of an accelerator, and that of the CPU."""
    dims = (4 if request.param else "n", "h", "w")
    plain, pixels = pixel_detector(tmp_path, MANIFEST, dims=dims)

    def open_warm() -> WarmSession:
        session = BoundSession(pixels, MANIFEST, SessionPlan("cpu"), memory="cpu")
        return make_warm(session, MANIFEST.shapes, 4)

    batches = MicroBatchScheduler(open_warm)
    session = OrtSession(plain, MANIFEST, SessionPlan())
    lanes = LaneScheduler(session, None, lanes=2, slowest_run_s=1.0, alone=lambda: False)
    yield (
        Way(batches, batches.warm.session.graph, None),
        Way(lanes, session.graph, normalisation_of(MANIFEST)),
    )
    batches.close()
    lanes.close()


def make_image(number: int) -> tuple[NDArray[np.uint8], tuple[int, int], list[Window]]:
    """An image smaller than its shape, or one for several windows of it."""
    height, width = shape = SHAPES[number % len(SHAPES)]
    if number % 4 == 0:
        windows = [Window(left, 0, width, height) for left in (0, width // 2, width)]
        return make_pixels(1, height, 2 * width, number)[0], shape, windows
    inside = Window(0, 0, width - number % 5, height - number % 7)
    return make_pixels(1, inside.height, inside.width, number)[0], shape, [inside]


def test_callers_at_one_time_get_the_maps_that_the_lanes_would_give(ways: tuple[Way, Way]) -> None:
    """Whatever batches they happen to meet in, with black around them and in several windows."""
    accelerator, cpu = ways
    images = [make_image(number) for number in range(6 * CALLERS)]
    with ThreadPoolExecutor(CALLERS) as pool:
        answers = list(pool.map(lambda image: accelerator.maps(*image), images))
    for image, maps in zip(images, answers, strict=True):
        for ours, theirs in zip(maps, cpu.maps(*image), strict=True):
            assert np.ptp(ours) > 0.1
            np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_a_map_stays_as_it_is_when_the_next_batch_overwrites_its_memory(ways: tuple[Way, Way]) -> None:
    """It is the caller's own."""
    accelerator, _ = ways
    (first,) = accelerator.maps(*make_image(1))
    kept = first.copy()
    (second,) = accelerator.maps(*make_image(1 + 2 * len(SHAPES)))
    assert second.shape == first.shape
    assert not np.array_equal(second, kept)
    np.testing.assert_array_equal(first, kept)


def run_batch(session: FakeSession, marks: list[float]) -> list[float]:
    """The marks that come back of images in one call."""
    scheduler = MicroBatchScheduler(lambda: WarmSession(session, ((32, 32),), (1, 2, 4), 0.1))
    try:
        result = scheduler.infer([make_tensor(mark) for mark in marks], Ticket())
        return [float(values[0, 0]) for values in result.maps]
    finally:
        scheduler.close()


def test_a_batch_is_put_together_in_the_memory_that_the_session_gives(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What lies where the device fetches it needs no copy."""
    session, given = FakeSession(), np.empty((4, 3, 2, 2), np.float32)
    seen: list[NDArray[np.generic]] = []
    run = session.run

    def remember(batch: NDArray[np.generic]) -> NDArray[np.float32]:
        seen.append(batch)
        return run(batch)

    monkeypatch.setattr(session, "new_batch", lambda shape: given if shape == given.shape else None)
    monkeypatch.setattr(session, "run", remember)
    assert run_batch(session, [1.0, 2.0, 3.0, 4.0]) == [1.0, 2.0, 3.0, 4.0]
    assert len(seen) == 1
    assert seen[0] is given


def test_a_batch_that_no_memory_is_left_for_is_run_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """As one that fails while it runs."""
    session = FakeSession()
    new_batch = session.new_batch

    def refuse(shape: tuple[int, ...]) -> NDArray[np.generic]:
        if shape[0] > 1:
            raise OutOfDeviceMemory("The device has not enough memory for this batch.")
        return new_batch(shape)

    monkeypatch.setattr(session, "new_batch", refuse)
    assert run_batch(session, [1.0, 2.0, 3.0, 4.0]) == [1.0, 2.0, 3.0, 4.0]
    assert session.batches == [[1.0], [2.0], [3.0], [4.0]]
