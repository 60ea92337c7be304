"""Labels and outlines made of a few numbers, for the tests of the measures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ocrdet.lab.labels import LabelledRegion
from ocrdet.lab.shapes import make_shape

if TYPE_CHECKING:
    from numpy.typing import NDArray


def rectangle(left: float, top: float, right: float, bottom: float) -> NDArray[np.float64]:
    """Its corners, clockwise."""
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float64)


def label(*sides: float, text: str = "", ignored: bool = False) -> LabelledRegion:
    """A labelled rectangle."""
    left, top, right, bottom = sides
    points = rectangle(left, top, right, bottom)
    return LabelledRegion(points, make_shape(points), text, ignored)
