"""Outlines of text as shapely geometries: healed, intersected, and cut into characters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import shapely

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Points = NDArray[np.float64]
    # A shapely geometry, and an array of them; shapely carries no types.
    Shape = Any
    Shapes = NDArray[np.object_]

# A healed outline that keeps less of its convex hull than this has lost what was meant.
_KEPT_SHARE = 0.5
QUAD = 4


def make_shape(points: Points) -> Shape:
    """The valid geometry of an outline.

    Args:
        points: (N, 2) x, y in pixels, N at least 3; it may cross itself.

    Returns:
        The polygon; where it crosses itself its healed parts, or its convex hull where little of it is left.
    """
    polygon = shapely.Polygon(points)
    if polygon.is_valid:
        return polygon
    healed, hull = shapely.buffer(polygon, 0), shapely.convex_hull(polygon)
    return healed if healed.area > _KEPT_SHARE * hull.area else hull


def as_array(shapes: Sequence[Shape]) -> Shapes:
    """Geometries as an array, also when there are none."""
    return np.array(shapes, dtype=np.object_)


def overlap_areas(a: Shapes, b: Shapes) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """What each pair of two lists has in common.

    Returns:
        (len(a), len(b)) common areas in square pixels, and whether the two meet at all.
    """
    areas = np.zeros((len(a), len(b)))
    meets = np.zeros((len(a), len(b)), np.bool_)
    if areas.size:
        rows, columns = shapely.STRtree(b).query(a, predicate="intersects")
        areas[rows, columns] = shapely.area(shapely.intersection(a[rows], b[columns]))
        meets[rows, columns] = True
    return areas, meets


def place_characters(points: Points, shape: Shape, count: int) -> Points:
    """Where the characters of a text would stand: evenly along the middle of its outline.

    Args:
        points: (N, 2) outline. Four points are a quad in order; a larger even number is read as curved text,
            one edge in the first half and the other one back in the second; any other number is taken by its
            smallest rectangle.
        shape: The geometry of the outline.
        count: How many characters; 0 for as many squares as fit along the outline.

    Returns:
        (characters, 2) x, y in pixels.
    """
    if len(points) > QUAD and len(points) % 2 == 0:
        edge, other = np.split(points, 2)
        other = other[::-1]
        middle = (edge + other) / 2
        length, thickness = _lengths(np.diff(middle, axis=0)).sum(), _lengths(edge - other).mean()
    else:
        quad = points if len(points) == QUAD else _smallest_rectangle(shape)
        sides = _lengths(np.roll(quad, -1, axis=0) - quad)
        pairs = sides[:2] + sides[2:]
        if pairs[1] > pairs[0]:
            quad = np.roll(quad, -1, axis=0)
        middle = np.stack([quad[0] + quad[3], quad[1] + quad[2]]) / 2
        length, thickness = pairs.max(), pairs.min()
    count = count or max(1, round(float(length / max(thickness, 1.0))))
    travelled = np.concatenate([[0.0], np.cumsum(_lengths(np.diff(middle, axis=0)))])
    stations = (np.arange(count) + 0.5) / count * travelled[-1]
    return np.stack([np.interp(stations, travelled, middle[:, axis]) for axis in (0, 1)], axis=1)


def _lengths(vectors: Points) -> NDArray[np.float64]:
    lengths: NDArray[np.float64] = np.linalg.norm(vectors, axis=1)
    return lengths


def _smallest_rectangle(shape: Shape) -> Points:
    corners: Points = shapely.get_coordinates(shapely.minimum_rotated_rectangle(shape))[:QUAD]
    return corners
