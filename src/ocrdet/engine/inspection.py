"""What a graph says of itself: names, axis order, shapes, and whether it is a DB text detector at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ocrdet.engine.manifest import MULTIPLE
from ocrdet.engine.recipe import PIXELS
from ocrdet.errors import ManifestInvalid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ocrdet.engine.manifest import Manifest

Dims = tuple[int | None, ...]
IMAGE_AXES = 4
MAP_AXES = (2, 3, 4)
COLOURS = 3
RECOGNISER_HEIGHTS = (32, 48, 64)
DTYPES: dict[str, type[np.floating[Any]]] = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
PIXELS_TYPE = "tensor(uint8)"


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One input or output of a graph.

    Attributes:
        name: Its name.
        dims: Its axes; None where an axis is dynamic.
        onnx_type: ONNX Runtime's word for its type, as tensor(float).
    """

    name: str
    dims: Dims
    onnx_type: str

    @property
    def dtype(self) -> type[np.floating[Any] | np.uint8]:
        """The numpy type: float32 or float16; uint8 where the graph was rewritten to take pixels."""
        return np.uint8 if self.onnx_type == PIXELS_TYPE else DTYPES[self.onnx_type]


@dataclass(frozen=True, slots=True)
class GraphSpec:
    """A graph that has passed the checks.

    Attributes:
        input: The image input.
        output: The probability map.
        layout: Axis order of the input.
        static_height: Where the graph fixes it, else None.
        static_width: The same.
        static_batch: Batch size where the graph's input or output fixes it, else None.
    """

    input: TensorSpec
    output: TensorSpec
    layout: Literal["NCHW", "NHWC"]
    static_height: int | None
    static_width: int | None
    static_batch: int | None

    @property
    def takes_pixels(self) -> bool:
        """Whether the graph takes (N, H, W, 3) uint8 RGB, and normalises by itself."""
        return self.input.onnx_type == PIXELS_TYPE

    def batch_shape(self, size: int, height: int, width: int) -> tuple[int, int, int, int]:
        """Shape of an input tensor."""
        return (size, 3, height, width) if self.layout == "NCHW" else (size, height, width, 3)

    def shapes(self, wanted: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
        """The closed set of (H, W) to warm: those wanted, but for the sides that the graph fixes."""
        fitted = ((self.static_height or height, self.static_width or width) for height, width in wanted)
        return tuple(dict.fromkeys(fitted))

    def batch_sizes(self, largest: int) -> tuple[int, ...]:
        """The closed set of batch sizes: powers of two up to `largest`, or the graph's own."""
        if self.static_batch:
            return (self.static_batch,)
        return tuple(2**power for power in range(largest.bit_length()) if 2**power <= largest)


def pixel_graph(inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec], manifest: Manifest) -> GraphSpec:
    """The same for a graph that was checked before it was rewritten to take pixels.

    Raises:
        ManifestInvalid: It has no input for pixels.
    """
    image = _pick(inputs, PIXELS, "input")
    output = _pick(outputs, manifest.output.name, "output")
    own_batch = output.dims[0] if len(output.dims) > MAP_AXES[0] else 1
    return GraphSpec(image, output, "NHWC", image.dims[1], image.dims[2], image.dims[0] or own_batch)


def check_graph(inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec], manifest: Manifest) -> GraphSpec:
    """Take image input and probability map from a graph, or say why it is no text detector.

    Raises:
        ManifestInvalid: The graph cannot be a DB text detector, or contradicts its manifest.
    """
    image = _pick(inputs, manifest.input.name, "input")
    if len(image.dims) != IMAGE_AXES:
        raise ManifestInvalid(
            f"The input {image.name} has {len(image.dims)} axes; an image needs {IMAGE_AXES} (batch, "
            "channels, height, width)."
        )
    layout = _layout(image, manifest)
    if layout == "NHWC" and len(outputs) > 1 and manifest.output.name is None:
        raise ManifestInvalid(
            f"An NHWC graph with {len(outputs)} outputs looks like SegLink++ (cv_resnet18_ocr-detection-line-"
            f"level without `db`), whose links and segments are no probability map. Export the `-db-` model."
        )
    output = _pick(outputs, manifest.output.name, "output")
    for tensor in (image, output):
        if tensor.onnx_type not in DTYPES:
            raise ManifestInvalid(
                f"{tensor.name} is {tensor.onnx_type}; a text detector takes and gives float or float16."
            )
    if len(output.dims) not in MAP_AXES:
        raise ManifestInvalid(
            f"The output {output.name} has {len(output.dims)} axes; a probability map has "
            f"{MAP_AXES[0]} to {MAP_AXES[-1]}."
        )
    height, width = _sides(image, layout)
    if height in RECOGNISER_HEIGHTS and (width is None or width > height):
        raise ManifestInvalid(
            f"An input {height} pixels high belongs to a text recogniser or line classifier, not a detector."
        )
    if (height or 0) % MULTIPLE or (width or 0) % MULTIPLE:
        raise ManifestInvalid(
            f"The input is fixed at {height or 'any'}x{width or 'any'}; both sides must divide by {MULTIPLE}."
        )
    _refuse_other_networks(image, output, layout)
    # A map without a batch axis is one image's.
    own_batch = output.dims[0] if len(output.dims) > MAP_AXES[0] else 1
    return GraphSpec(image, output, layout, height, width, image.dims[0] or own_batch)


def _sides(image: TensorSpec, layout: str) -> tuple[int | None, int | None]:
    top = 2 if layout == "NCHW" else 1
    return image.dims[top], image.dims[top + 1]


def _pick(tensors: Sequence[TensorSpec], name: str | None, what: str) -> TensorSpec:
    if not tensors:
        raise ManifestInvalid(f"The graph has no {what}.")
    names = ", ".join(tensor.name for tensor in tensors)
    if name is None and len(tensors) > 1:
        raise ManifestInvalid(
            f"The graph has several {what}s ({names}), and their order does not tell which to take; write a "
            f'manifest.json beside it with "{what}": {{"name": ...}}.'
        )
    for tensor in tensors:
        if name in (None, tensor.name):
            return tensor
    raise ManifestInvalid(f"The manifest names the {what} {name}; the graph has {names}.")


def _layout(image: TensorSpec, manifest: Manifest) -> Literal["NCHW", "NHWC"]:
    seen: Literal["NCHW", "NHWC"] | None = None
    stated = manifest.input.layout
    if image.dims[1] == COLOURS:
        seen = "NCHW"
    elif image.dims[3] == COLOURS:
        seen = "NHWC"
    elif image.dims[3 if stated == "NHWC" else 1] is not None:
        raise ManifestInvalid(
            f"The input {image.name} {_text(image)} has no axis of {COLOURS} colour channels."
        )
    if stated and seen and stated != seen:
        raise ManifestInvalid(f"The manifest says {stated}, but the graph's input {_text(image)} is {seen}.")
    return stated or seen or "NCHW"


def _refuse_other_networks(image: TensorSpec, output: TensorSpec, layout: str) -> None:
    """Tell a recogniser or a classifier from its fixed axes, before anything is run.

    Raises:
        ManifestInvalid: It is one.
    """
    height, width = _sides(image, layout)
    first, *_, last = output.dims
    if len(output.dims) == MAP_AXES[0] and first == image.dims[0] and last not in (None, width):
        raise ManifestInvalid(
            f"The output {output.name} {_text(output)} is one row of scores for an image: a classifier, "
            f"not a text detector."
        )
    if len(output.dims) == MAP_AXES[1] and height is not None and output.dims[1] not in (None, height):
        raise ManifestInvalid(
            f"The output {output.name} {_text(output)} is rows of character scores: a recogniser, "
            f"not a text detector."
        )


def _text(tensor: TensorSpec) -> str:
    return "x".join("any" if dim is None else str(dim) for dim in tensor.dims)
