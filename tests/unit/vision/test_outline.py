"""Outlines: simple polygons, clockwise, at the asked distance from their shape."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from ocrdet.vision.outline import MAX_OUTLINE_POINTS, trace_outline
from ocrdet.vision.shapes import find_shapes
from tests.unit.vision.quads import blobs

if TYPE_CHECKING:
    from numpy.typing import NDArray


def arc(thickness: int = 8) -> NDArray[np.bool_]:
    """A mask of text along half a circle."""
    canvas = np.zeros((120, 200), np.uint8)
    cv2.ellipse(canvas, (100, 100), (70, 70), 0, 180, 360, 1, thickness)
    return canvas.astype(bool)


@settings(deadline=None)
@given(st.integers(0, 10_000), st.floats(0.5, 16.0), st.sampled_from([1.5, 3.0, 6.0]))
def test_every_outline_is_a_simple_clockwise_polygon_inside_the_map(
    seed: int, distance: float, level: float
) -> None:
    """Whatever the shape, its outline is valid, short and stays where the image is."""
    mask = blobs(seed, 90, 70, level) > 0.5
    for contour in find_shapes(mask, 100)[0]:
        if min(cv2.minAreaRect(contour)[1]) < 2.9:
            continue
        points = trace_outline(mask, contour, distance)
        polygon = shapely.Polygon(points)
        assert 3 <= len(points) <= MAX_OUTLINE_POINTS
        assert polygon.is_valid
        assert cv2.contourArea(points, oriented=True) > 0
        assert points.min() >= 0
        assert (points.max(axis=0) < (90, 70)).all()


@pytest.mark.parametrize("distance", [2.0, 4.4, 9.0, 11.9, 12.0])
def test_an_outline_keeps_its_distance_from_a_bar(distance: float) -> None:
    """The outline of a bar is the bar grown with round corners, to the nearest pixel."""
    mask = np.zeros((60, 160), bool)
    mask[25:35, 30:130] = True
    outline = shapely.Polygon(trace_outline(mask, find_shapes(mask, 1)[0][0], distance))
    grown = shapely.box(30, 25, 129, 34).buffer(distance)
    assert outline.hausdorff_distance(grown) < 1.3


def test_an_outline_follows_curved_text() -> None:
    """Around an arc the outline stays far smaller than the hull, and holds the whole arc."""
    mask = arc()
    outline = shapely.Polygon(trace_outline(mask, find_shapes(mask, 1)[0][0], 4.0))
    assert outline.area < 0.5 * outline.convex_hull.area
    y, x = np.nonzero(mask)
    assert shapely.contains_xy(outline, x, y).all()


def test_an_outline_stops_at_the_border_of_the_map() -> None:
    """A shape at the border grows along it, not beyond."""
    mask = np.zeros((40, 90), bool)
    mask[0:12, 0:90] = True
    points = trace_outline(mask, find_shapes(mask, 1)[0][0], 5.0)
    assert (points.min(axis=0).tolist(), points.max(axis=0).tolist()) == ([0, 0], [89, 16])


def test_a_jagged_shape_is_simplified_to_the_limit() -> None:
    """A long saw keeps at most 64 points."""
    canvas = np.zeros((120, 700), np.uint8)
    teeth = [[5 + 6 * i, 20 + 60 * (i % 2)] for i in range(115)]
    cv2.polylines(canvas, [np.array(teeth)], isClosed=False, color=1, thickness=3)
    saw = canvas.astype(bool)
    points = trace_outline(saw, find_shapes(saw, 1)[0][0], 1.0)
    assert len(points) <= MAX_OUTLINE_POINTS
    assert shapely.Polygon(points).is_valid


def test_an_outline_keeps_out_of_bays() -> None:
    """The open side of a bracket stays open."""
    mask = np.zeros((80, 120), bool)
    mask[10:70, 10:100] = True
    mask[24:56, 30:100] = False
    outline = shapely.Polygon(trace_outline(mask, find_shapes(mask, 1)[0][0], 4.0))
    assert not outline.intersects(shapely.box(40, 32, 105, 48))
    assert outline.contains(shapely.box(10, 10, 99, 23))


def test_an_outline_leaves_the_neighbours_out() -> None:
    """Only the shape itself is grown, not another one in the same window."""
    mask = np.zeros((60, 120), bool)
    mask[10:20, 10:100] = True
    mask[24:34, 10:100] = True
    first = min(find_shapes(mask, 2)[0], key=lambda contour: int(contour[..., 1].min()))
    assert trace_outline(mask, first, 5.0)[:, 1].max() == 24
