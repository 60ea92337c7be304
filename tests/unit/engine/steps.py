"""Graphs written line by line, `y = Add x three`, and what they compute."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

Step = str | onnx.NodeProto
CHANNELS = 4
SIDE = 9
IR_VERSION = 9
BIAS = np.array([0.4, -1.1, 0.2, 0.7], np.float32)


def number(value: float) -> NDArray[np.float32]:
    """A constant of a single number."""
    return np.array(value, np.float32)


NUMBERS = {
    "zero": number(0.0),
    "half": number(0.5),
    "one": number(1.0),
    "three": number(3.0),
    "six": number(6.0),
    "sixth": number(1 / 6),
    "a": number(0.7),
    "b": number(-0.3),
}


def make_step(line: str, **settings: Any) -> onnx.NodeProto:  # noqa: ANN401 - whatever an operator takes
    """The node of a line: what it makes, its operator, what it takes."""
    result, _, call = line.partition(" = ")
    operator, *names = call.split()
    return helper.make_node(operator, names, [result], **settings)


def make_conv(line: str, *, pads: int | str = 0, group: int = 1) -> onnx.NodeProto:
    """A convolution; a word for padding is automatic."""
    padding = {"auto_pad": pads} if isinstance(pads, str) else {"pads": [pads] * 4}
    return make_step(line, group=group, **padding)


def make_weights(inputs: int = CHANNELS) -> NDArray[np.float32]:
    """Weights of a convolution that keeps values about as large as they are."""
    weights = np.random.default_rng(inputs).standard_normal((CHANNELS, inputs, 3, 3), np.float32)
    return weights / np.float32((9 * inputs) ** 0.5)


def make_model(
    steps: Sequence[Step],
    constants: Mapping[str, NDArray[Any]] | None = None,
    *,
    outputs: Sequence[str] = ("y",),
    as_nodes: bool = False,
    opset: int = 17,
) -> onnx.ModelProto:
    """A model that takes `x` (N, 4, H, W) float32.

    Args:
        steps: Its lines, or nodes where a line does not say enough.
        constants: By name, beside the numbers.
        outputs: What leaves it.
        as_nodes: Write constants as nodes, and not as initializers.
        opset: Of the operators.
    """
    nodes = [make_step(step) if isinstance(step, str) else step for step in steps]
    taken = {name for node in nodes for name in node.input} | set(outputs)
    tensors = [
        numpy_helper.from_array(values, name)
        for name, values in (NUMBERS | dict(constants or {})).items()
        if name in taken
    ]
    if as_nodes:
        nodes = [*(helper.make_node("Constant", [], [each.name], value=each) for each in tensors), *nodes]
    dims: list[str | int | None] = ["N", CHANNELS, "H", "W"]
    graph = helper.make_graph(
        nodes,
        "steps",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, dims)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [] if as_nodes else tensors,
    )
    opsets = [helper.make_opsetid("", opset)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)


def operators(model: onnx.ModelProto) -> list[str]:
    """Its operators in their order, without constants."""
    return [node.op_type for node in model.graph.node if node.op_type != "Constant"]


def compute(model: onnx.ModelProto) -> list[NDArray[np.float32]]:
    """The outputs of a model for one drawn input; nothing is optimised, so that nobody else merges."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    # Wide enough for both ends of hard-swish, which lie at -3 and 3.
    values = 3 * np.random.default_rng(3).standard_normal((2, CHANNELS, SIDE, SIDE))
    return [np.asarray(each) for each in session.run(None, {"x": values.astype(np.float32)})]
