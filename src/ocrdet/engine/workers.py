"""The threads that carry images through, and how many calls wait for one of them."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
T = TypeVar("T")


class Workers(ThreadPoolExecutor):
    """A thread pool that can be asked for its size and its queue.

    Attributes:
        threads: How many calls can run at one time.
    """

    def __init__(self, threads: int) -> None:
        """Make a pool; its threads start as they are needed."""
        super().__init__(threads, thread_name_prefix="ocrdet-worker")
        self.threads = threads
        self._unfinished: set[Future[Any]] = set()

    @property
    def waiting(self) -> int:
        """Calls that no thread has taken yet."""
        return max(0, len(self._unfinished) - self.threads)

    @override
    def submit(self, call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Have a thread make a call; raises RuntimeError after `shutdown`."""
        future = super().submit(call, *args, **kwargs)
        self._unfinished.add(future)
        future.add_done_callback(self._unfinished.discard)
        return future
