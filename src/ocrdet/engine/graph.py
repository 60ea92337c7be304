"""A model's graph, rewritten as a recipe says.

It needs the `onnx` package, whose messages take memory that a server would keep, so it runs in the process of
`engine/graph_process.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ocrdet.engine.graph_cleaning import clean_graph
from ocrdet.engine.recipe import PIXELS

if TYPE_CHECKING:
    from ocrdet.engine.recipe import PixelInput, Recipe


def rewrite_graph(model: onnx.ModelProto, recipe: Recipe) -> int:
    """Do to a model, in place, what the recipe says.

    Returns:
        How many things were changed; 0 leaves the model as it was.
    """
    changes = clean_graph(model) if recipe.clean else 0
    if recipe.half:
        compute_in_half(model)
        changes += 1
    if recipe.pixels is not None:
        take_pixels(model, recipe.pixels)
        changes += 1
    return changes


def compute_in_half(model: onnx.ModelProto) -> None:
    """Turn weights and operators into float16 where that is possible; inputs and outputs stay float32."""
    # The converter that ONNX Runtime carries: it knows which operators have no float16.
    from onnxruntime.transformers.float16 import convert_float_to_float16

    model.CopyFrom(convert_float_to_float16(model, keep_io_types=True))


def take_pixels(model: onnx.ModelProto, pixels: PixelInput) -> None:
    """Put the way from pixels to the tensor into the graph, in place of its image input.

    The new input is (N, H, W, 3) uint8 RGB: a quarter of the bytes of a float32 tensor cross to the
    device, and the host computes none of them.
    """
    graph = model.graph
    image = next(each for each in graph.input if each.name == pixels.name)
    kind = image.type.tensor_type.elem_type
    batch, *axes = image.type.tensor_type.shape.dim
    height, width = axes[1:] if pixels.layout == "NCHW" else axes[:2]
    constants = {"gain": np.array(pixels.gain, np.float32), "offset": np.array(pixels.offset, np.float32)}
    # Channels are still last here, so that three values reach over all of them. A network in half precision
    # gets what the host would give it: rounded once, at the end.
    steps: list[tuple[str, list[str], dict[str, Any]]] = [
        ("Cast", [], {"to": TensorProto.FLOAT}),
        ("Mul", ["gain"], {}),
        ("Add", ["offset"], {}),
    ]
    if kind != TensorProto.FLOAT:
        steps.append(("Cast", [], {"to": kind}))
    if pixels.color == "BGR":
        constants["order"] = np.array([2, 1, 0], np.int64)
        steps.insert(1, ("Gather", ["order"], {"axis": 3}))
    if pixels.layout == "NCHW":
        steps.append(("Transpose", [], {"perm": [0, 3, 1, 2]}))
    values = [PIXELS, *(f"{PIXELS}:{number}" for number in range(1, len(steps))), pixels.name]
    first = [
        helper.make_node(operator, [value, *(f"{PIXELS}:{name}" for name in names)], [result], **settings)
        for (operator, names, settings), value, result in zip(steps, values, values[1:], strict=False)
    ]
    rest = list(graph.node)
    del graph.node[:]
    graph.node.extend([*first, *rest])
    graph.initializer.extend(
        numpy_helper.from_array(values, f"{PIXELS}:{name}") for name, values in constants.items()
    )
    sides = [batch.dim_value or "N", height.dim_value or "H", width.dim_value or "W", 3]
    graph.input.remove(image)
    graph.input.append(helper.make_tensor_value_info(PIXELS, TensorProto.UINT8, sides))
