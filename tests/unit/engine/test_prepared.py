"""Rewritten graphs on disk: found again, made anew where they are not what they were, and few."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime as ort
import pytest

from ocrdet.engine import prepared
from ocrdet.engine.manifest import complete_manifest
from ocrdet.engine.prepared import MOST_KEPT, prepared_graph
from ocrdet.engine.recipe import PIXELS, PixelInput, Recipe
from ocrdet.engine.store import ModelFiles
from ocrdet.errors import ConfigurationError
from tests.graphs import detector_graph, rewrite_here

if TYPE_CHECKING:
    from collections.abc import Callable

CLEAN = Recipe()
TAKE_PIXELS = Recipe(pixels=PixelInput("x", "NCHW", "BGR", (0.01, 0.01, 0.01), (-1.0, -1.0, -1.0)))
HALF = Recipe(half=True)


def make_files(path: Path, sha256: str = "0" * 64) -> ModelFiles:
    """The model in this file, or another of the same graph by its checksum."""
    manifest = complete_manifest({"name": "tiny", "version": "1", "preset": "ppocr-det"})
    return ModelFiles(manifest, path, sha256)


@pytest.fixture
def files(tmp_path: Path) -> ModelFiles:
    """A model in which a hard-swish can be merged."""
    return make_files(detector_graph(tmp_path / "tiny.onnx", swish=True))


class Process:
    """Stands in for the process, and counts how often it was started.

    Attributes:
        runs: How often.
        fails: What it does instead of rewriting.
    """

    def __init__(self) -> None:
        """Rewrite at once, in this process."""
        self.runs = 0
        self.fails: Callable[[], dict[str, Any]] | None = None

    def run(self, source: Path, target: Path, recipe: Recipe) -> dict[str, Any]:
        """What it reports."""
        self.runs += 1
        return self.fails() if self.fails else rewrite_here(source, target, recipe)


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch) -> Process:
    """No process is started."""
    process = Process()
    monkeypatch.setattr(prepared, "_run", process.run)
    return process


def prepare(files: ModelFiles, recipe: Recipe, cache: Path) -> Path:
    """Where the graph lies, once it is known to be one."""
    with prepared_graph(files, recipe, cache) as path:
        ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        return path


def test_a_graph_is_rewritten_once(tmp_path: Path, files: ModelFiles, process: Process) -> None:
    """Later starts take the file, and no process is started for it."""
    first = prepare(files, CLEAN, tmp_path / "cache")
    assert first.parent == tmp_path / "cache" / "graphs"
    assert prepare(files, CLEAN, tmp_path / "cache") == first
    assert process.runs == 1
    assert len(list(first.parent.iterdir())) == 2


def test_a_graph_that_an_image_was_built_with_is_taken_from_where_nothing_can_be_written(
    tmp_path: Path, files: ModelFiles, process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading comes first, and asks for nothing more."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    first = prepare(files, CLEAN, tmp_path)
    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    monkeypatch.setattr(Path, "touch", refuse)
    assert prepare(files, CLEAN, tmp_path) == first
    assert process.runs == 1


def test_another_start_that_tidies_up_at_the_same_time_harms_nothing(
    tmp_path: Path, files: ModelFiles, process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it lists may be gone a moment later."""

    def vanish(_: Path) -> None:
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(prepared, "_forget_oldest", vanish)
    assert prepare(files, TAKE_PIXELS, tmp_path).is_file()
    assert process.runs == 1


def test_another_model_or_recipe_or_version_of_recipes_is_another_graph(
    tmp_path: Path, files: ModelFiles, process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was made of something else is never taken."""
    other = make_files(files.path, "1" * 64)
    made = [prepare(each, recipe, tmp_path) for each in (files, other) for recipe in (CLEAN, TAKE_PIXELS)]
    monkeypatch.setattr(prepared, "RECIPE_VERSION", prepared.RECIPE_VERSION + 1)
    made.append(prepare(files, CLEAN, tmp_path))
    assert len(set(made)) == process.runs == 5


@pytest.mark.parametrize("damage", [b"", b"{}", b"[]", b'{"changes": 1}', b"\xff", None], ids=str)
@pytest.mark.parametrize("suffix", [".onnx", ".json"])
def test_a_damaged_graph_is_made_anew(
    tmp_path: Path, files: ModelFiles, process: Process, suffix: str, damage: bytes | None
) -> None:
    """Whichever of its two files has lost something, or is gone."""
    path = prepare(files, CLEAN, tmp_path)
    whole = path.read_bytes()
    victim = path.with_suffix(suffix)
    victim.unlink()
    if damage is not None:
        victim.write_bytes(damage)
    assert prepare(files, CLEAN, tmp_path) == path
    assert process.runs == 2
    assert path.read_bytes() == whole


def test_a_graph_in_which_nothing_is_to_do_runs_as_it_is(tmp_path: Path, process: Process) -> None:
    """The cache remembers that, and keeps no copy."""
    files = make_files(detector_graph(tmp_path / "tiny.onnx"))
    for _ in range(2):
        assert prepare(files, CLEAN, tmp_path / "cache") == files.path
    assert process.runs == 1
    assert [path.suffix for path in (tmp_path / "cache" / "graphs").iterdir()] == [".json"]


def test_where_nothing_can_be_kept_each_start_makes_it_anew(
    tmp_path: Path, files: ModelFiles, process: Process, caplog: pytest.LogCaptureFixture
) -> None:
    """For as long as the session takes to load it."""
    (tmp_path / "file").write_text("in the way")
    for start in (1, 2):
        with prepared_graph(files, CLEAN, tmp_path / "file" / "cache") as path:
            assert path.is_file()
            assert tmp_path not in path.parents
        assert not path.exists()
        assert process.runs == start
    assert "Nothing can be kept in" in caplog.text


def test_where_there_is_no_room_at_all_the_graph_runs_as_it_is(
    tmp_path: Path, files: ModelFiles, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A container whose file system is read-only, and which has no folder for temporary files."""
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "file" / "temporary"))
    assert prepare(files, CLEAN, tmp_path / "file" / "cache") == files.path
    assert "it runs as it is" in caplog.text
    with pytest.raises(ConfigurationError, match=r"The graph of tiny\.onnx cannot be rewritten"):
        prepare(files, TAKE_PIXELS, tmp_path / "file" / "cache")


def fail(error: Exception) -> Callable[[], dict[str, Any]]:
    """A process that ends like this."""

    def run() -> dict[str, Any]:
        raise error

    return run


FAILURES = {
    "failed": (fail(ValueError("MemoryError")), "MemoryError"),
    "never ended": (fail(subprocess.TimeoutExpired("python", 300)), "timed out after 300 seconds"),
    "no room": (fail(OSError(28, "No space left on device")), "No space left on device"),
}


@pytest.mark.parametrize(("fails", "reason"), FAILURES.values(), ids=FAILURES)
def test_a_graph_that_could_not_be_cleaned_runs_as_it_is(
    tmp_path: Path,
    files: ModelFiles,
    process: Process,
    caplog: pytest.LogCaptureFixture,
    fails: Callable[[], dict[str, Any]],
    reason: str,
) -> None:
    """With a warning; the next start tries again."""
    process.fails = fails
    assert prepare(files, CLEAN, tmp_path / "cache") == files.path
    (warning,) = (record for record in caplog.records if record.levelname == "WARNING")
    assert reason in warning.getMessage()
    process.fails = None
    assert prepare(files, CLEAN, tmp_path / "cache") != files.path


@pytest.mark.parametrize("recipe", [TAKE_PIXELS, HALF], ids=["pixels", "half"])
@pytest.mark.parametrize(("fails", "reason"), FAILURES.values(), ids=FAILURES)
def test_a_graph_that_must_be_rewritten_and_cannot_is_an_error(
    tmp_path: Path,
    files: ModelFiles,
    process: Process,
    recipe: Recipe,
    fails: Callable[[], dict[str, Any]],
    reason: str,
) -> None:
    """The session would not know what to do with the original."""
    process.fails = fails
    with pytest.raises(ConfigurationError, match=rf"tiny\.onnx cannot be rewritten: .*{reason}"):
        prepare(files, recipe, tmp_path / "cache")
    assert not list((tmp_path / "cache" / "graphs").iterdir())


def test_a_graph_that_computes_something_else_once_rewritten_is_refused(
    tmp_path: Path, files: ModelFiles, process: Process
) -> None:
    """If it is only to be clean, the original does; for pixels nothing does."""
    process.fails = lambda: {"changes": 0, "difference": 0.25}
    assert prepare(files, CLEAN, tmp_path) == files.path
    for _ in range(2):
        with pytest.raises(ConfigurationError, match=r"its probabilities differ by 0\.25"):
            prepare(files, TAKE_PIXELS, tmp_path)
    assert process.runs == 3


@pytest.mark.usefixtures("process")
def test_only_the_newest_graphs_are_kept(tmp_path: Path, files: ModelFiles) -> None:
    """Models come and go; what they leave behind does not grow."""
    made = []
    for number in range(MOST_KEPT + 3):
        made.append(prepare(make_files(files.path, f"{number:064}"), CLEAN, tmp_path / "cache"))
        os.utime(made[-1].with_suffix(".json"), (number, number))
    # The last one was the newest when it was made; its time was set afterwards.
    assert [path.exists() for path in made] == [False] * 3 + [True] * MOST_KEPT
    assert len(list(made[0].parent.iterdir())) == 2 * MOST_KEPT


def answer(code: int, stdout: str = "", stderr: str = "") -> Callable[..., subprocess.CompletedProcess[str]]:
    """A process that ends like this."""
    return lambda command, **_: subprocess.CompletedProcess(command, code, stdout, stderr)


@pytest.mark.parametrize(
    ("ending", "reason"),
    [
        (
            answer(1, stderr="Traceback (most recent call last):\n  ...\nDecodeError: not a graph\n"),
            "not a graph",
        ),
        (answer(-9), "it ended with -9"),
        (answer(0, stdout="no JSON"), "Expecting value"),
    ],
    ids=["error", "killed", "nonsense"],
)
def test_the_last_words_of_the_process_are_the_reason(
    tmp_path: Path,
    files: ModelFiles,
    monkeypatch: pytest.MonkeyPatch,
    ending: Callable[..., subprocess.CompletedProcess[str]],
    reason: str,
) -> None:
    """In one line, whatever became of it."""
    monkeypatch.setattr(subprocess, "run", ending)
    with pytest.raises(ConfigurationError, match=f"cannot be rewritten: .*{reason}"):
        prepare(files, TAKE_PIXELS, tmp_path)


def test_the_real_process_rewrites_a_graph(tmp_path: Path, files: ModelFiles) -> None:
    """Cleaned and taking pixels, and held against the original before it is kept."""
    with prepared_graph(files, TAKE_PIXELS, tmp_path / "cache") as path:
        session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    assert [node.name for node in session.get_inputs()] == [PIXELS]
    assert session.run(None, {PIXELS: np.zeros((1, 32, 32, 3), np.uint8)})[0].shape == (1, 1, 32, 32)


def test_the_real_process_says_what_it_could_not_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The session then says it to the operator; this is only a warning."""
    (tmp_path / "tiny.onnx").write_bytes(b"\x08\x09 no graph")
    with prepared_graph(make_files(tmp_path / "tiny.onnx"), CLEAN, tmp_path / "cache") as path:
        assert path == tmp_path / "tiny.onnx"
    assert "DecodeError" in caplog.text
