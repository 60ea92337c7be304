"""Rewritten graphs, kept on disk by the checksum of what they were made of.

Beside each graph lies a record with the checksum of the rewritten file, so that a damaged one is made anew.
Where nothing was to rewrite there is a record alone.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import logging
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ocrdet.errors import ConfigurationError
from ocrdet.telemetry.logs import FACTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocrdet.engine.recipe import Recipe
    from ocrdet.engine.store import ModelFiles

log = logging.getLogger(__name__)

# Raised whenever a recipe comes to mean something else, so that what was made before is not taken.
RECIPE_VERSION = 1
PROCESS_TIMEOUT_S = 300.0
MOST_KEPT = 16
# A start that was killed leaves its scratch folder behind.
UNFINISHED = ".making-"
OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


@contextlib.contextmanager
def prepared_graph(files: ModelFiles, recipe: Recipe, cache: Path | None) -> Iterator[Path]:
    """The file of a model's graph as a recipe wants it, for as long as the block lasts.

    Args:
        files: The verified model.
        recipe: What to do to it.
        cache: Folder that keeps the results; None for the user's. Where it cannot be written, they are made
            anew at each start.

    Raises:
        ConfigurationError: It could not be done, and the original graph would not do instead.
    """
    with contextlib.ExitStack() as stack:
        try:
            kept = _trusted_cache(cache, "graphs")
            path = _find(kept, files, recipe) if kept else None
            if path is None:
                folder = writable_cache(cache, "graphs")
                if folder is None:
                    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ocrdet-")))
                path = _make(folder, files, recipe)
        except (OSError, subprocess.SubprocessError, ValueError) as error:
            if recipe.pixels is not None or recipe.half:
                raise ConfigurationError(
                    f"The graph of {files.path.name} cannot be rewritten: {error}"
                ) from error
            log.warning("The graph was not cleaned up, it runs as it is: %s", error)
            path = files.path
        yield path


def writable_cache(cache: Path | None, part: str) -> Path | None:
    """A folder of the cache, made if need be; None where nothing can be kept.

    Args:
        cache: None for the one that a service manager or the user's system names.
        part: The folder's name in it.
    """
    folder = _trusted_cache(cache, part)
    if folder is None:
        return None
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        log.warning("Nothing can be kept in %s, so each start makes it anew: %s", folder, error)
        return None


def _trusted_cache(cache: Path | None, part: str) -> Path | None:
    """A folder of the cache that nobody else can put graphs into, there or not; else None."""
    folder = cache or _default_cache()
    if folder is None:
        return None
    folder /= part
    with contextlib.suppress(OSError):
        facts = folder.stat()
        if facts.st_uid not in {0, os.geteuid()} or facts.st_mode & OTHERS_WRITE:
            log.warning("%s is not used: others than this user may write there. Type: chmod 700", folder)
            return None
    return folder


def _default_cache() -> Path | None:
    named = os.environ.get("CACHE_DIRECTORY", "").split(":")[0]  # systemd, by CacheDirectory=
    if named:
        return Path(named)
    with contextlib.suppress(RuntimeError):  # a user without a home
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ocrdet"
    return None


def _find(folder: Path, files: ModelFiles, recipe: Recipe) -> Path | None:
    """What an earlier start has made, if it is still what it was."""
    graph, record = _places(folder, files, recipe)
    try:
        facts = json.loads(record.read_text("utf-8"))
        with contextlib.suppress(OSError):  # it may be there to be read only
            record.touch()  # in use: not the first to be forgotten
        if facts["changes"] == 0:
            return files.path
        return graph if facts["sha256"] == _digest(graph) else None
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _make(folder: Path, files: ModelFiles, recipe: Recipe) -> Path:
    """Let a process of its own make it, and put it in its place at once and whole.

    Raises:
        ValueError: The process failed, or made another function of the model.
    """
    graph, record = _places(folder, files, recipe)
    with tempfile.TemporaryDirectory(prefix=UNFINISHED, dir=folder) as scratch:
        made = Path(scratch) / graph.name
        facts = _run(files.path, made, recipe)
        if facts["changes"]:
            facts["sha256"] = _digest(made)
            made.replace(graph)
        elif recipe.pixels is not None or recipe.half:
            raise ValueError(f"its probabilities differ by {facts['difference']:.2g}.")
        noted = Path(scratch) / record.name
        noted.write_text(json.dumps(facts) + "\n", "utf-8")
        noted.replace(record)
    with contextlib.suppress(OSError):  # another start may be at it too, and nothing depends on it
        _forget_oldest(folder)
    if not facts["changes"] and facts["difference"]:
        log.warning("The graph was not cleaned up: its output would change.", extra={FACTS: facts})
    else:
        log.info("The graph was prepared.", extra={FACTS: facts})
    return graph if facts["changes"] else files.path


def _run(source: Path, target: Path, recipe: Recipe) -> dict[str, Any]:
    """What the process reports.

    Raises:
        ValueError: It failed; its last words are the reason.
    """
    command = [sys.executable, "-P", "-s", "-m", "ocrdet.engine.graph_process", str(source), str(target)]
    # Not the folder that the service was started in, which may hold an onnx.py: only what it imports itself.
    paths = os.pathsep.join(path for path in sys.path if path)
    done = subprocess.run(  # noqa: S603 - this interpreter, and files that were checked
        [*command, json.dumps(dataclasses.asdict(recipe))],
        env=os.environ | {"PYTHONPATH": paths},
        process_group=0,  # a Ctrl-C in the terminal is for the service alone
        capture_output=True,
        text=True,
        timeout=PROCESS_TIMEOUT_S,
        check=False,
    )
    if done.returncode:
        raise ValueError((done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"])[-1])
    facts: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return facts


def _places(folder: Path, files: ModelFiles, recipe: Recipe) -> tuple[Path, Path]:
    """Where the graph and its record lie."""
    what = json.dumps(
        [RECIPE_VERSION, metadata.version("onnx"), files.sha256, dataclasses.asdict(recipe)], sort_keys=True
    )
    key = hashlib.sha256(what.encode()).hexdigest()[:32]
    return folder / f"{key}.onnx", folder / f"{key}.json"


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _forget_oldest(folder: Path) -> None:
    """Keep what was used last: models come and go, the disk stays as large as it is."""
    for unfinished in folder.glob(f"{UNFINISHED}*"):
        if time.time() - unfinished.stat().st_mtime > PROCESS_TIMEOUT_S:  # noqa: TID251 - as files are dated
            shutil.rmtree(unfinished, ignore_errors=True)
    records = sorted(folder.glob("*.json"), key=lambda path: path.stat().st_mtime)
    for record in records[:-MOST_KEPT]:
        record.with_suffix(".onnx").unlink(missing_ok=True)
        record.unlink(missing_ok=True)
