"""A cache of the tests' own: whatever they launch, nothing is written into the user's."""

from __future__ import annotations

import os
import tempfile

# As this file is read, which is before any other copies the environment for the servers that it starts.
CACHE = tempfile.TemporaryDirectory(prefix="ocrdet-tests-")
os.environ["XDG_CACHE_HOME"] = CACHE.name
os.environ.pop("CACHE_DIRECTORY", None)


def pytest_unconfigure() -> None:
    """Take it away again."""
    CACHE.cleanup()
