"""A request's deadline and cancellation, looked at between stages."""

from __future__ import annotations

import time

from ocrdet.errors import Cancelled, DeadlineExceeded


class Ticket:
    """Says whether an answer is still wanted; made at the first byte, shared by threads."""

    __slots__ = ("_cancelled", "_queued_at", "created", "deadline", "queued_s", "timeout_s")

    def __init__(self, timeout_s: float | None = None) -> None:
        """Start the clock; None means the caller waits as long as it takes."""
        self.created = time.monotonic()
        self.timeout_s = timeout_s
        self.deadline = None if timeout_s is None else self.created + timeout_s
        self.queued_s = 0.0
        self._queued_at: float | None = None
        self._cancelled = False

    def enqueue(self) -> None:
        """Mark that the request now waits for a worker."""
        self._queued_at = time.monotonic()

    def dequeue(self) -> None:
        """Mark that a worker has taken it; `queued_s` is how long that took."""
        if self._queued_at is not None:
            self.queued_s = time.monotonic() - self._queued_at

    def elapsed_s(self) -> float:
        """Seconds since the first byte."""
        return time.monotonic() - self.created

    def cancel(self) -> None:
        """Say that nobody waits for the answer any more."""
        self._cancelled = True

    @property
    def cancelled(self) -> bool:
        """Whether the caller went away."""
        return self._cancelled

    def remaining_s(self) -> float | None:
        """Seconds until the deadline, at least 0; None without one."""
        return None if self.deadline is None else max(0.0, self.deadline - time.monotonic())

    def require(self, needed_s: float, stage: str) -> None:
        """Refuse work that cannot end in time, before it begins.

        Args:
            needed_s: The least it will take.
            stage: The stage that will take it.

        Raises:
            DeadlineExceeded: Less than that remains.
        """
        remaining_s = self.remaining_s()
        if remaining_s is not None and remaining_s < needed_s:
            raise DeadlineExceeded(
                f"The {stage} stage of this image takes at least {needed_s * 1000:.0f} ms, and "
                f"{remaining_s * 1000:.0f} ms are left. Ask for more time or send a smaller part.",
                stage=stage,
            )

    def check(self, stage: str) -> None:
        """Stop work that nobody wants before it is done.

        Args:
            stage: The stage about to begin.

        Raises:
            Cancelled: The caller went away.
            DeadlineExceeded: The deadline has passed.
        """
        if self._cancelled:
            raise Cancelled("The caller went away before the answer was ready.", stage=stage)
        if self.deadline is not None and time.monotonic() >= self.deadline:
            raise DeadlineExceeded(
                f"No answer within {round((self.timeout_s or 0) * 1000)} ms; the work was dropped "
                f"before its {stage} stage. Ask for more time or send less at once.",
                stage=stage,
            )
