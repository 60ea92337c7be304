"""Admit before decoding: one gate bounds images, their passes, bytes and decoded pixels together."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from concurrent.futures import Future
from typing import TYPE_CHECKING

from ocrdet.errors import Draining, QueueFull

if TYPE_CHECKING:
    from types import TracebackType

    from ocrdet.engine.ticket import Ticket

# Retry-After speaks in whole seconds; past this a client should ask another instance.
MAX_RETRY_AFTER_S = 60
# Completions that the drain rate is measured over.
RATE_WINDOW = 64


class Slot:
    """One admitted image; holds its share of the budgets until released."""

    __slots__ = ("_extra", "_gate", "_pixels", "_released", "_size_bytes", "_ticket")

    def __init__(self, gate: Gate, size_bytes: int, ticket: Ticket | None) -> None:
        """Made by `Gate.admit` and `Gate.admit_waiting` alone; with a ticket it waits where it must."""
        self._gate = gate
        self._ticket = ticket
        self._size_bytes = size_bytes
        self._pixels = 0
        self._extra = 0
        self._released = False

    def resize(self, size_bytes: int) -> None:
        """Hold the true size once the body is read; it never grows past what was admitted."""
        with self._gate._changed:
            if not self._released:
                self._gate._bytes += size_bytes - self._size_bytes
                self._size_bytes = size_bytes

    def reserve(self, pixels: int, passes: int = 1) -> None:
        """Hold decoded pixels and passes through the model as well, before anything is decoded.

        Each pass beyond the first counts like one more image. A lone image always gets through: its own
        limits were checked from the header. A slot of `Gate.admit_waiting` waits until the others leave room.

        Raises:
            QueueFull: With those of all admitted images they would exceed the budget.
            DeadlineExceeded: No room came in time.
            Cancelled: The caller went away meanwhile.
        """
        gate = self._gate
        with gate._changed:
            while lacking := gate._lacking(pixels, passes - 1):
                if self._ticket is None:
                    raise gate._full(*lacking)
                gate._wait(self._ticket)
            gate._pixels += pixels
            gate._extra += passes - 1
            self._pixels += pixels
            self._extra += passes - 1

    def renew(self) -> None:
        """Count one image as finished and keep the slot for the next: a batch works through its images so."""
        self._gate._renew(self)

    def release(self) -> None:
        """Give everything back; a second call does nothing."""
        self._gate._release(self)

    def __enter__(self) -> Slot:
        """Use the slot for a block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Release at the end of the block."""
        self.release()


class Gate:
    """Counts what is admitted and refuses the rest at once, saying when to come back."""

    def __init__(self, *, max_images: int, max_bytes: int, max_pixels: int) -> None:
        """Open a gate with these budgets."""
        self.max_images = max_images
        self.max_bytes = max_bytes
        self.max_pixels = max_pixels
        self._changed = threading.Condition()
        self._images = 0
        self._bytes = 0
        self._pixels = 0
        self._extra = 0
        self._draining = False
        self._busy_since = 0.0
        self._finished: deque[float] = deque(maxlen=RATE_WINDOW)
        self._waiting: deque[Future[None]] = deque()

    def admit(self, *, size_bytes: int, ticket: Ticket | None = None) -> Slot:
        """Take a slot now or be refused now.

        Args:
            size_bytes: Bytes of the body, or the most it may have where it is not known yet.
            ticket: Given by a caller who will wait for room for its pixels.

        Returns:
            A slot; release it when the native work has really ended.

        Raises:
            Draining: The process is about to end.
            QueueFull: A budget is used up.
        """
        with self._changed:
            if self._draining:
                raise Draining(
                    "This instance is shutting down; send the request to another one.", retry_after_s=1
                )
            if self._images and self._images + self._extra >= self.max_images:
                raise self._full("images", self.max_images)
            if self._images and self._bytes + size_bytes > self.max_bytes:
                raise self._full("bytes", self.max_bytes)
            if self._images == 0:
                # An idle hour must not count as slow work.
                self._busy_since = time.monotonic()
                self._finished.clear()
            self._images += 1
            self._bytes += size_bytes
            return Slot(self, size_bytes, ticket)

    def admit_waiting(self, *, size_bytes: int, ticket: Ticket) -> Slot:
        """Take a slot, blocking the calling thread until one is free; the slot waits for pixels as well.

        For callers that are their own back-pressure: a library call holds one thread and one image.

        Raises:
            Draining: The detector was closed meanwhile.
            DeadlineExceeded: No slot came in time.
            Cancelled: The caller went away meanwhile.
        """
        with self._changed:
            while True:
                try:
                    # The lock is re-entrant, so nothing can be given back between this look and the wait.
                    return self.admit(size_bytes=size_bytes, ticket=ticket)
                except QueueFull:
                    self._wait(ticket)

    def _wait(self, ticket: Ticket) -> None:
        ticket.check("decode")
        self._changed.wait(ticket.remaining_s())

    def wait_until_free(self) -> Future[None]:
        """A future that is done at the next release or renewal (at once where nothing is admitted)."""
        future: Future[None] = Future()
        with self._changed:
            if self._images == 0:
                future.set_result(None)
            else:
                self._waiting.append(future)
        return future

    def drain(self) -> None:
        """Refuse everything from now on; what is admitted goes on."""
        with self._changed:
            self._draining = True
            self._changed.notify_all()
            waiting = list(self._waiting)
            self._waiting.clear()
        _resolve(waiting)

    def wait_idle(self, timeout_s: float) -> bool:
        """Wait until nothing is admitted; False if that took longer than `timeout_s`."""
        with self._changed:
            return self._changed.wait_for(lambda: self._images == 0, timeout_s)

    @property
    def draining(self) -> bool:
        """Whether nothing new is taken."""
        return self._draining

    @property
    def inflight_images(self) -> int:
        """Images admitted and not yet finished."""
        return self._images

    @property
    def saturation_ratio(self) -> float:
        """How full the fullest budget is, 0-1."""
        return min(
            1.0,
            max(
                (self._images + self._extra) / self.max_images,
                self._bytes / self.max_bytes,
                self._pixels / self.max_pixels,
            ),
        )

    def _release(self, slot: Slot) -> None:
        with self._changed:
            if slot._released:
                return
            slot._released = True
            self._images -= 1
            self._bytes -= slot._size_bytes
            waiting = self._finish_image(slot)
        _resolve(waiting)

    def _renew(self, slot: Slot) -> None:
        with self._changed:
            if slot._released:
                return
            waiting = self._finish_image(slot)
        _resolve(waiting)

    def _finish_image(self, slot: Slot) -> list[Future[None]]:
        """Everybody who waits; one alone might have given up, or need more than came free."""
        self._finished.extend([time.monotonic()] * (1 + slot._extra))
        self._pixels -= slot._pixels
        self._extra -= slot._extra
        slot._pixels = slot._extra = 0
        self._changed.notify_all()
        waiting = list(self._waiting)
        self._waiting.clear()
        return waiting

    def _lacking(self, pixels: int, extra: int) -> tuple[str, int] | None:
        """The budget, and its limit, that has no room for these pixels and passes beyond the first."""
        # Only what others reserved too is waited for: they run. Else two might wait for each other.
        if pixels and self._pixels and self._pixels + pixels > self.max_pixels:
            return "decoded pixels", self.max_pixels
        if extra and self._extra and self._images + self._extra + extra > self.max_images:
            return "images and tiles", self.max_images
        return None

    def _full(self, what: str, limit: int) -> QueueFull:
        return QueueFull(
            f"All {limit} {what} that may be in work at one time are taken; try again later.",
            retry_after_s=self._retry_after_s(),
            limit=limit,
            budget=what,
        )

    def _retry_after_s(self) -> int:
        """Seconds until half of what is admitted now has left, at the measured rate."""
        full = len(self._finished) == RATE_WINDOW
        since = self._finished[0] if full else self._busy_since
        # Before the first one has left, the time it has taken so far is the best guess.
        rate = max(1, len(self._finished)) / max(time.monotonic() - since, 1e-3)
        waiting = self._images + self._extra
        return min(MAX_RETRY_AFTER_S, max(1, math.ceil(waiting / 2 / rate)))


def _resolve(futures: list[Future[None]]) -> None:
    for future in futures:
        if future.set_running_or_notify_cancel():
            future.set_result(None)
