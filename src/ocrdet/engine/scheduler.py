"""What every scheduler promises: tensors in, finite maps out, and the truth about its progress.

`lanes.py` keeps the promise on the CPU, `microbatch.py` on an accelerator.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from ocrdet.errors import DeviceLost, InferenceFailed, OutOfDeviceMemory

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from ocrdet.engine.ticket import Ticket

# A run may take this many times its slowest warmed run before the queue counts as stalled.
PATIENCE_FACTOR = 10
LEAST_PATIENCE_S = 30.0
# Out of device memory with single images, this often in a row, is a broken device.
MEMORY_FAILURES_UNTIL_BROKEN = 3


@dataclass(frozen=True, slots=True)
class InferenceResult:
    """The maps of one image's passes and what they cost.

    Attributes:
        maps: (H, W) float32 probabilities of each pass.
        waited_s: Seconds spent waiting for runs.
        ran_s: Seconds of the runs (of whole batches, where the image was in one with others).
    """

    maps: tuple[NDArray[np.float32], ...]
    waited_s: float
    ran_s: float


class Scheduler(Protocol):
    """Takes one image's tensors, gives its maps; callers block, each on a thread of its own."""

    def infer(self, tensors: Iterable[NDArray[np.generic]], ticket: Ticket) -> InferenceResult:
        """Run one image.

        Args:
            tensors: One (1, ...) tensor per pass, all of one shape, as the session wants it. The next may be
                asked for before the last one has run; each is left alone until this returns.
            ticket: Looked at before each run.

        Raises:
            DeadlineExceeded: It waited too long.
            Cancelled: The caller went away.
            InferenceFailed: The run failed for this image.
        """
        ...

    @property
    def queue_depth(self) -> int:
        """Images waiting for a run."""
        ...

    def trouble(self) -> str | None:
        """Why the device cannot be trusted any more, or None."""
        ...

    def stalled(self) -> str | None:
        """Why work seems to have stopped, or None."""
        ...

    def close(self) -> None:
        """Refuse new work, let what runs end, free the sessions."""
        ...


class Progress:
    """Remembers when a run last ended, and whether the device is lost: what health asks."""

    def __init__(self, slowest_run_s: float) -> None:
        """Start with the slowest warmed run as the measure of patience."""
        self.patience_s = max(LEAST_PATIENCE_S, PATIENCE_FACTOR * slowest_run_s)
        self._lock = threading.Lock()
        self._waiting = 0
        self._since = time.monotonic()
        self._trouble: str | None = None
        self._memory_failures = 0

    def begin(self) -> None:
        """Count one more image that waits for its map."""
        with self._lock:
            if self._waiting == 0:
                self._since = time.monotonic()
            self._waiting += 1

    def move(self) -> None:
        """Note that a run has ended, though its images may need more of them."""
        self._since = time.monotonic()

    def end(self, error: BaseException | None = None) -> None:
        """Count one image as answered, and learn from its error."""
        with self._lock:
            self._waiting -= 1
            self._since = time.monotonic()
            if isinstance(error, DeviceLost):
                self._trouble = error.detail
            elif isinstance(error, OutOfDeviceMemory):
                self._memory_failures += 1
                if self._memory_failures >= MEMORY_FAILURES_UNTIL_BROKEN:
                    self._trouble = "Single images repeatedly do not fit into the device's memory."
            elif error is None:
                self._memory_failures = 0

    def trouble(self) -> str | None:
        """Why the device cannot be trusted any more; sticky."""
        return self._trouble

    def stalled(self) -> str | None:
        """Why work seems to have stopped, or None."""
        quiet_s = time.monotonic() - self._since
        if self._waiting and quiet_s > self.patience_s:
            return f"{self._waiting} images wait and none was finished for {quiet_s:.0f} s."
        return None


def finite(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """The map itself, once it is known to hold numbers only.

    Raises:
        InferenceFailed: A value is not finite: never to be taken for "no regions".
    """
    # One pass: a sum carries every NaN and infinity through, and a map's sum cannot overflow.
    with np.errstate(invalid="ignore"):  # of two infinities; said below, and not on standard error
        total = values.sum(dtype=np.float32)
    if not np.isfinite(total):
        raise InferenceFailed("The model's output is not finite.")
    return values
