"""Manifests: completed from their preset, and refused with the field that is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ocrdet.engine.manifest import Manifest, complete_manifest, preset_manifest, read_manifest
from ocrdet.errors import ManifestInvalid

MINIMAL = {"name": "tiny", "version": "1", "preset": "modelscope-db"}


def make_manifest(**fields: object) -> Manifest:
    """A manifest that says only this beside its preset."""
    return complete_manifest(MINIMAL | fields)


def test_a_manifest_says_only_what_differs_from_its_preset() -> None:
    """One threshold given keeps the others, and the normalisation, of the preset."""
    manifest = make_manifest(thresholds={"score": 0.7})
    assert manifest.thresholds.score == 0.7
    assert manifest.thresholds.binary == 0.2
    assert manifest.input.color == "BGR"
    assert manifest.output.activation == "probability"
    assert manifest.shapes == ((800, 800),)


def test_normalisation_is_one_factor_and_one_term_per_channel() -> None:
    """(x * scale - mean) / std, so that black becomes the term."""
    spec = {"scale": 0.5, "mean": [1.0, 2.0, -3.0], "std": [0.25, 0.5, 2.0]}
    normalization = make_manifest(normalization=spec).normalization
    assert normalization.gain == (2.0, 1.0, 0.25)
    assert normalization.offset == (-4.0, -4.0, 1.5)


def test_what_was_measured_of_a_precision_stands_in_the_manifest() -> None:
    """Nothing was, unless it says so."""
    assert make_manifest().agreement == {}
    assert make_manifest(agreement={"bf16": 0.996}).agreement == {"bf16": 0.996}


def test_completing_a_manifest_leaves_the_preset_alone() -> None:
    """The next model of that preset gets the preset's own values."""
    make_manifest(thresholds={"score": 0.7, "scenes": {"document": 0.9}}, input={"color": "RGB"})
    assert make_manifest().thresholds.scenes == {"document": 0.3, "screenshot": 0.2, "industrial": 0.1}
    assert make_manifest().input.color == "BGR"


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"preset": "yolo"}, "Unknown preset 'yolo'; known presets: db-mhliao, doctr, mmocr"),
        ({"preset": None}, "Unknown preset None"),
        ({"preset": ["ppocr-det"]}, "Unknown preset"),
        ({"schema": 2}, "schema: Input should be 1"),
        ({"name": "../tiny"}, "name:"),
        ({"version": ""}, "version:"),
        ({"sha256": "abc"}, "sha256:"),
        ({"colour": "BGR"}, "colour: Extra inputs"),
        ({"input": {"color": "GRB"}}, "input.color: Input should be 'RGB' or 'BGR'"),
        ({"input": None}, "input:"),
        ({"input": "BGR"}, "input:"),
        ({"normalization": {"std": [1, 0, 1]}}, "normalization.std: .*every std must be above 0"),
        ({"normalization": {"mean": [1, 2]}}, "normalization.mean"),
        ({"normalization": {"mean": [float("nan"), 0, 0]}}, "normalization.mean.0: .*finite"),
        ({"normalization": {"scale": 0}}, "normalization.scale"),
        ({"output": {"channel": -1}}, "output.channel"),
        ({"thresholds": {"score": 1.2}}, "thresholds.score"),
        ({"thresholds": {"scenes": {"beach": 0.2}}}, "thresholds.scenes.beach"),
        ({"agreement": {"fp32": 1.0}}, "agreement.fp32"),
        ({"agreement": {"bf16": 1.1}}, "agreement.bf16"),
        ({"shapes": []}, "shapes:"),
        ({"shapes": [[800, 790]]}, "shapes: .*multiple of 32 between 32 and 4096"),
        ({"shapes": [[0, 800]]}, "shapes: .*multiple of 32"),
        ({"shapes": [[8192, 800]]}, "shapes: .*multiple of 32"),
        ({"max_upscale": 0.5}, "max_upscale"),
        ({"self_test": "none"}, "self_test"),
    ],
)
def test_a_wrong_manifest_is_refused_by_field(fields: dict[str, object], complaint: str) -> None:
    """The sentence names the field and what it may be."""
    with pytest.raises(ManifestInvalid, match=complaint):
        make_manifest(**fields)


def test_a_manifest_without_a_name_says_so() -> None:
    """What no preset can fill in must be given."""
    with pytest.raises(ManifestInvalid, match=r"name: Field required; version: Field required"):
        complete_manifest({"preset": "mmocr"})


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"{", "cannot be read as JSON"),
        (b"\xff\xfe{}", "cannot be read as JSON"),
        (b"[1]", "must hold one JSON object"),
        (None, "cannot be read as JSON"),
    ],
)
def test_a_file_that_is_no_manifest_is_refused(tmp_path: Path, content: bytes | None, complaint: str) -> None:
    """Broken JSON, another encoding, another type, no file at all."""
    path = tmp_path / "manifest.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ManifestInvalid, match=complaint):
        read_manifest(path)


def test_a_manifest_is_read_from_utf_8(tmp_path: Path) -> None:
    """Descriptions may be in any language."""
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps(MINIMAL | {"description": "文本检测"}, ensure_ascii=False), encoding="utf-8")
    assert read_manifest(path).description == "文本检测"


@pytest.mark.parametrize(
    ("stem", "name"),
    [
        ("model", "model"),
        ("my model (v2)", "my-model-v2"),
        ("文本", "model"),
        ("_x", "x"),
        ("a" * 80, "a" * 64),
    ],
)
def test_a_bare_file_is_named_after_itself(stem: str, name: str) -> None:
    """Whatever the file is called, the name is fit for labels and paths."""
    assert preset_manifest(Path(f"{stem}.onnx"), "mmocr").name == name


@pytest.mark.parametrize(
    ("scene", "asked", "score", "binary"),
    [
        (None, None, 0.2, 0.2),
        ("document", None, 0.3, 0.2),
        ("industrial", None, 0.1, 0.1),
        ("document", 0.05, 0.05, 0.05),
        (None, 0.9, 0.9, 0.2),
        (None, 0.0, 0.0, 0.0),
    ],
)
def test_a_request_wins_over_its_scene_and_the_scene_over_the_model(
    scene: str | None, asked: float | None, score: float, binary: float
) -> None:
    """A score below the binary threshold lowers the binarisation with it."""
    thresholds = make_manifest().thresholds_for(scene, asked, 0.4)  # type: ignore[arg-type]  # str, not Literal
    assert (thresholds.score, thresholds.binary, thresholds.iou) == (score, binary, 0.4)
    assert thresholds.scene == scene


def test_a_model_without_scenes_keeps_its_own_score() -> None:
    """A scene that its manifest does not know changes nothing."""
    manifest = complete_manifest(MINIMAL | {"preset": "mmocr"})
    assert manifest.thresholds_for("document", None, 0.3).score == manifest.thresholds.score
