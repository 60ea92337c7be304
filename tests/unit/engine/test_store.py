"""Finding models: built in, in a folder, or a bare file."""

from __future__ import annotations

import hashlib
import json
from importlib import metadata
from pathlib import Path

import pytest

from ocrdet.engine import store
from ocrdet.engine.manifest import preset_manifest
from ocrdet.engine.store import ModelFiles, built_in_names, find_model
from ocrdet.errors import ChecksumMismatch, ManifestInvalid, ModelNotFound
from tests.graphs import detector_graph, seglink_graph

BYTES = b"not looked into here"
MANIFEST = {"name": "tiny", "version": "1.2", "preset": "mmocr"}


def make_folder(folder: Path, **fields: object) -> Path:
    """A model folder with a manifest that says this."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(BYTES)
    (folder / "manifest.json").write_text(json.dumps(MANIFEST | fields))
    return folder


@pytest.fixture
def built_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of built-in models that holds `tiny`, whose file lies in the distribution `carrier`."""
    source = {"distribution": "carrier", "resource": "carrier/tiny.onnx"}
    (make_folder(tmp_path / "models" / "tiny", source=source) / "model.onnx").unlink()
    monkeypatch.setattr(store, "BUILT_IN_FOLDER", tmp_path / "models")
    return tmp_path


def test_a_folder_holds_a_model_and_its_manifest(tmp_path: Path) -> None:
    """The checksum is that of the file as it lies there."""
    digest = hashlib.sha256(BYTES).hexdigest()
    files = find_model(str(make_folder(tmp_path, sha256=digest)))
    assert (files.manifest.name, files.manifest.version) == ("tiny", "1.2")
    assert files.path == tmp_path / "model.onnx"
    assert files.sha256 == digest


def test_a_file_that_its_manifest_does_not_describe_is_refused(tmp_path: Path) -> None:
    """Half a copy, or another model under the old manifest."""
    with pytest.raises(ChecksumMismatch, match=r"tiny 1\.2 has SHA-256 .* its manifest says 0000"):
        find_model(str(make_folder(tmp_path, sha256="0" * 64)))


@pytest.mark.parametrize("missing", ["model.onnx", "manifest.json"])
def test_half_a_folder_is_refused_with_what_is_missing(tmp_path: Path, missing: str) -> None:
    """Both files belong together."""
    (make_folder(tmp_path) / missing).unlink()
    with pytest.raises(ModelNotFound, match=f"holds no {missing}"):
        find_model(str(tmp_path))


def test_nothing_under_that_name_lists_what_is_built_in() -> None:
    """A typing error is mended from the sentence alone."""
    with pytest.raises(ModelNotFound, match=r"'ppocr-small'.*Built in: ppocrv6-det-small"):
        find_model("ppocr-small")


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    """A PyTorch checkpoint is no model file of this service."""
    path = tmp_path / "model.pt"
    path.write_bytes(BYTES)
    with pytest.raises(ModelNotFound, match=r"neither a folder nor a file that ends in \.onnx"):
        find_model(str(path))


def test_a_file_that_may_not_be_read_is_refused_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service user without the right to read is an everyday mistake."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    folder = make_folder(tmp_path)
    monkeypatch.setattr(Path, "open", refuse)
    monkeypatch.setattr(store, "read_manifest", lambda _: preset_manifest(Path("tiny.onnx"), "mmocr"))
    with pytest.raises(ModelNotFound, match=r"model\.onnx cannot be read: Permission denied"):
        find_model(str(folder))


def test_a_bare_file_takes_its_preset(tmp_path: Path) -> None:
    """Its name is that of the file, its version unknown."""
    path = tmp_path / "my model.onnx"
    path.write_bytes(BYTES)
    files = find_model(str(path), "doctr")
    assert (files.manifest.name, files.manifest.preset) == ("my-model", "doctr")
    with pytest.raises(ManifestInvalid, match="Unknown preset 'yolo'"):
        find_model(str(path), "yolo")


@pytest.mark.parametrize(
    ("names", "hint"),
    [
        (("images", "pred"), "may be modelscope-db or webui or webui-div255; names alone do not decide"),
        (("input", "output"), "may be mmocr or db-mhliao; names alone do not decide"),
        (("data", "prob"), "names of its tensors do not tell which"),
    ],
)
def test_a_bare_file_without_a_preset_is_refused_with_a_proposal(
    tmp_path: Path, names: tuple[str, str], hint: str
) -> None:
    """Two families share names and differ in colour order, so nothing is guessed."""
    path = detector_graph(tmp_path / "tiny.onnx", names=names)
    with pytest.raises(ManifestInvalid, match=rf"tiny.onnx has no manifest.*OCRDET_MODEL_PRESET.*{hint}"):
        find_model(str(path))


def test_a_graph_with_several_outputs_proposes_nothing(tmp_path: Path) -> None:
    """The name of the first says nothing about the whole."""
    with pytest.raises(ManifestInvalid, match="do not tell which"):
        find_model(str(seglink_graph(tmp_path / "tiny.onnx")))


@pytest.mark.parametrize("content", [b"", b"a text file\n", b"\x08\x09\x12\x04"])
def test_a_bare_file_that_is_no_graph_is_refused(tmp_path: Path, content: bytes) -> None:
    """Even without a preset the sentence is about the file."""
    path = tmp_path / "broken.onnx"
    path.write_bytes(content)
    with pytest.raises(ManifestInvalid, match=r"broken\.onnx cannot be loaded by ONNX Runtime"):
        find_model(str(path))


def test_a_manifest_beside_a_bare_file_decides(tmp_path: Path) -> None:
    """And a preset that says otherwise is a contradiction, not a choice."""
    path = make_folder(tmp_path) / "model.onnx"
    assert find_model(str(path)).manifest.version == "1.2"
    assert find_model(str(path), "mmocr").manifest.version == "1.2"
    with pytest.raises(
        ManifestInvalid, match="OCRDET_MODEL_PRESET=doctr, but the manifest of tiny says mmocr"
    ):
        find_model(str(path), "doctr")


def fake_distribution(monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    """Install `carrier` under this folder."""

    class Distribution:
        @staticmethod
        def locate_file(name: str) -> Path:
            return root / name

    def distribution(name: str) -> type[Distribution]:
        if name != "carrier":
            raise metadata.PackageNotFoundError(name)
        return Distribution

    monkeypatch.setattr(metadata, "distribution", distribution)


def test_a_built_in_model_lies_in_a_distribution(built_in: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is copied: the file is read where it was installed."""
    fake_distribution(monkeypatch, built_in)
    (built_in / "carrier").mkdir()
    (built_in / "carrier" / "tiny.onnx").write_bytes(BYTES)
    files = find_model("tiny")
    assert isinstance(files, ModelFiles)
    assert files.path == built_in / "carrier" / "tiny.onnx"


def test_a_built_in_model_without_its_file_names_the_distribution(
    built_in: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not installed, or installed at another version."""
    assert built_in_names() == ["tiny"]
    with pytest.raises(ModelNotFound, match="distribution carrier, which is not installed"):
        find_model("tiny")
    fake_distribution(monkeypatch, built_in)
    with pytest.raises(ModelNotFound, match=r"carrier does not hold carrier/tiny\.onnx"):
        find_model("tiny")


def test_a_known_file_under_a_wrong_preset_is_refused(built_in: Path) -> None:
    """A wrong normalisation still finds clean text, only worse: nobody would notice."""
    (built_in / "copy.onnx").write_bytes(BYTES)
    source = {"distribution": "carrier", "resource": "carrier/tiny.onnx"}
    make_folder(built_in / "models" / "tiny", sha256=hashlib.sha256(BYTES).hexdigest(), source=source)
    with pytest.raises(
        ManifestInvalid, match=r"is the built-in model tiny, whose preset is mmocr, not webui"
    ):
        find_model(str(built_in / "copy.onnx"), "webui")
    assert find_model(str(built_in / "copy.onnx"), "mmocr").manifest.preset == "mmocr"
