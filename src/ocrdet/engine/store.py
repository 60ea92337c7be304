"""Where models are: built in, or in a folder or file of the operator's."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib import metadata, resources
from pathlib import Path

from ocrdet.engine.manifest import Manifest, preset_manifest, read_manifest
from ocrdet.engine.presets import PRESETS
from ocrdet.errors import ChecksumMismatch, ManifestInvalid, ModelNotFound

MODEL_FILE = "model.onnx"
MANIFEST_FILE = "manifest.json"
BUILT_IN_FOLDER = Path(str(resources.files("ocrdet.models")))


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """A model on disk and what it says of itself.

    Attributes:
        manifest: Completed and validated.
        path: The `.onnx` file.
        sha256: Of the file as it lies there, already held against the manifest.
    """

    manifest: Manifest
    path: Path
    sha256: str

    def describe(self) -> dict[str, object]:
        """The model and its thresholds, as JSON can say it."""
        manifest = self.manifest
        model = manifest.model_dump(include={"name", "version", "preset", "license"})
        return {"model": model | {"sha256": self.sha256}, "thresholds": manifest.thresholds.model_dump()}


def built_in_names() -> list[str]:
    """Names of the models that need no file of the operator's, sorted."""
    return sorted(path.parent.name for path in BUILT_IN_FOLDER.glob(f"*/{MANIFEST_FILE}"))


def find_model(model: str, preset: str | None = None) -> ModelFiles:
    """Find a model and verify its checksum.

    Args:
        model: Built-in name, folder with `model.onnx` and `manifest.json`, or a bare `.onnx` file.
        preset: For a bare file without a manifest beside it.

    Returns:
        The file and its manifest.

    Raises:
        ModelNotFound: Nothing is there under that name or path.
        ManifestInvalid: The manifest is wrong, or a bare file came without a preset.
        ChecksumMismatch: The file is not the one its manifest describes.
    """
    files = _find(model, preset)
    if preset not in (None, files.manifest.preset):
        raise ManifestInvalid(
            f"OCRDET_MODEL_PRESET={preset}, but the manifest of {files.manifest.name} says "
            f"{files.manifest.preset}. A manifest decides; unset the variable."
        )
    return files


def _find(model: str, preset: str | None) -> ModelFiles:
    if model in built_in_names():
        manifest = read_manifest(BUILT_IN_FOLDER / model / MANIFEST_FILE)
        return _verified(manifest, _built_in_file(manifest))
    path = Path(model).expanduser()
    if path.is_dir():
        return _from_folder(path)
    if path.is_file() and path.suffix == ".onnx":
        return _from_bare_file(path, preset)
    if path.exists():
        raise ModelNotFound(f"{path} is neither a folder nor a file that ends in .onnx.")
    raise ModelNotFound(
        f"There is no built-in model and no file named {model!r}. Built in: {', '.join(built_in_names())}; "
        f"else give a folder with {MODEL_FILE} and {MANIFEST_FILE}, or an .onnx file with a preset."
    )


def _from_folder(folder: Path) -> ModelFiles:
    for name in (MODEL_FILE, MANIFEST_FILE):
        if not (folder / name).is_file():
            raise ModelNotFound(f"The model folder {folder} holds no {name}.")
    return _verified(read_manifest(folder / MANIFEST_FILE), folder / MODEL_FILE)


def _from_bare_file(path: Path, preset: str | None) -> ModelFiles:
    beside = path.with_name(MANIFEST_FILE)
    if beside.is_file():
        return _verified(read_manifest(beside), path)
    if preset is None:
        from ocrdet.engine.session import propose_for_file  # opens the graph, only to explain

        proposed = propose_for_file(path)
        hint = (
            f"By the names of its tensors it may be {' or '.join(proposed)}; names alone do not decide."
            if proposed
            else "The names of its tensors do not tell which."
        )
        raise ManifestInvalid(
            f"{path.name} has no manifest, so its preset must be named: set OCRDET_MODEL_PRESET to one of "
            f"{', '.join(PRESETS)}. {hint}"
        )
    files = _verified(preset_manifest(path, preset), path)
    _refuse_known_otherwise(files)
    return files


def _refuse_known_otherwise(files: ModelFiles) -> None:
    """A wrong preset still finds clean text, only worse: where the file is known, it is not believed.

    Raises:
        ManifestInvalid: The file is a built-in model's, and its preset is another.
    """
    for name in built_in_names():
        known = read_manifest(BUILT_IN_FOLDER / name / MANIFEST_FILE)
        if known.sha256 == files.sha256 and known.preset != files.manifest.preset:
            raise ManifestInvalid(
                f"{files.path.name} is the built-in model {name}, whose preset is {known.preset}, not "
                f"{files.manifest.preset}. Set OCRDET_MODEL={name} instead."
            )


def _built_in_file(manifest: Manifest) -> Path:
    source = manifest.source
    if source is None:
        return BUILT_IN_FOLDER / manifest.name / MODEL_FILE
    try:
        path = Path(str(metadata.distribution(source.distribution).locate_file(source.resource)))
    except metadata.PackageNotFoundError as error:
        raise ModelNotFound(
            f"The model {manifest.name} lies in the Python distribution {source.distribution}, which is not "
            f"installed. Install ocrdet with its locked requirements."
        ) from error
    if not path.is_file():
        raise ModelNotFound(
            f"The distribution {source.distribution} does not hold {source.resource}; "
            f"reinstall it at the locked version."
        )
    return path


def _verified(manifest: Manifest, path: Path) -> ModelFiles:
    try:
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelNotFound(f"{path} cannot be read: {error.strerror}.") from error
    if manifest.sha256 is not None and manifest.sha256 != sha256:
        raise ChecksumMismatch(
            f"The file of model {manifest.name} {manifest.version} has SHA-256 {sha256}, its manifest says "
            f"{manifest.sha256}. The file was changed or only half copied; put the right one in place."
        )
    return ModelFiles(manifest, path, sha256)
