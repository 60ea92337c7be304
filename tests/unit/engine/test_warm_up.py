"""Before anything is served: every shape run, every map checked, an accelerator held against the CPU."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray

from ocrdet.engine.warm_up import LEAST_SPEED_UP, probe_speed, warm_up
from ocrdet.errors import ConfigurationError, ManifestInvalid, SelfTestFailed
from tests.unit.engine.sessions import GRAPH, PIXEL_GRAPH, Clock, FakeSession

if TYPE_CHECKING:
    from ocrdet.engine.inspection import GraphSpec


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of every run."""
    clock = Clock()
    monkeypatch.setattr(time, "perf_counter", clock)
    return clock


def make_slow(session: FakeSession, clock: Clock, *seconds: float) -> FakeSession:
    """A session whose runs take these times, the last one from then on."""
    left = list(seconds)

    def script(_: list[float]) -> None:
        clock.now += left.pop(0) if len(left) > 1 else left[0]

    session.script = script
    return session


def test_every_shape_is_run_with_every_batch_size() -> None:
    """Nothing reaches a request that was not run before."""
    session = FakeSession()
    warm_up(session, [(32, 64), (64, 32)], (1, 2))
    assert set(session.shapes) == {(1, 3, 32, 64), (2, 3, 32, 64), (1, 3, 64, 32), (2, 3, 64, 32)}


@pytest.mark.parametrize(("graph", "top"), [(GRAPH, 1), (PIXEL_GRAPH, 255)], ids=["tensor", "pixels"])
def test_a_session_is_warmed_with_all_values_that_its_input_may_have(graph: GraphSpec, top: int) -> None:
    """On a flat input, logits without a bias are all 0 and pass as probabilities."""
    session, seen = FakeSession(), list[NDArray[np.generic]]()

    def answer(batch: NDArray[np.generic]) -> NDArray[np.float32]:
        seen.append(batch)
        return np.zeros((len(batch), 32, 64), np.float32)

    session.graph = graph
    session.run = answer  # type: ignore[method-assign]
    warm_up(session, [(32, 64)], (1, 2))
    assert {batch.shape for batch in seen} == {graph.batch_shape(size, 32, 64) for size in (1, 2)}
    for batch in seen:
        assert batch.dtype == graph.input.dtype
        assert (batch.min(), batch.max()) == (0, top)


def test_the_slowest_run_is_taken_once_warm(clock: Clock) -> None:
    """The first run of each shape pays for what later ones do not."""
    session = make_slow(FakeSession(), clock, 9.0, 1.0, 8.0, 3.0, 7.0, 2.0)
    assert warm_up(session, [(32, 32), (32, 64), (64, 32)], (1,)) == 3.0


@pytest.mark.parametrize("shape", [(1, 8, 16), (1, 32), (1, 32, 64, 1)])
def test_a_map_that_does_not_lie_over_its_image_is_refused(shape: tuple[int, ...]) -> None:
    """A recogniser, a classifier, or a detector that answers at a quarter of the size."""
    session = FakeSession()
    session.answer = lambda batch: np.zeros((len(batch), *shape[1:]), np.float32)
    with pytest.raises(ManifestInvalid, match=r"batch of 1, 32x64 pixels, the graph answers .* not a DB one"):
        warm_up(session, [(32, 64)], (1,))


@pytest.mark.parametrize("value", [-0.5, 1.5, 7.0])
def test_a_map_that_is_no_probability_is_refused_with_what_to_say_of_logits(value: float) -> None:
    """The commonest mistake with a new model."""
    session = FakeSession()
    session.answer = lambda batch: np.full(batch[:, 0].shape, value, np.float32)
    with pytest.raises(SelfTestFailed, match='"activation": "logits"'):
        warm_up(session, [(32, 64)], (1,))


def test_a_map_that_is_not_finite_is_refused() -> None:
    """Half precision on a device that cannot hold this network."""
    session = FakeSession()
    session.answer = lambda batch: np.full(batch[:, 0].shape, np.nan, np.float32)
    with pytest.raises(SelfTestFailed, match="not finite"):
        warm_up(session, [(32, 64)], (1,))


def test_rounding_does_not_make_a_probability_wrong() -> None:
    """Half precision may end a little above 1."""
    session = FakeSession()
    session.answer = lambda batch: np.full(batch[:, 0].shape, 1.0005, np.float32)
    warm_up(session, [(32, 64)], (1,))


def test_an_accelerator_that_is_no_faster_than_a_cpu_thread_is_refused(clock: Clock) -> None:
    """Rule 9: the fastest of a few runs counts, on both sides."""
    slow = make_slow(FakeSession(), clock, 9.0, 1.0 * LEAST_SPEED_UP, 9.0)
    fast = make_slow(FakeSession(), clock, 5.0, 1.01, 5.0)
    with pytest.raises(ConfigurationError, match="needs 1010 ms where one CPU thread needs 1500 ms"):
        probe_speed(fast, slow, (32, 32))


def test_an_accelerator_that_is_clearly_faster_passes(clock: Clock) -> None:
    """Half as fast again is enough."""
    slow, fast = make_slow(FakeSession(), clock, LEAST_SPEED_UP), make_slow(FakeSession(), clock, 0.99)
    probe_speed(fast, slow, (32, 64))
    assert set(fast.shapes) == {(1, 3, 32, 64)}
