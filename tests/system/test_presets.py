"""Every family of models, from its file to its map: presets proven on graphs whose map can be worked out."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ocrdet.engine import launch, prepared
from ocrdet.engine.bound_session import BoundSession
from ocrdet.engine.launch import LaunchPlan, launch_engine
from ocrdet.engine.providers import SessionPlan
from ocrdet.engine.store import find_model
from ocrdet.engine.ticket import Ticket
from ocrdet.errors import ManifestInvalid, SelfTestFailed
from ocrdet.vision.normalize import Normalization, normalize_into, place_pixels
from tests.graphs import (
    classifier_graph,
    detector_graph,
    expected_map,
    recogniser_graph,
    rewrite_here,
    seglink_graph,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ocrdet.engine.launch import Engine
    from ocrdet.engine.manifest import Manifest
    from ocrdet.engine.store import ModelFiles

IMAGENET_255 = {"scale": 1.0, "mean": (123.675, 116.28, 103.53), "std": (58.395, 57.12, 57.375)}
MODELSCOPE = {
    "bgr": True,
    "scale": 1 / 255,
    "mean": np.array([123.68, 116.78, 103.94]) / 255,
    "std": (1, 1, 1),
}
DIV_255 = {"bgr": True, "scale": 1 / 255, "mean": (0, 0, 0), "std": (1, 1, 1)}
MHLIAO = {
    "bgr": True,
    "scale": 1 / 255,
    "mean": np.array([122.679, 116.669, 104.007]) / 255,
    "std": (1, 1, 1),
}
PPOCR = {"bgr": True, "scale": 1 / 255, "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
DOCTR = {"bgr": False, "scale": 1 / 255, "mean": (0.798, 0.785, 0.772), "std": (0.264, 0.2749, 0.287)}
MMOCR = IMAGENET_255 | {"bgr": False}

HEIGHT, WIDTH = 96, 64
DYNAMIC = ("batch", "height", "width")
# Preset, how its family is exported, and what it does to a pixel: the rows of the table of presets.
ROWS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "modelscope, rank 3": (
        "modelscope-db",
        {"names": ("images", "pred"), "dims": (1, 96, 64), "rank": 3},
        MODELSCOPE,
    ),
    "modelscope, rank 4": ("modelscope-db", {"names": ("images", "pred"), "dims": ("n", 96, 64)}, MODELSCOPE),
    "webui": ("webui", {"names": ("in", "out"), "dims": (1, 96, 64)}, MODELSCOPE),
    "webui, rank 2": ("webui", {"names": ("in", "out"), "dims": (1, 96, 64), "rank": 2}, MODELSCOPE),
    "webui, /255": ("webui-div255", {"names": ("images", "pred"), "dims": (1, 96, 64)}, DIV_255),
    "db-mhliao": ("db-mhliao", {"names": ("input", "output"), "dims": DYNAMIC}, MHLIAO),
    "ppocr v2-v4": ("ppocr-det", {"names": ("x", "sigmoid_0.tmp_0"), "dims": DYNAMIC}, PPOCR),
    "ppocr v5-v6": ("ppocr-det", {"names": ("x", "fetch_name_0"), "dims": DYNAMIC}, PPOCR),
    "ppocr, half": ("ppocr-det", {"names": ("x", "fetch_name_0"), "dims": DYNAMIC, "half": True}, PPOCR),
    "mmocr 1.x": ("mmocr", {"names": ("input", "output"), "dims": DYNAMIC, "rank": 3}, MMOCR),
    "mmocr 0.x": ("mmocr", {"names": ("input", "output"), "dims": DYNAMIC, "channels": 3}, MMOCR),
    "doctr": ("doctr", {"names": ("input", "logits"), "dims": ("n", 96, 64), "logits": True}, DOCTR),
    "doctr, NHWC": (
        "doctr",
        {"names": ("input", "logits"), "dims": ("n", 96, 64), "logits": True, "layout": "NHWC"},
        DOCTR,
    ),
    "static batch": ("ppocr-det", {"dims": (2, 96, 64)}, PPOCR),
}


@pytest.fixture(autouse=True)
def _rewrite_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process for each of these graphs would take longer than all that is tested here."""
    monkeypatch.setattr(prepared, "_run", rewrite_here)


def launch_cpu(files: ModelFiles) -> Engine:
    """An engine on one CPU."""
    return launch_engine(files, LaunchPlan("cpu", cpus=1), alone=lambda: True)


def launch_batches(files: ModelFiles, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """An engine as on an accelerator, with the CPU in its place."""

    def open_session(path: Path, manifest: Manifest, _: SessionPlan) -> BoundSession:
        return BoundSession(path, manifest, SessionPlan("cpu"), memory="cpu")

    monkeypatch.setattr(launch, "BoundSession", open_session)
    monkeypatch.setattr(launch, "probe_speed", lambda *_: None)
    return launch_engine(files, LaunchPlan("cuda", cpus=1, max_micro_batch_images=2), alone=lambda: True)


def run_image(engine: Engine, files: ModelFiles, pixels: np.ndarray[Any, np.dtype[np.uint8]]) -> Any:  # noqa: ANN401 - an array
    """The map of an image that fills the model's input."""
    spec = files.manifest.normalization
    normalization = Normalization(files.manifest.input.color, engine.graph.layout, spec.gain, spec.offset)
    tensor = np.empty(engine.graph.batch_shape(1, *pixels.shape[:2]), engine.graph.input.dtype)
    if engine.graph.takes_pixels:
        place_pixels(pixels, tensor)
    else:
        normalize_into(pixels, normalization, tensor)
    return engine.scheduler.infer([tensor], Ticket()).maps[0]


def write_manifest(folder: Path, **fields: object) -> None:
    """A manifest for a dynamic model of the test's own size."""
    manifest = {"name": "tiny", "version": "1", "shapes": [[HEIGHT, WIDTH]], **fields}
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize("device", ["cpu", "accelerator"])
@pytest.mark.parametrize(("preset", "export", "pixel"), ROWS.values(), ids=ROWS)
def test_a_preset_gives_the_map_that_its_family_would_give(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    device: str,
    preset: str,
    export: dict[str, Any],
    pixel: dict[str, Any],
) -> None:
    """Colour order, normalisation, axis order, channel, rank, sigmoid and type are right all together."""
    detector_graph(tmp_path / "model.onnx", **export)
    write_manifest(tmp_path, preset=preset)
    files = find_model(str(tmp_path))
    engine = launch_cpu(files) if device == "cpu" else launch_batches(files, monkeypatch)
    assert engine.graph.takes_pixels is (device == "accelerator")
    assert engine.shapes == ((HEIGHT, WIDTH),)
    pixels = np.random.default_rng(11).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    values = run_image(engine, files, pixels)
    assert (values.shape, values.dtype) == ((HEIGHT, WIDTH), np.float32)
    np.testing.assert_allclose(
        values, expected_map(pixels, **pixel), atol=5e-3 if export.get("half") else 1e-5
    )
    engine.scheduler.close()


@pytest.mark.parametrize("preset", ["webui", "webui-div255", "db-mhliao", "ppocr-det", "mmocr"])
def test_no_other_preset_gives_the_same_map(tmp_path: Path, preset: str) -> None:
    """The graph tells presets apart, so the test above could fail; a logits preset shows in the range."""
    path = detector_graph(tmp_path / "model.onnx", names=("input", "logits"), dims=("n", 96, 64))
    files = find_model(str(path), preset)
    engine = launch_cpu(files)
    pixels = np.random.default_rng(11).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    values = run_image(engine, files, pixels)
    near = [
        name
        for name, (_, _, pixel) in ROWS.items()
        if np.abs(values - expected_map(pixels, **pixel)).max() < 1e-4
    ]
    assert {ROWS[name][0] for name in near} <= {preset, "modelscope-db"}
    assert near
    engine.scheduler.close()


def test_a_graph_without_its_sigmoid_is_refused_under_a_preset_for_probabilities(tmp_path: Path) -> None:
    """And the sentence says which word of the manifest mends it."""
    path = detector_graph(tmp_path / "model.onnx", logits=True)
    write_manifest(tmp_path, preset="mmocr")
    with pytest.raises(SelfTestFailed, match='"activation": "logits"'):
        launch_cpu(find_model(str(path)))
    write_manifest(tmp_path, preset="mmocr", output={"activation": "logits"})
    launch_cpu(find_model(str(path))).scheduler.close()


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (classifier_graph, "one row of scores for an image: a classifier"),
        (lambda path: classifier_graph(path, "side"), "one row of scores for an image: a classifier"),
        (recogniser_graph, "48 pixels high belongs to a text recogniser"),
        (lambda path: recogniser_graph(path, "height"), "a recogniser, a classifier or another kind"),
        (seglink_graph, r"SegLink\+\+ .*Export the `-db-` model"),
        (lambda path: detector_graph(path, dims=(1, 800, 790)), "800x790; both sides must divide by 32"),
        (lambda path: detector_graph(path, dims=(1, 100, "width")), "100xany; both sides must divide by 32"),
    ],
    ids=[
        "classifier",
        "dynamic classifier",
        "recogniser",
        "dynamic recogniser",
        "SegLink++",
        "static width",
        "static height",
    ],
)
def test_a_graph_of_another_kind_is_refused_with_an_explanation(
    tmp_path: Path, make: Callable[[Path], Path], complaint: str
) -> None:
    """A preset does not make a text detector of it."""
    files = find_model(str(make(tmp_path / "model.onnx")), "ppocr-det")
    with pytest.raises(ManifestInvalid, match=complaint):
        launch_cpu(files)


@pytest.mark.parametrize("length", [0, 10, 200])
def test_a_truncated_file_is_refused_with_an_explanation(tmp_path: Path, length: int) -> None:
    """An interrupted copy: the manifest has no checksum that would have told."""
    path = detector_graph(tmp_path / "model.onnx")
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(ManifestInvalid, match=r"model\.onnx cannot be loaded by ONNX Runtime"):
        launch_cpu(find_model(str(path), "ppocr-det"))
