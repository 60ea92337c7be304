"""The model that users bring, a DBNet on ResNet-18, with random weights: how fast the service runs it.

    python -m bench.resnet18 [--rounds 15] [--seconds 1]

The graph is that of ModelScope's `cv_resnet18_ocr-detection-db-line-level` (modelscope/modelscope,
`models/cv/ocr_detection/modules/dbnet.py`) as PyTorch exports it: batch normalisation is folded into the
convolution before it, and stays a node behind a transposed one. Speed does not depend on what weights say;
these leave the map calm and nearly empty, as that of a page without text.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from bench.pages import draw_page
from bench.posting import load
from bench.processes import ask, bare, server
from bench.rounds import paired_rounds, spreads

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.rounds import Figures

SIDES = (640, 800, 1024)
CONCURRENCY = 8
OPSET = 11
IR_VERSION = 6
STAGES = ((64, 1), (128, 2), (256, 2), (512, 2))  # channels and stride of the first block
BLOCKS = 2
NECK, OUT = 256, 64
# Without normalisation by statistics every block would double the variance.
CALM = 0.3
# Far enough below a sigmoid's 0.2 that a random map shows no text.
NO_TEXT = -4.0
MANIFEST = {
    "schema": 1,
    "name": "resnet18-random",
    "version": "0",
    "preset": "modelscope-db",
    "self_test": "finite",
}


class Graph:
    """A graph that grows node by node.

    Attributes:
        nodes: So far.
        constants: Their weights.
    """

    def __init__(self) -> None:
        """Begin with nothing."""
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self._random = np.random.default_rng(0)

    def add(self, kind: str, inputs: Sequence[str], **attributes: Any) -> str:  # noqa: ANN401 - as ONNX takes
        """The output of a new node."""
        output = f"{kind.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def constant(self, values: object) -> str:
        """A new constant."""
        name = f"constant{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values, np.float32), name))
        return name

    def conv(  # noqa: PLR0913 - what makes one convolution
        self,
        last: str,
        taken: int,
        made: int,
        side: int,
        *,
        stride: int = 1,
        norm: bool = False,
        gain: float = 1.0,
    ) -> str:
        """A convolution, weights after He et al. (arXiv:1502.01852); with a bias where it took a norm in."""
        weight = self._random.normal(0, gain * math.sqrt(2 / (taken * side**2)), (made, taken, side, side))
        inputs = [last, self.constant(weight)] + ([self.constant(np.zeros(made))] if norm else [])
        pads = [side // 2] * 4
        return self.add("Conv", inputs, kernel_shape=[side, side], strides=[stride, stride], pads=pads)

    def double(self, last: str, taken: int, made: int, bias: float = 0.0) -> str:
        """A transposed convolution to twice the size."""
        weight = self._random.normal(0, math.sqrt(1 / taken), (taken, made, 2, 2))
        inputs = [last, self.constant(weight), self.constant(np.full(made, bias))]
        return self.add("ConvTranspose", inputs, kernel_shape=[2, 2], strides=[2, 2])

    def enlarge(self, last: str, times: int) -> str:
        """Every pixel so many times in each direction."""
        everywhere, scales = self.constant([]), self.constant([1, 1, times, times])
        how = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        return self.add("Resize", [last, everywhere, scales], **how)

    def norm(self, last: str, channels: int) -> str:
        """A batch normalisation that has yet to learn."""
        ones, zeros = np.ones(channels), np.zeros(channels)
        return self.add("BatchNormalization", [last, *map(self.constant, (ones, zeros, zeros, ones))])


def build_resnet18(side: int) -> onnx.ModelProto:
    """The model for square inputs: `images` (1, 3, side, side) in, `pred` (1, side, side) out."""
    graph = Graph()
    levels = _backbone(graph)
    fused = _neck(graph, levels)
    last = graph.add("Relu", [graph.conv(fused, NECK, OUT, 3, norm=True)])
    last = graph.add("Relu", [graph.norm(graph.double(last, OUT, OUT), OUT)])
    last = graph.add("Sigmoid", [graph.double(last, OUT, 1, NO_TEXT)])
    graph.nodes.append(helper.make_node("Squeeze", [last], ["pred"], axes=[1]))
    image = helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, side, side])
    pred = helper.make_tensor_value_info("pred", TensorProto.FLOAT, [1, side, side])
    body = helper.make_graph(graph.nodes, "resnet18-db", [image], [pred], graph.constants)
    return helper.make_model(body, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)


def _backbone(graph: Graph) -> list[str]:
    """C2 to C5, at strides 4 to 32."""
    last = graph.add("Relu", [graph.conv("images", 3, STAGES[0][0], 7, stride=2, norm=True)])
    last = graph.add("MaxPool", [last], kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    levels, taken = [], STAGES[0][0]
    for made, first_stride in STAGES:
        for stride in [first_stride] + [1] * (BLOCKS - 1):
            inner = graph.add("Relu", [graph.conv(last, taken, made, 3, stride=stride, norm=True)])
            inner = graph.conv(inner, made, made, 3, norm=True, gain=CALM)
            if stride > 1:
                last = graph.conv(last, taken, made, 1, stride=stride, norm=True, gain=math.sqrt(0.5))
            last = graph.add("Relu", [graph.add("Add", [inner, last])])
            taken = made
        levels.append(last)
    return levels


def _neck(graph: Graph, levels: Sequence[str]) -> str:
    """The levels, each with what is above it, side by side at stride 4."""
    above, parts = "", []
    for index in reversed(range(len(levels))):
        here = graph.conv(levels[index], STAGES[index][0], NECK, 1, gain=math.sqrt(0.5))
        above = graph.add("Add", [graph.enlarge(above, 2), here]) if above else here
        part = graph.conv(above, NECK, OUT, 3, gain=math.sqrt(0.5))
        parts.append(graph.enlarge(part, 2**index) if index else part)
    return graph.add("Concat", parts, axis=1)


def count_parameters(model: onnx.ModelProto) -> int:
    """What training learns: weights, biases, and scale and shift of every normalisation, folded or not."""
    sizes = {each.name: math.prod(each.dims) for each in model.graph.initializer}
    total = 0
    for node in model.graph.node:
        if node.op_type in {"Conv", "ConvTranspose", "BatchNormalization"}:
            learned = [sizes[name] for name in node.input[1:3]]
            # The bias of a convolution is what is left of a normalisation: two numbers for each channel.
            total += sum(learned) + (learned[1] if node.op_type == "Conv" and len(learned) > 1 else 0)
    return total


def count_macs(model: onnx.ModelProto) -> int:
    """Multiplications with addition in all convolutions, for one image."""
    inferred = onnx.shape_inference.infer_shapes(model).graph
    dims = {
        each.name: [dim.dim_value for dim in each.type.tensor_type.shape.dim]
        for each in [*inferred.value_info, *inferred.input, *inferred.output]
    }
    weights = {each.name: math.prod(each.dims) for each in model.graph.initializer}
    # Every weight meets every pixel of what a convolution makes, or of what a transposed one takes.
    over = {"Conv": lambda node: node.output[0], "ConvTranspose": lambda node: node.input[0]}
    return sum(
        weights[node.input[1]] * math.prod(dims[over[node.op_type](node)][2:])
        for node in model.graph.node
        if node.op_type in over
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=1.0)
    arguments = parser.parse_args()
    print(json.dumps(measure_resnet18(arguments.rounds, arguments.seconds), indent=1))


def measure_resnet18(rounds: int, seconds: float) -> dict[str, Any]:
    """Of each input side what the service makes of the model, and the ratios to the bare session."""
    return {str(side): _measure(side, rounds, seconds) for side in SIDES}


def _measure(side: int, rounds: int, seconds: float) -> dict[str, Any]:
    print(f"  {side}x{side}", file=sys.stderr, flush=True)
    pages = [draw_page(seed) for seed in range(CONCURRENCY)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = build_resnet18(side)
        onnx.save(model, folder / "model.onnx")
        (folder / "manifest.json").write_text(json.dumps(MANIFEST), encoding="utf-8")
        with server(OCRDET_MODEL=name) as (port, pid), bare(name, (side, side)) as yardstick:
            steps = {
                "busy": partial(load, port, pages, CONCURRENCY, seconds, pid),
                "lanes": partial(ask, yardstick, "lanes", seconds),
                "wide": partial(ask, yardstick, "wide", seconds),
                "alone": partial(load, port, pages[:1], 1, seconds, pid),
                "decode": partial(ask, yardstick, "decode", 0.1),
            }
            figures = spreads([_figures(each) for each in paired_rounds(rounds, steps)])
    return {"gmacs": round(count_macs(model) / 1e9, 1), **figures}


def _figures(measured: dict[str, Figures]) -> Figures:
    busy, lanes, alone, wide = (measured[name] for name in ("busy", "lanes", "alone", "wide"))
    return {
        "bare_per_second": lanes["per_second"],
        "busy_per_second": busy["per_second"],
        "busy_over_bare": busy["per_second"] / lanes["per_second"],
        "bare_lane_p50_ms": lanes["p50_ms"],
        "bare_wide_p50_ms": wide["p50_ms"],
        "alone_p50_ms": alone["p50_ms"],
        "alone_over_bare": (alone["p50_ms"] - measured["decode"]["p50_ms"]) / wide["p50_ms"],
    }


if __name__ == "__main__":
    main()
