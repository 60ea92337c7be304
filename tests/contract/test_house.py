"""The house rules that no linter knows: file length, names, and nothing that belongs to one machine."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LONGEST = 300
VAGUE = {"base", "common", "core", "helper", "helpers", "manager", "misc", "util", "utils"}
FOREIGN = {"build", "dist", "node_modules", "__pycache__"}
#: A file in somebody's home or workplace; the folders' bare names are words of an operator.
MACHINE = re.compile(r"(?<![\w.:*/])/(root|home|Users|work)/[\w.]+[\w./-]*")


def files(*suffixes: str) -> Iterator[Path]:
    """Yields the project's own files, those with one of the suffixes if any are given."""
    for path in sorted(ROOT.rglob("*")):
        folders = path.relative_to(ROOT).parts[:-1]
        foreign = any(name in FOREIGN or (name.startswith(".") and name != ".ci") for name in folders)
        if path.is_file() and not foreign and (not suffixes or path.suffix in suffixes):
            yield path


def text(path: Path) -> str:
    """Returns a file's text, or nothing for a picture, a model and the like."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


def test_no_python_file_is_longer_than_a_sitting() -> None:
    """A file of more than 300 lines holds more than one thing: it wants to be two files."""
    long = {
        str(path.relative_to(ROOT)): lines
        for path in files(".py")
        if (lines := len(text(path).splitlines())) > LONGEST
    }
    assert not long


def test_no_module_has_a_vague_name() -> None:
    """A module is named for what it holds; `utils` and its kin hold anything."""
    assert not [str(path.relative_to(ROOT)) for path in files(".py") if VAGUE & {path.stem, path.parent.name}]


def test_no_file_names_one_machine() -> None:
    """What was true on one machine only is not part of the project."""
    found = {str(path.relative_to(ROOT)): hit[0] for path in files() if (hit := MACHINE.search(text(path)))}
    assert not found


@pytest.mark.parametrize("name", ["Makefile", ".ci/run", "requirements/lock.sh"])
def test_entry_points_end_their_lines_the_unix_way(name: str) -> None:
    """A carriage return would break make and the shells."""
    assert b"\r" not in (ROOT / name).read_bytes()


@pytest.mark.parametrize("name", [".ci/run", "requirements/lock.sh"])
def test_scripts_can_be_started(name: str) -> None:
    """They are called by their path, so they carry the executable bit."""
    assert (ROOT / name).stat().st_mode & 0o111


def test_the_package_carries_its_types() -> None:
    """Those who import ocrdet get its annotations."""
    assert (ROOT / "src/ocrdet/py.typed").is_file()
