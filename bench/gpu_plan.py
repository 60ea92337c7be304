"""What one call of `bench/gpu.py` measures, with which models and until when; failures become rows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import onnx
from pydantic import TypeAdapter

from bench.gpu_card import used_mib
from bench.gpu_session import Answer, Task
from bench.processes import ROOT
from bench.resnet18 import MANIFEST, SIDES, build_resnet18
from ocrdet.engine.store import BUILT_IN_FOLDER, MANIFEST_FILE, MODEL_FILE, find_model

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from typing import Literal

BUILT_IN = "ppocrv6-det-small"
RESNET = "resnet18-{}"
# What is measured here must be allowed to run.
AGREEMENT = {"fp16": 1.0}
QUICK_SIDE = 320
LONGEST_S = 120.0

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured.

    Attributes:
        device: cuda; or cpu, to go every way without a card.
        quick: Whether a little of everything is enough.
        models: Folder of each model, by name.
        shapes: (H, W) at which each is measured.
        scratch: Folder for what is made on the way.
        data: Folder of images on which precisions are compared too.
        ends_at: When to leave out the rest, on the monotonic clock.
    """

    device: Literal["cuda", "cpu"]
    quick: bool
    models: Mapping[str, Path]
    shapes: Mapping[str, tuple[int, int]]
    scratch: Path
    data: Path | None
    ends_at: float

    def attempt(self, labels: Row, measure: Callable[[], Row]) -> Row:
        """A row of a table: labels with figures, or with the reason why there are none."""
        print(
            "  " + ", ".join(f"{name} {value}" for name, value in labels.items()), file=sys.stderr, flush=True
        )
        if time.monotonic() > self.ends_at:
            return labels | {"reason": "no time was left; `--only` measures a part by itself"}
        try:
            return labels | measure()
        except Exception as error:  # noqa: BLE001 - one failure must not end the rest
            return labels | {"reason": f"{error}" or repr(error)}

    def seconds(self, whole: float) -> float:
        """How long a load lasts."""
        return whole / 8 if self.quick else whole


def write_models(folder: Path, *, quick: bool) -> tuple[dict[str, Path], dict[str, tuple[int, int]]]:
    """The embedded model and ResNet-18 at each of its sizes, allowed to run in fp16; with their shapes."""
    built_in = json.loads((BUILT_IN_FOLDER / BUILT_IN / MANIFEST_FILE).read_text(encoding="utf-8"))
    del built_in["source"]
    if quick:
        built_in["shapes"] = [[QUICK_SIDE, QUICK_SIDE]]
    models = {BUILT_IN: _write(folder / BUILT_IN, built_in)}
    (models[BUILT_IN] / MODEL_FILE).symlink_to(find_model(BUILT_IN).path)
    shapes = {BUILT_IN: (built_in["shapes"][0][0], built_in["shapes"][0][1])}
    for side in (QUICK_SIDE,) if quick else SIDES:
        name = RESNET.format(side)
        models[name], shapes[name] = _write(folder / name, MANIFEST), (side, side)
        onnx.save(build_resnet18(side), models[name] / MODEL_FILE)
    return models, shapes


def _write(folder: Path, manifest: Row) -> Path:
    folder.mkdir()
    text = json.dumps(manifest | {"agreement": AGREEMENT})
    (folder / MANIFEST_FILE).write_text(text, encoding="utf-8")
    return folder


def ask_session(task: Task) -> Answer:
    """What `bench/gpu_session.py` measures, in a process of its own.

    Raises:
        RuntimeError: It failed; its last words say why.
    """
    text = json.dumps(asdict(task) | {"before_mib": used_mib()})
    return TypeAdapter(Answer).validate_json(run_module("bench.gpu_session", text).splitlines()[-1])


def run_module(module: str, *arguments: str, **variables: str) -> str:
    """What a module of this repository prints, run by this interpreter.

    Args:
        module: Its name.
        *arguments: Of its command line.
        **variables: Of its environment, beside those of this process.

    Raises:
        RuntimeError: It failed; its last words say why.
    """
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        timeout=LONGEST_S,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(last_words(done.stderr) or f"{module} ended with {done.returncode}")
    return done.stdout


def last_words(text: str) -> str:
    """The last line of what a process wrote; without the name of the exception that it may begin with."""
    lines = text.strip().splitlines() or [""]
    name, separator, words = lines[-1].partition(": ")
    return words if separator and name.replace(".", "").isidentifier() else lines[-1]
