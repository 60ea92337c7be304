"""How long one image spends in each stage: for its answer and for the metrics at the same time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ocrdet.values import Timings

if TYPE_CHECKING:
    from ocrdet.telemetry.metrics import Metrics, Stage


class StageClock:
    """The laps of one image."""

    def __init__(self, metrics: Metrics | None = None) -> None:
        """Start the first lap."""
        self._metrics = metrics
        self._seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, stage: Stage) -> None:
        """End a stage and begin the next."""
        last, self._last = self._last, time.perf_counter()
        self.note(stage, self._last - last)

    def note(self, stage: Stage, seconds: float) -> None:
        """Record a stage that was measured elsewhere."""
        self._seconds[stage] = seconds
        if self._metrics is not None:
            self._metrics.observe_stage(stage, seconds)

    def restart(self) -> None:
        """Begin a lap now; what has passed since the last one belongs to stages that were noted."""
        self._last = time.perf_counter()

    def timings(self, total_s: float) -> Timings:
        """Milliseconds of every stage so far, and of the whole."""
        return Timings(
            **{stage: seconds * 1e3 for stage, seconds in self._seconds.items()}, total=total_s * 1e3
        )
