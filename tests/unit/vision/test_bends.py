"""Bent text: told from straight text, scored and grown by its shape instead of its rectangle."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
import shapely

from ocrdet.vision.bends import find_bends, measure_bends, shape_distances
from ocrdet.vision.regions import find_regions
from ocrdet.vision.shapes import find_shapes, fit_rectangles
from tests.unit.vision.quads import THRESHOLDS, blank, draw, place, quad

if TYPE_CHECKING:
    from cv2.typing import MatLike
    from numpy.typing import NDArray


def arc(radius: float, thickness: float, span: float, probability: float = 0.9) -> NDArray[np.float32]:
    """A map of text along part of a circle, as the network sees it: shrunk."""
    values = blank(400, 400)
    draw(values, np.array(sector(radius, thickness, span).exterior.coords), probability)
    return values


def sector(radius: float, thickness: float, span: float) -> shapely.Polygon:
    """Part of a ring around (200, 220), its middle at the top."""
    turn = np.radians(np.linspace(-span / 2, span / 2, 60))
    outer, inner = radius + thickness / 2, radius - thickness / 2
    rim = [(200 + outer * np.sin(t), 220 - outer * np.cos(t)) for t in turn]
    return shapely.Polygon(rim + [(200 + inner * np.sin(t), 220 - inner * np.cos(t)) for t in turn[::-1]])


def shapes(
    values: NDArray[np.float32],
) -> tuple[list[MatLike], NDArray[np.float64], NDArray[np.float64]]:
    """Contours, their areas and the rectangles around them."""
    contours, areas, _ = find_shapes(values > THRESHOLDS.binary, 100)
    return contours, areas, fit_rectangles(contours)


@pytest.mark.parametrize("span", [60, 120, 180, 300])
def test_text_along_an_arc_is_found_with_the_score_of_its_shape(span: float) -> None:
    """However little of its rectangle it fills, its score does not fall below a clear line's."""
    (region,) = find_regions(place(arc(150, 12, span)), THRESHOLDS).regions
    assert region.score >= 0.67


@pytest.mark.parametrize(("span", "better"), [(60, 0.2), (120, 0.35), (180, 0.45), (300, 0.5)])
def test_the_outline_of_bent_text_fits_far_better_than_its_quad(span: float, better: float) -> None:
    """Text on an arc: its outline has an IoU of 0.8 with it, its quad holds mostly background."""
    (region,) = find_regions(place(arc(150, 12, span)), THRESHOLDS, polygons=True).regions
    assert region.polygon is not None
    distance = 11 * THRESHOLDS.unclip_ratio / 2
    text = sector(150, 11 + 2 * distance, span + np.degrees(2 * distance / 150))
    outline, around = shapely.Polygon(region.polygon), shapely.Polygon(region.quad)
    by_outline, by_quad = (p.intersection(text).area / p.union(text).area for p in (outline, around))
    assert by_outline > 0.8
    assert by_outline - by_quad > better


@pytest.mark.parametrize("degrees", [0, 20, 45, 90])
def test_straight_text_is_not_bent(degrees: float) -> None:
    """Bars of any turn fill their rectangles."""
    values = blank(300, 300)
    draw(values, quad(150, 150, 180, 12, degrees))
    assert find_bends(*shapes(values)).tolist() == []


def test_a_closed_frame_is_not_bent() -> None:
    """A frame encloses its rectangle, so its score stays that of the rectangle: low."""
    values = blank()
    cv2.rectangle(values, (20, 20), (180, 100), 0.9, 6)
    assert find_bends(*shapes(values)).tolist() == []
    assert find_regions(place(values), THRESHOLDS).regions == ()


def test_a_short_line_inside_an_arc_stays() -> None:
    """What an arc goes around is no piece of it, even where it scores lower."""
    values = arc(150, 12, 240)
    draw(values, quad(200, 220, 90, 14), 0.6)
    regions = find_regions(place(values), THRESHOLDS).regions
    assert [region.score for region in regions] == pytest.approx([0.675, 0.6], abs=0.01)


def test_the_score_of_a_bend_is_that_of_its_own_pixels() -> None:
    """Neither the background nor what lies within the bend counts."""
    values = arc(150, 12, 200, 0.8)
    draw(values, quad(200, 220, 90, 14), 0.5)
    contours, areas, rects = shapes(values)
    bent = [contours[i] for i in find_bends(contours, areas, rects).tolist()]
    assert measure_bends(values, values > THRESHOLDS.binary, bent) == pytest.approx([0.75 * 0.8])


def test_a_straight_bar_would_grow_the_same_by_its_shape() -> None:
    """Area by perimeter of the shape and of its rectangle agree where the shape is a rectangle."""
    values = blank()
    values[40:52, 20:170] = 0.9
    contours, _, _ = shapes(values)
    assert shape_distances(contours, 1.5) == pytest.approx([149 * 11 * 1.5 / (2 * (149 + 11))])


def test_a_map_of_bends_within_bends_is_measured_only_so_far() -> None:
    """Windows that cover the map many times over are not all looked at: what is left scores 0."""
    values = blank(400, 400)
    for i in range(30):
        cv2.polylines(
            values,
            [np.array([[5 + 12 * i, 395], [5 + 12 * i, 5 + 12 * i], [395, 5 + 12 * i]])],
            False,
            0.9,
            5,
        )
    contours, areas, rects = shapes(values)
    bent = [contours[i] for i in find_bends(contours, areas, rects).tolist()]
    scores = measure_bends(values, values > THRESHOLDS.binary, bent)
    assert len(scores) > 20
    assert 0 < np.count_nonzero(scores) < len(scores)
    assert measure_bends(values, values > THRESHOLDS.binary, []).shape == (0,)
