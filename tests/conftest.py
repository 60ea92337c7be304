"""What the tests have of their own: a cache, so that nothing is written into the user's, and a Ctrl-C."""

from __future__ import annotations

import os
import signal
import tempfile
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

# As this file is read, which is before any other copies the environment for the servers that it starts.
CACHE = tempfile.TemporaryDirectory(prefix="ocrdet-tests-")
os.environ["XDG_CACHE_HOME"] = CACHE.name
os.environ.pop("CACHE_DIRECTORY", None)


def pytest_unconfigure() -> None:
    """Take the cache away again."""
    CACHE.cleanup()


@pytest.fixture(scope="session", autouse=True)
def _interruptible() -> Iterator[None]:
    """SIGINT as a terminal has it: in the background of a shell it is ignored, also by what tests start."""
    inherited = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, inherited)
