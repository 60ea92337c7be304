"""Quads and probability maps that the tests of vision draw for themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import shapely
from hypothesis import strategies as st

from ocrdet.values import Placement, ProbabilityMap, Thresholds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Rectangle = tuple[float, float, float, float, float]

THRESHOLDS = Thresholds(score=0.5, binary=0.3, iou=0.3, unclip_ratio=1.5, max_candidates=1000)

# Centre x and y, width, height, degrees clockwise.
rectangles = st.tuples(
    st.floats(0.0, 60.0),
    st.floats(0.0, 60.0),
    st.floats(1.0, 60.0),
    st.floats(1.0, 60.0),
    st.floats(-180.0, 180.0),
)


def quad(x: float, y: float, width: float, height: float, degrees: float = 0.0) -> NDArray[np.float64]:
    """The corners (4, 2) of a turned rectangle, clockwise from its top-left corner before the turn."""
    half = np.array([[-width, -height], [width, -height], [width, height], [-width, height]]) / 2.0
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    corners: NDArray[np.float64] = half @ np.array([[cos, sin], [-sin, cos]]) + (x, y)
    return corners


def stack(found: Sequence[Rectangle]) -> NDArray[np.float64]:
    """The corners (N, 4, 2) of turned rectangles."""
    return np.array([quad(*rectangle) for rectangle in found]).reshape(-1, 4, 2)


def iou(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """What shapely says of two quads."""
    p, q = shapely.Polygon(a), shapely.Polygon(b)
    common = p.intersection(q).area
    return float(common / (p.area + q.area - common))


def blank(width: int = 200, height: int = 120) -> NDArray[np.float32]:
    """A map without text."""
    return np.zeros((height, width), np.float32)


def draw(values: NDArray[np.float32], corners: NDArray[np.float64], probability: float = 0.9) -> None:
    """Set the pixels whose centres lie inside a quad of the continuous frame."""
    height, width = values.shape
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    values[shapely.contains_xy(shapely.Polygon(corners), x, y)] = probability


def blobs(seed: int, width: int, height: int, level: float) -> NDArray[np.float32]:
    """Smooth noise, of which about half lies above 0.5: islands, lakes, islands in lakes."""
    noise = np.random.default_rng(seed).random((height, width)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), level)
    low, high = float(smooth.min()), float(smooth.max())
    return ((smooth - low) / max(high - low, 1e-6)).astype(np.float32)


def place(values: NDArray[np.float32], scale_x: float = 1.0, scale_y: float = 1.0) -> ProbabilityMap:
    """The map as that of an image which covers all of it."""
    height, width = values.shape
    source = max(1, round(width / scale_x)), max(1, round(height / scale_y))
    return ProbabilityMap(values, Placement(*source, scale_x, scale_y, width, height))
