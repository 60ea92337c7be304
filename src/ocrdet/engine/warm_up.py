"""Before anything is served: every shape run, every map checked, an accelerator held against the CPU."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ocrdet.errors import ConfigurationError, ManifestInvalid, SelfTestFailed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ocrdet.engine.session import Session

# An accelerator that is no faster than this many times one CPU thread is not in use.
LEAST_SPEED_UP = 1.5
PROBE_RUNS = 3
# Rounding may carry a probability this far out of [0, 1].
ROUNDING = 1e-3


@dataclass(frozen=True, slots=True)
class WarmSession:
    """A session that has run everything it will ever be asked to run.

    Attributes:
        session: The session.
        shapes: Closed set of warmed (H, W).
        batch_sizes: Closed set of warmed batch sizes: 1 and larger ones, or the graph's own fixed size alone.
        slowest_run_s: The slowest run once warm: the measure of patience.
    """

    session: Session
    shapes: tuple[tuple[int, int], ...]
    batch_sizes: tuple[int, ...]
    slowest_run_s: float


def make_warm(session: Session, wanted: Sequence[tuple[int, int]], largest_batch: int) -> WarmSession:
    """Warm a new session for everything it will be asked.

    Args:
        session: Just made.
        wanted: (H, W) for a graph that leaves them open; a static graph has its own alone.
        largest_batch: Images in one run at most.

    Raises:
        ManifestInvalid: The output does not lie over the input, pixel for pixel.
        SelfTestFailed: The output is not a probability map.
    """
    shapes, sizes = session.graph.shapes(wanted), session.graph.batch_sizes(largest_batch)
    return WarmSession(session, shapes, sizes, warm_up(session, shapes, sizes))


def warm_up(session: Session, shapes: Sequence[tuple[int, int]], batch_sizes: Sequence[int]) -> float:
    """Run every shape and batch size that will ever be used.

    Returns:
        Seconds of the slowest run once warm: the measure of the watchdog's patience.

    Raises:
        ManifestInvalid: The output does not lie over the input, pixel for pixel.
        SelfTestFailed: The output is not a probability map.
    """
    # The largest first: the smaller ones then find room in the memory that it took.
    for height, width in sorted(shapes, key=math.prod, reverse=True):
        for size in sorted(batch_sizes, reverse=True):
            maps = session.run(_pattern(session, size, height, width))
            _check_maps(maps, size, height, width)
    # The first run of a shape allocates and chooses algorithms; the second is what a request meets.
    height, width = max(shapes, key=lambda shape: shape[0] * shape[1])
    slowest = _pattern(session, max(batch_sizes), height, width)
    started = time.perf_counter()
    session.run(slowest)
    return time.perf_counter() - started


def probe_speed(session: Session, reference: Session, shape: tuple[int, int]) -> None:
    """Hold an accelerator against one CPU thread.

    Raises:
        ConfigurationError: It is not clearly faster, so the work is really done by the CPU.
    """
    fast_s, slow_s = (_fastest_run_s(each, shape) for each in (session, reference))
    if slow_s < fast_s * LEAST_SPEED_UP:
        raise ConfigurationError(
            f"{session.provider} needs {fast_s * 1000:.0f} ms where one CPU thread needs "
            f"{slow_s * 1000:.0f} ms: the graph is not running on the device. See `ocrdet doctor`."
        )


def _pattern(session: Session, size: int, height: int, width: int) -> NDArray[np.generic]:
    """An input with contrast: on a flat one, logits without a bias are all 0 and pass as probabilities."""
    top = 255.0 if session.graph.takes_pixels else 1.0
    ramp = np.linspace(0.0, top, 1009).astype(session.graph.input.dtype)
    return np.resize(ramp, session.graph.batch_shape(size, height, width))


def _fastest_run_s(session: Session, shape: tuple[int, int]) -> float:
    batch = _pattern(session, 1, *shape)
    times = []
    for _ in range(PROBE_RUNS):
        started = time.perf_counter()
        session.run(batch)
        times.append(time.perf_counter() - started)
    return min(times)


def _check_maps(maps: NDArray[np.float32], size: int, height: int, width: int) -> None:
    if maps.shape != (size, height, width):
        raise ManifestInvalid(
            f"For a batch of {size}, {height}x{width} pixels, the graph answers {tuple(maps.shape)} instead "
            f"of one probability per pixel: a recogniser, a classifier or another kind of detector, not a DB "
            f"one."
        )
    low, high = float(maps.min()), float(maps.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise SelfTestFailed("The model's output on a black picture is not finite on this device.")
    if low < -ROUNDING or high > 1 + ROUNDING:
        raise SelfTestFailed(
            f"The model's output ranges from {low:.3g} to {high:.3g}, so it is no probability. If the graph "
            f'ends before its sigmoid, say "activation": "logits" under "output" in the manifest.'
        )
