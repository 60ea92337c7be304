"""The process that rewrites a graph and proves it: `... -m ocrdet.engine.graph_process SOURCE TARGET RECIPE`.

It ends when that is done, and takes its memory with it. Standard output gets one line of JSON: `changes`, and
`difference`, the largest one between the probabilities of both graphs; the target is written if it is small.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
from pydantic import TypeAdapter

from ocrdet.engine.graph import rewrite_graph
from ocrdet.engine.providers import SessionPlan
from ocrdet.engine.recipe import PIXELS, Recipe
from ocrdet.engine.session import open_session

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from ocrdet.engine.recipe import PixelInput

# Of a probability. Rounding moves it by less than a hundredth of this.
LARGEST_DIFFERENCE = 1e-3
ROUNDING = 1e-3
PROBE_SIDE_PX = 320
DTYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16}


def main(arguments: Sequence[str]) -> None:
    """Rewrite, compare, write; 0 changes where the result is not the same function."""
    source, target = map(Path, arguments[:2])
    recipe = TypeAdapter(Recipe).validate_json(arguments[2])
    model = onnx.load(source, load_external_data=False)
    if any(tensor.external_data for tensor in model.graph.initializer):
        sys.exit("Its weights lie in a file of their own, which no checksum covers; export it as one file.")
    changes = rewrite_graph(model, recipe)
    difference = 0.0
    if changes:
        onnx.save(model, target)
        if not recipe.half:  # whose agreement is measured in regions, and stands in the manifest
            difference = compare_graphs(source, target, recipe.pixels)
            if not difference <= LARGEST_DIFFERENCE:
                target.unlink()
    print(json.dumps({"changes": changes if target.exists() else 0, "difference": difference}))  # noqa: T201


def compare_graphs(source: Path, target: Path, pixels: PixelInput | None) -> float:
    """The largest difference between the outputs of two graphs on one drawn picture; NaN if there is one."""
    one, other = (open_session(path, SessionPlan()) for path in (source, target))
    image = next(node for node in one.get_inputs() if pixels is None or node.name == pixels.name)
    dims = [dim if isinstance(dim, int) and dim > 0 else None for dim in image.shape]
    channels_last = pixels.layout == "NHWC" if pixels is not None else dims[3] == 3
    sides = dims[1:3] if channels_last else dims[2:]
    height, width = (side or PROBE_SIDE_PX for side in sides)
    picture = np.random.default_rng(0).integers(0, 256, (dims[0] or 1, height, width, 3), np.uint8)
    # Blocks, as glyphs are, on noise: both the flat and the busy is met.
    picture[:, ::2, height // 4 : height // 2] = 255
    tensor = _normalise(picture, pixels).astype(DTYPES[image.type])
    fed = np.ascontiguousarray(tensor if channels_last else tensor.transpose(0, 3, 1, 2))
    feeds: tuple[Mapping[str, NDArray[np.generic]], ...] = (
        {image.name: fed},
        {image.name: fed} if pixels is None else {PIXELS: picture},
    )
    pairs = zip(
        *(session.run(None, feed) for session, feed in zip((one, other), feeds, strict=True)), strict=True
    )
    # numpy's, because Python's passes over what is no number.
    return float(np.max([_difference(a.astype(np.float64), b.astype(np.float64)) for a, b in pairs]))


def _difference(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    if one.min() < -ROUNDING or one.max() > 1 + ROUNDING:  # logits, whose size means nothing
        one, other = np.tanh(one / 2) / 2, np.tanh(other / 2) / 2
    return float(np.abs(one - other).max())


def _normalise(picture: NDArray[np.uint8], pixels: PixelInput | None) -> NDArray[np.float64]:
    if pixels is None:
        return picture / 255.0
    ordered = picture[..., ::-1] if pixels.color == "BGR" else picture
    normalised: NDArray[np.float64] = ordered * np.array(pixels.gain) + np.array(pixels.offset)
    return normalised


if __name__ == "__main__":
    main(sys.argv[1:])
