"""Rewriting a graph: pixels in instead of a tensor, and half the precision inside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto

from ocrdet.engine.graph import compute_in_half, rewrite_graph, take_pixels
from ocrdet.engine.recipe import PIXELS, PixelInput, Recipe
from ocrdet.vision.normalize import Layout, Normalization
from tests.graphs import Dim, detector_graph
from tests.unit.engine.pixels import make_pixels, normalise
from tests.unit.engine.steps import make_model

if TYPE_CHECKING:
    from pathlib import Path

GAIN, OFFSET = (0.017, 0.0175, 0.0174), (-2.1, -2.0, -1.8)
HEIGHT, WIDTH = 64, 32
OPEN: tuple[Dim, Dim, Dim] = ("batch", "height", "width")
DIMS = {"open": OPEN, "open batch": ("batch", HEIGHT, WIDTH), "static": (2, HEIGHT, WIDTH)}
PIXEL_BATCH = make_pixels(2, HEIGHT, WIDTH)
# As the host makes it for the model as it is.
TENSOR = normalise(PIXEL_BATCH, Normalization("RGB", "NCHW", GAIN, OFFSET))


def make_pixel_input(**parts: Any) -> PixelInput:  # noqa: ANN401 - whatever it takes
    """The input of `detector_graph`."""
    return PixelInput(
        **{"name": "x", "layout": "NCHW", "color": "RGB", "gain": GAIN, "offset": OFFSET} | parts
    )


def open_model(model: onnx.ModelProto) -> ort.InferenceSession:
    """A session over a model in memory."""
    return ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("dims", DIMS.values(), ids=DIMS)
@pytest.mark.parametrize("color", ["RGB", "BGR"])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize(("half", "tolerance"), [(False, 1e-6), (True, 2e-3)], ids=["float", "half"])
def test_pixels_in_give_the_map_of_the_tensor_that_the_host_would_make(
    tmp_path: Path,
    dims: tuple[Dim, Dim, Dim],
    color: Literal["RGB", "BGR"],
    layout: Layout,
    half: bool,
    tolerance: float,
) -> None:
    """In every axis and colour order; sides and batch stay as open or as fixed as they were."""
    model = onnx.load(detector_graph(tmp_path / "tiny.onnx", dims=dims, layout=layout, half=half))
    asked = Normalization(color, layout, GAIN, OFFSET)
    tensor = normalise(PIXEL_BATCH, asked, np.float16 if half else np.float32)
    expected = open_model(model).run(None, {"x": tensor})[0]
    take_pixels(model, make_pixel_input(color=color, layout=layout))
    session = open_model(model)
    (taken,) = session.get_inputs()
    assert (taken.name, taken.type) == (PIXELS, "tensor(uint8)")
    sides = zip(taken.shape, (*dims, 3), strict=True)
    assert all(side == dim if isinstance(dim, int) else isinstance(side, str) for side, dim in sides)
    values = session.run(None, {PIXELS: PIXEL_BATCH})[0]
    assert values.dtype == expected.dtype
    assert np.ptp(values) > 0.1
    np.testing.assert_allclose(values, expected, atol=tolerance)


def test_the_colour_order_decides(tmp_path: Path) -> None:
    """The tiny graph tells channels apart, so the test above could fail."""
    maps = []
    for color in ("RGB", "BGR"):
        model = onnx.load(detector_graph(tmp_path / "tiny.onnx"))
        take_pixels(model, make_pixel_input(color=color))
        maps.append(open_model(model).run(None, {PIXELS: PIXEL_BATCH})[0])
    assert np.abs(maps[0] - maps[1]).max() > 0.1


@pytest.mark.parametrize("name", ["pixels", "image", "input:1"])
def test_a_model_may_have_any_name_for_its_input(tmp_path: Path, name: str) -> None:
    """It becomes the name of a value inside."""
    model = onnx.load(detector_graph(tmp_path / "tiny.onnx", names=(name, "map")))
    take_pixels(model, make_pixel_input(name=name))
    assert open_model(model).run(None, {PIXELS: PIXEL_BATCH})[0].shape == (2, 1, HEIGHT, WIDTH)


def test_half_precision_is_inside_only_and_changes_little(tmp_path: Path) -> None:
    """Inputs and outputs keep their types, the weights do not."""
    model = onnx.load(detector_graph(tmp_path / "tiny.onnx"))
    expected = open_model(model).run(None, {"x": TENSOR})[0]
    compute_in_half(model)
    assert {each.data_type for each in model.graph.initializer} == {TensorProto.FLOAT16}
    values = open_model(model).run(None, {"x": TENSOR})[0]
    assert values.dtype == np.float32
    assert 0 < np.abs(values - expected).max() < 2e-3


@pytest.mark.parametrize(
    ("recipe", "changes"),
    [
        (Recipe(), 1),
        (Recipe(clean=False), 0),
        (Recipe(clean=False, half=True), 1),
        (Recipe(pixels=make_pixel_input()), 2),
        (Recipe(pixels=make_pixel_input(), half=True), 3),
    ],
    ids=str,
)
def test_a_recipe_is_followed_and_its_changes_are_counted(recipe: Recipe, changes: int) -> None:
    """One for each merge and for each of the others."""
    model = make_model(["s = Add x three", "c = Clip s zero six", "y = Div c six"])
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 3
    assert rewrite_graph(model, recipe) == changes
    assert [each.name for each in model.graph.input] == [PIXELS if recipe.pixels else "x"]
    session = open_model(model)
    fed = PIXEL_BATCH if recipe.pixels else TENSOR
    assert session.run(None, {session.get_inputs()[0].name: fed})[0].shape == (2, 3, HEIGHT, WIDTH)
