"""Pixels, the tensors that the host makes of them, and graphs that take them as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ocrdet.engine.manifest import Manifest, complete_manifest
from ocrdet.engine.recipe import PixelInput, Recipe
from ocrdet.vision.normalize import Normalization, normalize_into
from tests.graphs import detector_graph, rewrite_here

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import DTypeLike, NDArray


def make_manifest(**parts: object) -> Manifest:
    """A manifest with these parts beside its preset."""
    return complete_manifest({"name": "tiny", "version": "1", "preset": "ppocr-det", **parts})


def make_pixels(count: int, height: int, width: int, seed: int = 9) -> NDArray[np.uint8]:
    """Images of noise of all grey levels."""
    return np.random.default_rng(seed).integers(0, 256, (count, height, width, 3), np.uint8)


def normalise(
    pixels: NDArray[np.uint8], normalization: Normalization, dtype: DTypeLike = np.float32
) -> NDArray[Any]:
    """The tensor of images for a graph as its model has it."""
    count, height, width, _ = pixels.shape
    shape = (3, height, width) if normalization.layout == "NCHW" else (height, width, 3)
    tensor: NDArray[Any] = np.empty((count, *shape), dtype)
    for number, image in enumerate(pixels):
        normalize_into(image, normalization, tensor[number : number + 1])
    return tensor


def normalisation_of(manifest: Manifest, layout: Any = "NCHW") -> Normalization:  # noqa: ANN401 - a Literal
    """What a manifest says, as the detector takes it."""
    spec = manifest.normalization
    return Normalization(manifest.input.color, layout, spec.gain, spec.offset)


def pixel_detector(path: Path, manifest: Manifest, **graph: Any) -> tuple[Path, Path]:  # noqa: ANN401 - see there
    """`detector_graph` as it is, and rewritten to take pixels."""
    plain = detector_graph(path / "tiny.onnx", **graph)
    asked = normalisation_of(manifest, graph.get("layout", "NCHW"))
    name, _ = graph.get("names", ("x", "map"))
    pixels = PixelInput(name, asked.layout, asked.color, asked.gain, asked.offset)
    rewrite_here(plain, path / "pixels.onnx", Recipe(pixels=pixels))
    return plain, path / "pixels.onnx"
