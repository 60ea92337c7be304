"""The pool of threads."""

from __future__ import annotations

import threading

from ocrdet.engine.workers import Workers


def test_calls_that_no_thread_has_taken_are_waiting() -> None:
    """Running ones are not, and neither are finished or cancelled ones."""
    hold = threading.Event()
    with Workers(2) as workers:
        futures = [workers.submit(hold.wait, 10) for _ in range(5)]
        assert (workers.threads, workers.waiting) == (2, 3)
        assert futures[-1].cancel()
        assert workers.waiting == 2
        hold.set()
        assert all(future.result() for future in futures[:-1])
    assert workers.waiting == 0
