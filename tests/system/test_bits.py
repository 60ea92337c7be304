"""The embedded model gives the same bits in every lane, alone and in company."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import pytest

from ocrdet.engine.lanes import LaneScheduler
from ocrdet.engine.prepared import prepared_graph
from ocrdet.engine.providers import SessionPlan
from ocrdet.engine.recipe import Recipe
from ocrdet.engine.session import OrtSession
from ocrdet.engine.store import find_model
from ocrdet.engine.ticket import Ticket

if TYPE_CHECKING:
    from collections.abc import Iterator

SHAPES = [(320, 320), (320, 256), (96, 320)]
CALLERS = 8


@pytest.fixture(scope="module")
def sessions() -> Iterator[tuple[OrtSession, OrtSession]]:
    """A narrow and a wide session over the same weights, as a launch makes them."""
    files = find_model("ppocrv6-det-small")
    with prepared_graph(files, Recipe(), None) as path:
        pair = tuple(OrtSession(path, files.manifest, SessionPlan("cpu", threads)) for threads in (1, 3))
    yield pair[0], pair[1]
    for session in pair:
        session.close()


def make_tensors(count: int) -> list[np.ndarray[tuple[int, ...], np.dtype[np.float32]]]:
    """Images of noise, in all shapes by turns."""
    rng = np.random.default_rng(5)
    return [rng.standard_normal((1, 3, *SHAPES[i % len(SHAPES)])).astype(np.float32) for i in range(count)]


def test_narrow_and_wide_sessions_give_the_same_bits(sessions: tuple[OrtSession, OrtSession]) -> None:
    """Threads split a convolution by its outputs and never within a sum."""
    narrow, wide = sessions
    for tensor in make_tensors(len(SHAPES)):
        values = narrow.run(tensor)
        assert np.ptp(values) > 0
        assert values.tobytes() == wide.run(tensor).tobytes()


def test_eight_callers_get_the_bits_of_the_serial_run(sessions: tuple[OrtSession, OrtSession]) -> None:
    """Whatever the lanes do meanwhile, and whichever session an image meets."""
    narrow, wide = sessions
    tensors = make_tensors(3 * CALLERS)
    serial = [narrow.run(tensor).tobytes() for tensor in tensors]
    turns = iter(range(len(tensors)))
    scheduler = LaneScheduler(narrow, wide, lanes=2, slowest_run_s=1.0, alone=lambda: next(turns) % 3 == 0)
    with ThreadPoolExecutor(CALLERS) as pool:
        answers = pool.map(lambda tensor: scheduler.infer([tensor], Ticket()).maps[0].tobytes(), tensors)
    assert list(answers) == serial
