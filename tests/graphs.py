"""Tiny ONNX graphs, made by the tests: a detector whose map can be worked out by hand, and its strangers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ocrdet.engine.graph import rewrite_graph

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from ocrdet.engine.recipe import Recipe

Dim = int | str
Axis = Literal["NCHW", "NHWC"]
# No two channels weigh the same, so that a swapped colour order changes the map.
WEIGHTS = np.array([0.9, -0.7, 0.4])
BIAS = -0.2
OPSET = 17
IR_VERSION = 9


def expected_map(
    pixels: NDArray[np.uint8], *, bgr: bool, scale: float, mean: Sequence[float], std: Sequence[float]
) -> NDArray[np.float64]:
    """The map of `detector_graph` for uint8 RGB pixels, in float64."""
    ordered = pixels[..., ::-1] if bgr else pixels
    normalised = (ordered.astype(np.float64) * scale - np.array(mean)) / np.array(std)
    return np.asarray(1 / (1 + np.exp(-(normalised @ WEIGHTS + BIAS))))


def detector_graph(
    path: Path,
    *,
    names: tuple[str, str] = ("x", "map"),
    dims: tuple[Dim, Dim, Dim] = ("batch", "height", "width"),
    layout: Axis = "NCHW",
    output_layout: Axis | None = None,
    rank: int = 4,
    channels: int = 1,
    logits: bool = False,
    half: bool = False,
    swish: bool = False,
) -> Path:
    """Write a graph that gives each pixel the sigmoid of a weighted sum of its channels.

    Args:
        path: Where to write it.
        names: Of the input and of the output.
        dims: Batch, height and width; a word makes an axis dynamic.
        layout: Axis order of the input.
        output_layout: Axis order of an output of rank 4; the input's where left out.
        rank: Axes of the output: 4, 3 (no channels) or 2 (no batch either).
        channels: Of an output of rank 4; only the first is the map.
        logits: Leave the sigmoid out.
        half: Take and give float16.
        swish: Put a hard-swish in front of the sigmoid, in the five steps of PaddleOCR's exports.
    """
    batch, height, width = dims
    kind, dtype = (TensorProto.FLOAT16, np.float16) if half else (TensorProto.FLOAT, np.float32)
    weight = np.stack([WEIGHTS, *[np.zeros(3)] * (channels - 1)]).astype(dtype).reshape(channels, 3, 1, 1)
    bias = np.array([BIAS, *[5.0] * (channels - 1)], dtype)
    constants = [numpy_helper.from_array(weight, "weight"), numpy_helper.from_array(bias, "bias")]
    nodes: list[onnx.NodeProto] = []
    last = names[0]

    def add(kind: str, *extra: str, **attributes: Any) -> None:  # noqa: ANN401 - whatever the operator takes
        nonlocal last
        nodes.append(helper.make_node(kind, [last, *extra], [f"step{len(nodes)}"], **attributes))
        last = f"step{len(nodes) - 1}"

    if layout == "NHWC":
        add("Transpose", perm=[0, 3, 1, 2])
    add("Conv", "weight", "bias")
    if swish:
        numbers = {"zero": 0, "three": 3, "six": 6}
        constants += [
            numpy_helper.from_array(np.array(value, dtype), name) for name, value in numbers.items()
        ]
        before = last
        add("Add", "three")
        add("Clip", "zero", "six")
        add("Mul", before)
        add("Div", "six")
    if not logits:
        add("Sigmoid")
    out_dims: list[Dim] = [batch, channels, height, width]
    if rank < 4:
        removed = [0, 1][: 4 - rank] if rank == 2 else [1]
        constants.append(numpy_helper.from_array(np.array(removed, np.int64), "removed"))
        add("Squeeze", "removed")
        out_dims = [dim for axis, dim in enumerate(out_dims) if axis not in removed]
    elif (output_layout or layout) == "NHWC":
        add("Transpose", perm=[0, 2, 3, 1])
        out_dims = [batch, height, width, channels]
    nodes.append(helper.make_node("Identity", [last], [names[1]]))
    in_dims = [batch, 3, height, width] if layout == "NCHW" else [batch, height, width, 3]
    return save_graph(path, nodes, [(names[0], in_dims)], [(names[1], out_dims)], constants, kind)


def rewrite_here(source: Path, target: Path, recipe: Recipe) -> dict[str, Any]:
    """Stand in for the process that rewrites a graph: at once, and without comparing.

    Raises:
        ValueError: The file is no graph.
    """
    try:
        model = onnx.load(source)
    except Exception as error:
        raise ValueError(str(error)) from error
    changes = rewrite_graph(model, recipe)
    if changes:
        onnx.save(model, target)
    return {"changes": changes, "difference": 0.0}


def classifier_graph(path: Path, side: Dim = 224) -> Path:
    """Write a graph that gives each image ten scores."""
    nodes = [
        helper.make_node("GlobalAveragePool", ["x"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weight"], ["scores"]),
    ]
    weight = numpy_helper.from_array(np.ones((3, 10), np.float32), "weight")
    return save_graph(path, nodes, [("x", ["batch", 3, side, side])], [("scores", ["batch", 10])], [weight])


def recogniser_graph(path: Path, height: Dim = 48) -> Path:
    """Write a graph that gives each column of a text line a score for each of five characters."""
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["columns"], axes=[2], keepdims=0),
        helper.make_node("Transpose", ["columns"], ["steps"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["steps", "weight"], ["scores"]),
    ]
    weight = numpy_helper.from_array(np.ones((3, 5), np.float32), "weight")
    dims: list[Dim] = ["batch", 3, height, "width"]
    return save_graph(path, nodes, [("x", dims)], [("scores", ["batch", "steps", 5])], [weight])


def seglink_graph(path: Path) -> Path:
    """Write a graph of the shape of SegLink++: NHWC, 1024 x 1024, segments and links."""
    nodes = [
        helper.make_node("ReduceMean", ["input_images"], ["segments"], axes=[3], keepdims=1),
        helper.make_node("Neg", ["segments"], ["links"]),
    ]
    side: list[Dim] = [1, 1024, 1024]
    outputs = [("segments", [*side, 1]), ("links", [*side, 1])]
    return save_graph(path, nodes, [("input_images", [*side, 3])], outputs, [])


def save_graph(
    path: Path,
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[tuple[str, Sequence[Dim]]],
    outputs: Sequence[tuple[str, Sequence[Dim]]],
    constants: Sequence[onnx.TensorProto],
    kind: int = TensorProto.FLOAT,
) -> Path:
    """Write a graph."""

    def values(specs: Sequence[tuple[str, Sequence[Dim]]]) -> list[onnx.ValueInfoProto]:
        return [helper.make_tensor_value_info(name, kind, dims) for name, dims in specs]

    graph = helper.make_graph(nodes, "tiny", values(inputs), values(outputs), constants)
    opset = [helper.make_opsetid("", OPSET)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=IR_VERSION), path)
    return path
