"""Turn uint8 pixels into the model's tensor, in place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from ocrdet.vision.tiles import Window

Layout = Literal["NCHW", "NHWC"]


@dataclass(frozen=True, slots=True)
class Normalization:
    """An affine map per channel, in the model's own channel order.

    Attributes:
        color: Channel order of the model's input.
        layout: Axis order of the model's input.
        gain: Factor per channel, applied to 0-255 values.
        offset: Added after the factor: black becomes exactly this.
    """

    color: Literal["RGB", "BGR"]
    layout: Layout
    gain: tuple[float, float, float]
    offset: tuple[float, float, float]


def make_tensors(
    pixels: NDArray[np.uint8],
    windows: Sequence[Window],
    normalization: Normalization | None,
    new_tensor: Callable[[], NDArray[np.generic]],
) -> Iterator[NDArray[np.generic]]:
    """The tensor of each window, made when it is asked for.

    Args:
        pixels: (h, w, 3) uint8 RGB, the scaled image.
        windows: The parts of it.
        normalization: The model's map; None if its graph takes pixels and has the map inside.
        new_tensor: Gives the memory of the next one, as `normalize_into` or `place_pixels` wants it.

    Yields:
        One tensor per window, in their order.
    """
    for window in windows:
        tensor = new_tensor()
        if normalization is None:
            place_pixels(pixels[window.area], tensor)
        else:
            normalize_into(pixels[window.area], normalization, tensor)
        yield tensor


def place_pixels(pixels: NDArray[np.uint8], tensor: NDArray[np.generic]) -> None:
    """Write pixels into the top-left corner of a tensor and black around them.

    Args:
        pixels: (h, w, 3) uint8 RGB, at most as large as the tensor.
        tensor: (1, H, W, 3) uint8, overwritten whole.
    """
    height, width = pixels.shape[:2]
    image = tensor[0]
    image[:height, :width] = pixels
    image[height:] = 0
    image[:height, width:] = 0


def normalize_into(
    pixels: NDArray[np.uint8], normalization: Normalization, tensor: NDArray[np.generic]
) -> None:
    """Write normalised pixels into the top-left corner of a tensor and black around them.

    Args:
        pixels: (h, w, 3) uint8 RGB, at most as large as the tensor.
        normalization: The model's map.
        tensor: (1, 3, H, W) or (1, H, W, 3) float32 or float16, overwritten whole.
    """
    height, width = pixels.shape[:2]
    planes = tensor[0] if normalization.layout == "NCHW" else np.moveaxis(tensor[0], 2, 0)
    order = (0, 1, 2) if normalization.color == "RGB" else (2, 1, 0)
    for plane, source, gain, offset in zip(
        planes, order, normalization.gain, normalization.offset, strict=True
    ):
        channel = cv2.extractChannel(pixels, source)
        inside = plane[:height, :width]
        # A multiply and an add in the output's own memory: no float64, no temporary of the whole image.
        np.multiply(channel, np.float32(gain), out=inside, casting="same_kind")
        np.add(inside, np.float32(offset), out=inside, casting="same_kind")
        plane[height:, :] = offset
        plane[:height, width:] = offset
