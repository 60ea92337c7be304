"""Servers for the tests, started as rarely as possible."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from ocrdet.engine.store import BUILT_IN_FOLDER, MANIFEST_FILE, MODEL_FILE, find_model
from tests.system.server import ServerProcess

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BUILT_IN = "ppocrv6-det-small"


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One with default settings."""
    with ServerProcess(tmp_path_factory.mktemp("server")) as server:
        yield server
        assert server.stop() == 0


@pytest.fixture(scope="session")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the embedded model and one small shape, which is warm in a moment."""
    return write_model(tmp_path_factory.mktemp("model"), shapes=[[320, 320]])


def write_model(folder: Path, **changes: object) -> Path:
    """A model folder with the embedded model, its manifest changed."""
    manifest = json.loads((BUILT_IN_FOLDER / BUILT_IN / MANIFEST_FILE).read_text())
    del manifest["source"]
    (folder / MANIFEST_FILE).write_text(json.dumps(manifest | changes))
    (folder / MODEL_FILE).symlink_to(find_model(BUILT_IN).path)
    return folder
