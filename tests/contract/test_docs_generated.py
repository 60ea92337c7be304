"""The documents that the code knows are the ones that lie in docs/."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from docs import generate

ROOT = Path(__file__).resolve().parents[2]


def test_no_generated_document_is_stale() -> None:
    """Settings, metrics and commands are documented as they are; `make docs` brings them up to date."""
    check = [sys.executable, str(ROOT / "docs/generate.py"), "--check"]
    answer = subprocess.run(check, capture_output=True, text=True, check=False)
    assert (answer.returncode, answer.stdout) == (0, ""), answer.stderr


def test_the_check_names_what_is_stale(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A document that is missing or differs fails the check and is named, and writing mends it."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "README.md").write_text(f"# x\n{generate.BEGIN}\nold\n{generate.END}\nrest\n")
    monkeypatch.setattr(generate, "ROOT", tmp_path)
    monkeypatch.setattr(sys, "argv", ["generate.py", "--check"])
    assert generate.main() == 1
    told = capsys.readouterr().out
    assert all(name in told for name in ("settings.md", "metrics.md", "cli.md", "README.md"))
    monkeypatch.setattr(sys, "argv", ["generate.py"])
    assert generate.main() == 0
    monkeypatch.setattr(sys, "argv", ["generate.py", "--check"])
    assert generate.main() == 0
    readme = (tmp_path / "README.md").read_text()
    assert readme.startswith(f"# x\n{generate.BEGIN}\n| Variable")
    assert readme.endswith(f"{generate.END}\nrest\n")


def test_every_preset_is_documented() -> None:
    """docs/models.md is written by hand; a new preset must not be forgotten there."""
    from ocrdet.engine.presets import PRESETS

    page = (ROOT / "docs/models.md").read_text()
    assert [name for name in PRESETS if f"| `{name}` |" not in page] == []
