"""Where rewritten and compiled graphs are kept."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from ocrdet.engine.prepared import writable_cache

CACHES = {
    "systemd's first": ({"CACHE_DIRECTORY": "/one:/two", "XDG_CACHE_HOME": "/xdg"}, "one"),
    "the user's": ({"XDG_CACHE_HOME": "/xdg"}, "xdg/ocrdet"),
    "the home's": ({"XDG_CACHE_HOME": "", "HOME": "/home"}, "home/.cache/ocrdet"),
}


@pytest.mark.parametrize(("variables", "expected"), CACHES.values(), ids=CACHES)
def test_without_a_setting_the_cache_is_where_the_system_has_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], expected: str
) -> None:
    """A service manager's folder comes first, a user's next."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value.replace("/", f"{tmp_path}/") if value else "")
    assert writable_cache(None, "graphs") == tmp_path / expected / "graphs"
    assert writable_cache(tmp_path / "own", "graphs") == tmp_path / "own" / "graphs"


def test_a_user_without_a_home_has_no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """A number that no table of users knows."""

    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", no_home)
    assert writable_cache(None, "graphs") is None


def test_a_folder_that_is_there_and_takes_no_file_is_no_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read-only, or somebody else's."""

    def refuse(**_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    assert writable_cache(tmp_path, "graphs") is None


@pytest.mark.parametrize("mode", [0o770, 0o707])
def test_a_folder_that_others_can_write_to_is_no_cache(
    tmp_path: Path, mode: int, caplog: pytest.LogCaptureFixture
) -> None:
    """What lies there may be anybody's graph; and what is made has a mode that keeps others out."""
    folder = tmp_path / "graphs"
    assert writable_cache(tmp_path, "graphs") == folder
    assert folder.stat().st_mode & 0o077 == 0
    folder.chmod(mode)
    assert writable_cache(tmp_path, "graphs") is None
    assert "others than this user may write there" in caplog.text
