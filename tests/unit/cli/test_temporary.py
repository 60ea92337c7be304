"""Where temporary files go: to the folder that was named, or nowhere."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING

import pytest

from ocrdet.cli.temporary import LEAST_FREE_BYTES, check_temporary_folder, prepare_temporary_folder
from ocrdet.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python's own choice, which it keeps in a global, comes back after each test."""
    monkeypatch.setattr(tempfile, "tempdir", None)


@pytest.mark.parametrize("given", [True, False])
def test_temporary_files_never_move_to_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, given: bool
) -> None:
    """They fail once the one that was given, or that TMPDIR names, cannot be written to any more."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path if given else folder))
    prepare_temporary_folder(folder if given else None)
    with tempfile.NamedTemporaryFile() as file:
        assert file.name.startswith(str(folder))
    folder.rmdir()
    with pytest.raises(FileNotFoundError):
        tempfile.TemporaryFile()  # noqa: SIM115 - it does not open


def test_a_folder_that_is_nearly_full_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is served; the sentence says how much is needed."""
    assert check_temporary_folder(tmp_path) > 0

    class Usage:
        free = LEAST_FREE_BYTES - 1

    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage)
    with pytest.raises(ConfigurationError, match="at least 64 are needed"):
        prepare_temporary_folder(tmp_path)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """It is not made: a typing error would go unseen."""
    with pytest.raises(ConfigurationError, match="does not exist"):
        prepare_temporary_folder(tmp_path / "missing")
