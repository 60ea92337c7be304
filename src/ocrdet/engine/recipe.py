"""What to do to a model's graph before it is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

# Of an input, so no word that a model may have given to a value of its own.
PIXELS = "ocrdet:pixels"


@dataclass(frozen=True, slots=True)
class PixelInput:
    """The image input of a graph that is to take pixels instead of a normalised tensor.

    Attributes:
        name: Of the input as the model has it.
        layout: Its axis order.
        color: Its channel order.
        gain: Factor per channel of the model, applied to 0-255 values.
        offset: Added after the factor.
    """

    name: str
    layout: Literal["NCHW", "NHWC"]
    color: Literal["RGB", "BGR"]
    gain: tuple[float, float, float]
    offset: tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Recipe:
    """What to do to a graph.

    Attributes:
        clean: Merge what the engines leave apart; the output stays the same but for rounding.
        pixels: Put normalisation in front of this input, whose place `PIXELS` takes: (N, H, W, 3) uint8 RGB.
        half: Compute in float16; inputs and outputs keep their types.
    """

    clean: bool = True
    pixels: PixelInput | None = None
    half: bool = False
