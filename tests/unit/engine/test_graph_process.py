"""The process that rewrites a graph, without the process: what it compares, writes and reports."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from ocrdet.engine import graph_process
from ocrdet.engine.graph import rewrite_graph
from ocrdet.engine.graph_process import compare_graphs, main
from ocrdet.engine.recipe import PixelInput, Recipe
from tests.graphs import detector_graph, save_graph
from tests.unit.engine.steps import make_step

if TYPE_CHECKING:
    from pathlib import Path

GAIN, OFFSET = (0.017, 0.0175, 0.0174), (-2.1, -2.0, -1.8)


def report(source: Path, recipe: Recipe, capsys: pytest.CaptureFixture[str]) -> tuple[dict[str, Any], Path]:
    """What it says of a graph, and where the rewritten one should lie."""
    target = source.with_name("target.onnx")
    main([str(source), str(target), json.dumps(dataclasses.asdict(recipe))])
    written: dict[str, Any] = json.loads(capsys.readouterr().out)
    return written, target


def rewrite_with(values: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let rewriting multiply all constants by a number, as a bug in it would."""

    def rewrite(model: onnx.ModelProto, recipe: Recipe) -> int:
        for each in model.graph.initializer:
            each.CopyFrom(
                numpy_helper.from_array(numpy_helper.to_array(each) * np.float32(values), each.name)
            )
        return 1 + rewrite_graph(model, recipe)

    monkeypatch.setattr(graph_process, "rewrite_graph", rewrite)


@pytest.mark.parametrize(
    "graph", [{}, {"layout": "NHWC", "dims": (2, 64, 96)}, {"dims": (2, 96, 64)}], ids=str
)
def test_a_graph_that_can_be_merged_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], graph: dict[str, Any]
) -> None:
    """And the difference is rounding."""
    said, target = report(detector_graph(tmp_path / "tiny.onnx", swish=True, **graph), Recipe(), capsys)
    assert said["changes"] == 1
    assert said["difference"] < 1e-6
    assert "HardSigmoid" in {node.op_type for node in onnx.load(target).graph.node}


def test_a_graph_in_which_nothing_can_be_merged_is_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The model's own file does."""
    said, target = report(detector_graph(tmp_path / "tiny.onnx"), Recipe(), capsys)
    assert said == {"changes": 0, "difference": 0.0}
    assert not target.exists()


@pytest.mark.parametrize(
    "graph",
    [
        {},
        {"half": True},
        {"layout": "NHWC"},
        {"layout": "NHWC", "half": True},
        {"dims": (2, 96, 64)},
        {"layout": "NHWC", "dims": ("n", 64, 96)},
        {"rank": 2, "dims": (1, "h", "w")},
        {"logits": True},
    ],
    ids=str,
)
@pytest.mark.parametrize("color", ["RGB", "BGR"])
@pytest.mark.parametrize("swish", [False, True], ids=["plain", "swish"])
def test_a_graph_that_takes_pixels_is_held_against_its_tensor(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    graph: dict[str, Any],
    color: Any,  # noqa: ANN401 - a Literal
    swish: bool,
) -> None:
    """Normalised outside for the one, inside for the other, in every order and type."""
    source = detector_graph(tmp_path / "tiny.onnx", swish=swish, **graph)
    pixels = PixelInput("x", graph.get("layout", "NCHW"), color, GAIN, OFFSET)
    said, target = report(source, Recipe(pixels=pixels), capsys)
    assert said["changes"] == 1 + swish
    assert target.exists()


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("factor", [1.05, np.nan])
def test_a_graph_that_computes_something_else_is_not_written(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    layout: Any,  # noqa: ANN401 - a Literal
    factor: float,
) -> None:
    """Whatever is wrong with the rewriting, it cannot reach an answer."""
    rewrite_with(factor, monkeypatch)
    said, target = report(detector_graph(tmp_path / "tiny.onnx", layout=layout), Recipe(), capsys)
    assert said["changes"] == 0
    assert not said["difference"] <= graph_process.LARGEST_DIFFERENCE
    assert not target.exists()


def test_the_order_of_colours_is_seen_in_the_comparison(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The picture has more than grey in it."""
    source = detector_graph(tmp_path / "tiny.onnx")
    right, wrong = (PixelInput("x", "NCHW", color, GAIN, OFFSET) for color in ("RGB", "BGR"))
    monkeypatch.setattr(
        graph_process, "rewrite_graph", lambda model, _: rewrite_graph(model, Recipe(pixels=wrong))
    )
    said, _ = report(source, Recipe(pixels=right), capsys)
    assert said["changes"] == 0


def test_what_is_no_number_in_any_output_counts(tmp_path: Path) -> None:
    """Also behind an output that is the same."""
    paths = []
    for factor in (1.0, np.nan):
        paths.append(tmp_path / f"{factor}.onnx")
        save_graph(
            paths[-1],
            [make_step("first = Relu x"), make_step("second = Mul x factor")],
            [("x", ["n", 3, "h", "w"])],
            [(name, ["n", 3, "h", "w"]) for name in ("first", "second")],
            [numpy_helper.from_array(np.array(factor, np.float32), "factor")],
        )
    assert np.isnan(compare_graphs(paths[0], paths[1], None))


def test_half_precision_is_not_compared_pixel_by_pixel(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its regions were, or it would not have been asked for."""
    rewrite_with(1.05, monkeypatch)
    said, target = report(detector_graph(tmp_path / "tiny.onnx"), Recipe(half=True), capsys)
    assert said == {"changes": 2, "difference": 0.0}
    assert target.exists()


def test_logits_are_compared_as_probabilities(tmp_path: Path) -> None:
    """A thousandth of a large number is no difference between two maps."""
    paths = []
    for factor in (5000.0, 5000.5):
        paths.append(tmp_path / f"{factor}.onnx")
        save_graph(
            paths[-1],
            [make_step("logits = Mul x factor")],
            [("x", ["n", 3, "h", "w"])],
            [("logits", ["n", 3, "h", "w"])],
            [numpy_helper.from_array(np.array(factor, np.float32), "factor")],
        )
    assert compare_graphs(paths[0], paths[1], None) < 1e-6


def test_weights_in_a_file_of_their_own_are_refused(tmp_path: Path) -> None:
    """No checksum of the model covers them, so what was made of them may not be what they are by now."""
    source = detector_graph(tmp_path / "tiny.onnx", swish=True)
    model = onnx.load(source)
    onnx.save(model, source, save_as_external_data=True, size_threshold=0)
    with pytest.raises(SystemExit, match="export it as one file"):
        graph_process.main([str(source), str(tmp_path / "made.onnx"), '{"clean": true}'])
