"""Reading order: regions gathered into rows, rows from top to bottom, regions from left to right."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ocrdet.vision.geometry import LONG_ASPECT, quad_angle

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Two regions share a row when their centres are nearer, down the page, than this part of the smaller height.
_ROW_TOLERANCE = 0.5


def sort_into_rows(quads: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The reading order of regions, and the row of each.

    The page is first turned by the tilt that most of its text has. Columns of a page are not told apart, and
    columns of vertical text are read as one row, from left to right.

    Args:
        quads: (N, 4, 2) corners, ordered by `order_quads`.

    Returns:
        (N,) indices into the input in reading order, and (N,) row numbers from 0 in that order. Neither
        depends on the order of the input, equal centres excepted.
    """
    tilt = np.radians(_page_tilt(quads))
    centres = quads.mean(axis=1)
    across = centres @ (np.cos(tilt), np.sin(tilt))
    down = centres @ (-np.sin(tilt), np.cos(tilt))
    heights = np.linalg.norm(quads[:, 3] + quads[:, 2] - quads[:, 0] - quads[:, 1], axis=1) / 2.0
    by_depth = np.lexsort((across, down))
    rows = np.empty(len(quads), np.intp)
    rows[by_depth] = _number_rows(down[by_depth].tolist(), heights[by_depth].tolist())
    order = np.lexsort((down, across, rows))
    return order, rows[order]


def _page_tilt(quads: NDArray[np.float64]) -> float:
    """Degrees clockwise: the median over long regions, weighted by their length; 0 without any."""
    width = np.linalg.norm(quads[:, 1] + quads[:, 2] - quads[:, 0] - quads[:, 3], axis=1)
    height = np.linalg.norm(quads[:, 3] + quads[:, 2] - quads[:, 0] - quads[:, 1], axis=1)
    weight = np.where(width >= LONG_ASPECT * height, width, 0.0)
    if not weight.any():
        return 0.0
    angle = quad_angle(quads)
    order = np.lexsort((weight, angle))
    running = np.cumsum(weight[order])
    return float(angle[order][np.searchsorted(running, running[-1] / 2.0)])


def _number_rows(centres: list[float], heights: list[float]) -> list[int]:
    """Row numbers of regions sorted from top to bottom: each joins the row above it or opens the next."""
    rows: list[int] = []
    row, members, row_centre, row_height = -1, 0, 0.0, 0.0
    for centre, height in zip(centres, heights, strict=True):
        if members == 0 or centre - row_centre > _ROW_TOLERANCE * min(height, row_height):
            row, members, row_centre, row_height = row + 1, 0, 0.0, 0.0
        members += 1
        row_centre += (centre - row_centre) / members
        row_height += (height - row_height) / members
        rows.append(row)
    return rows
