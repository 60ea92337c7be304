"""What a graph's names and axes tell, and what is refused by them."""

from __future__ import annotations

import numpy as np
import pytest

from ocrdet.engine.inspection import PIXELS_TYPE, Dims, GraphSpec, TensorSpec, check_graph, pixel_graph
from ocrdet.engine.manifest import Manifest, complete_manifest
from ocrdet.engine.recipe import PIXELS
from ocrdet.errors import ManifestInvalid

FLOAT = "tensor(float)"


def make_manifest(**parts: object) -> Manifest:
    """A manifest with these parts beside its preset."""
    return complete_manifest({"name": "tiny", "version": "1", "preset": "ppocr-det", **parts})


def check(image: Dims, output: Dims, /, **parts: object) -> GraphSpec:
    """The graph with an input and an output of these axes."""
    return check_graph(
        [TensorSpec("x", image, FLOAT)], [TensorSpec("map", output, FLOAT)], make_manifest(**parts)
    )


@pytest.mark.parametrize(
    ("image", "output", "layout", "static", "batch"),
    [
        ((None, 3, None, None), (None, 1, None, None), "NCHW", None, None),
        ((1, 3, 800, 800), (1, 800, 800), "NCHW", (800, 800), 1),
        ((1, 3, 640, 800), (640, 800), "NCHW", (640, 800), 1),
        ((None, 3, None, None), (None, None), "NCHW", None, 1),
        ((None, 3, None, None), (1, None, None), "NCHW", None, 1),
        ((None, 1024, 1024, 3), (None, 1024, 1024, 1), "NHWC", (1024, 1024), None),
        ((4, 3, None, None), (4, 3, None, None), "NCHW", None, 4),
        ((None, None, None, None), (None, None, None, None), "NCHW", None, None),
    ],
)
def test_axes_tell_layout_shape_and_batch(
    image: Dims, output: Dims, layout: str, static: tuple[int, int] | None, batch: int | None
) -> None:
    """Static and dynamic axes, maps of rank 2 to 4."""
    graph = check(image, output)
    assert (graph.layout, graph.static_batch) == (layout, batch)
    assert (graph.static_height, graph.static_width) == (static or (None, None))


def test_a_manifest_decides_the_layout_where_the_axes_do_not_tell() -> None:
    """It may not contradict them, though."""
    unknown: Dims = (None, None, None, None)
    assert check(unknown, unknown, input={"layout": "NHWC"}).layout == "NHWC"
    with pytest.raises(ManifestInvalid, match="says NHWC, but the graph's input anyx3xanyxany is NCHW"):
        check((None, 3, None, None), unknown, input={"layout": "NHWC"})


@pytest.mark.parametrize(
    ("image", "output", "complaint"),
    [
        ((None, 3, None), (None, None, None), "3 axes; an image needs 4"),
        ((None, 1, None, None), (None, 1, None, None), "anyx1xanyxany has no axis of 3 colour channels"),
        ((None, 4, 640, 640), (None, 1, 640, 640), "no axis of 3 colour channels"),
        ((None, 3, None, None), (None,), "has 1 axes; a probability map has 2 to 4"),
        ((None, 3, None, None), (1, 1, 1, None, None), "has 5 axes"),
        ((None, 3, 800, 790), (None, 1, 800, 790), "fixed at 800x790; both sides must divide by 32"),
        ((None, 3, 100, None), (None, 1, 100, None), "fixed at 100xany"),
        ((None, 3, 48, None), (None, None, 97), "recogniser"),
        ((None, 3, 48, 192), (None, 2), "line classifier"),
        ((None, 3, 800, 800), (None, 25, 97), "recogniser"),
        ((None, 3, None, None), (None, 1000), "one row of scores for an image: a classifier"),
        ((1, 3, 224, 224), (1, 1000), "classifier"),
        ((None, 224, 224, 3), (None, 10), "classifier"),
    ],
)
def test_what_is_no_text_detector_is_refused_with_the_reason(
    image: Dims, output: Dims, complaint: str
) -> None:
    """Grey images, odd sides, recognisers and classifiers are told apart by their axes."""
    with pytest.raises(ManifestInvalid, match=complaint):
        check(image, output)


def test_seglink_is_recognised_and_refused_with_an_explanation() -> None:
    """The near namesake of the model this service is named for gives segments and links."""
    image = TensorSpec("input_images", (1, 1024, 1024, 3), FLOAT)
    outputs = [TensorSpec(name, (1, 1024, 1024, 1), FLOAT) for name in ("segments", "links")]
    with pytest.raises(ManifestInvalid, match=r"SegLink\+\+.*without `db`.*Export the `-db-` model"):
        check_graph([image], outputs, make_manifest())


@pytest.mark.parametrize("half", ["inputs", "outputs"])
def test_several_inputs_or_outputs_are_ambiguous_until_the_manifest_names_one(half: str) -> None:
    """Their order says nothing; the names are listed."""
    image = TensorSpec("x", (None, 3, None, None), FLOAT)
    output = TensorSpec("map", (None, 1, None, None), FLOAT)
    inputs, outputs = [image], [output]
    if half == "inputs":
        inputs = [TensorSpec("scale", (None, 2), FLOAT), image]
    else:
        outputs = [TensorSpec("threshold", (None, 1, None, None), FLOAT), output]
    with pytest.raises(ManifestInvalid, match=r"several (inputs \(scale, x\)|outputs \(threshold, map\))"):
        check_graph(inputs, outputs, make_manifest())
    graph = check_graph(inputs, outputs, make_manifest(input={"name": "x"}, output={"name": "map"}))
    assert (graph.input, graph.output) == (image, output)


def test_a_name_that_the_graph_has_not_is_refused_with_those_it_has() -> None:
    """A manifest that was written for another export."""
    with pytest.raises(ManifestInvalid, match="names the output pred; the graph has map"):
        check((None, 3, None, None), (None, 1, None, None), output={"name": "pred"})
    with pytest.raises(ManifestInvalid, match="The graph has no output"):
        check_graph([TensorSpec("x", (None, 3, None, None), FLOAT)], [], make_manifest())


@pytest.mark.parametrize(("image", "output"), [("tensor(uint8)", FLOAT), (FLOAT, "tensor(int64)")])
def test_only_floating_point_tensors_are_taken(image: str, output: str) -> None:
    """A graph that takes bytes or gives classes would need another way of feeding and reading it."""
    with pytest.raises(ManifestInvalid, match=r"tensor\((uint8|int64)\); a text detector takes and gives"):
        check_graph(
            [TensorSpec("x", (None, 3, None, None), image)],
            [TensorSpec("map", (None, 1, None, None), output)],
            make_manifest(),
        )


def test_half_precision_is_a_tensor_of_float16() -> None:
    """The service fills the tensor in the graph's own type."""
    assert TensorSpec("x", (None,), "tensor(float16)").dtype is np.float16
    assert TensorSpec("x", (None,), FLOAT).dtype is np.float32


def test_a_closed_set_of_shapes_and_batches_follows_from_the_graph() -> None:
    """A static graph has its own shape and batch alone; a dynamic one those that are wished for."""
    dynamic = check((None, 3, None, None), (None, 1, None, None))
    assert dynamic.shapes([(800, 800), (800, 320)]) == ((800, 800), (800, 320))
    assert [dynamic.batch_sizes(largest) for largest in (1, 6, 8)] == [(1,), (1, 2, 4), (1, 2, 4, 8)]
    assert dynamic.batch_shape(2, 64, 96) == (2, 3, 64, 96)
    static = check((4, 640, 640, 3), (4, 640, 640, 1))
    assert static.shapes([(800, 800)]) == ((640, 640),)
    assert static.batch_sizes(8) == (4,)
    half = check((1, 3, 640, None), (1, 1, 640, None))
    assert half.shapes([(800, 800), (608, 800), (800, 320)]) == ((640, 800), (640, 320))
    assert static.batch_shape(4, 640, 640) == (4, 640, 640, 3)


@pytest.mark.parametrize(
    ("image", "output", "static", "batch"),
    [
        ((None, None, None, 3), (None, 1, None, None), (None, None), None),
        ((None, 800, 608, 3), (None, 800, 608), (800, 608), None),
        ((2, 64, 32, 3), (2, 1, 64, 32), (64, 32), 2),
        ((None, None, None, 3), (None, None), (None, None), 1),
        ((None, None, None, 3), (1, None, None), (None, None), 1),
    ],
)
def test_a_graph_that_was_rewritten_takes_pixels_as_the_model_took_tensors(
    image: Dims, output: Dims, static: tuple[int | None, int | None], batch: int | None
) -> None:
    """(N, H, W, 3) uint8 RGB, whatever the model's own order was."""
    pixels, values = TensorSpec(PIXELS, image, PIXELS_TYPE), TensorSpec("map", output, FLOAT)
    graph = pixel_graph([pixels], [values], make_manifest())
    assert graph.takes_pixels
    assert graph.input.dtype is np.uint8
    assert graph.batch_shape(2, 64, 32) == (2, 64, 32, 3)
    assert (graph.static_height, graph.static_width) == static
    assert graph.static_batch == batch


def test_the_map_of_a_rewritten_graph_is_the_one_that_the_manifest_names() -> None:
    """A graph with several outputs keeps them."""
    pixels = TensorSpec(PIXELS, (None, None, None, 3), PIXELS_TYPE)
    outputs = [TensorSpec(name, (None, 1, None, None), FLOAT) for name in ("first", "second")]
    graph = pixel_graph([pixels], outputs, make_manifest(output={"name": "second"}))
    assert graph.output.name == "second"


def test_a_tensor_is_no_pixels() -> None:
    """As long as the graph is the model's own."""
    assert not check((None, 3, None, None), (None, 1, None, None)).takes_pixels
    tensor = TensorSpec("x", (None, 3, None, None), FLOAT)
    with pytest.raises(ManifestInvalid, match=PIXELS):
        pixel_graph([tensor], [tensor], make_manifest())
