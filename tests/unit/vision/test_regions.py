"""Probability maps drawn by hand, and the regions that must come out of them."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from ocrdet.values import Placement, ProbabilityMap, TextRegion
from ocrdet.vision.regions import find_regions
from tests.unit.vision.quads import THRESHOLDS, blank, blobs, draw, place, quad

if TYPE_CHECKING:
    from numpy.typing import NDArray


def grown(
    x: float, y: float, width: float, height: float, degrees: float = 0.0, probability: float = 0.9
) -> NDArray[np.float64]:
    """The quad expected of a bar: where the map falls to the level, 0.7 pixels inward of that, grown back."""
    crossing = (probability - THRESHOLDS.binary) / probability - 0.7
    width, height = width - 1 + 2 * crossing, height - 1 + 2 * crossing
    distance = width * height * THRESHOLDS.unclip_ratio / (2 * (width + height))
    return quad(x, y, width + 2 * distance, height + 2 * distance, degrees)


def test_a_level_bar_gives_its_exact_quad() -> None:
    """Quad, score, angle and line of one bar come out to the last digit."""
    values = blank()
    values[50:60, 40:140] = 0.75
    (region,) = find_regions(place(values), THRESHOLDS).regions
    assert np.array(region.quad) == pytest.approx(grown(90, 55, 100, 10, probability=0.75), abs=0.01)
    assert (region.score, region.angle, region.line, region.polygon) == (0.75, 0.0, 0, None)


@pytest.mark.parametrize("degrees", [-70, *range(-60, 75, 15), -1, 3, 70])
def test_a_turned_bar_gives_its_quad_within_a_pixel(degrees: float) -> None:
    """Corners of turned bars are right to a pixel and a half, their angles to one degree."""
    values = blank(200, 200)
    draw(values, quad(100, 100, 120, 16, degrees))
    (region,) = find_regions(place(values), THRESHOLDS).regions
    assert np.array(region.quad) == pytest.approx(grown(100, 100, 121, 17, degrees), abs=1.5)
    assert region.angle == pytest.approx(degrees, abs=1.0)


@pytest.mark.parametrize(("scale_x", "scale_y"), [(0.5, 0.5), (2.0, 2.0), (0.4, 0.8)])
def test_regions_are_in_the_pixels_of_the_photo(scale_x: float, scale_y: float) -> None:
    """The same map of a larger, smaller or squeezed photo gives the same quad in its own pixels."""
    values = blank()
    values[50:60, 40:140] = 0.9
    (region,) = find_regions(place(values, scale_x, scale_y), THRESHOLDS).regions
    assert np.array(region.quad) == pytest.approx(grown(90, 55, 100, 10) / (scale_x, scale_y), abs=0.01)


def test_padding_is_never_text() -> None:
    """What lies outside the image is not looked at, even where the map says text."""
    values = np.full((64, 96), 0.9, np.float32)
    values[:40, :50] = 0.0
    values[10:20, 5:45] = 0.9
    found = find_regions(ProbabilityMap(values, Placement(50, 40, 1.0, 1.0, 50, 40)), THRESHOLDS)
    assert len(found.regions) == 1
    assert found.regions[0].box == pytest.approx((0, 4.02, 50, 24.98), abs=2.0)


@pytest.mark.parametrize(
    ("height", "gap", "ratio"), [(4, 1, 1.5), (7, 1, 1.5), (9, 2, 1.5), (9, 1, 1.2), (14, 2, 1.2)]
)
def test_dense_neighbouring_lines_all_stay_apart(height: int, gap: int, ratio: float) -> None:
    """Lines a pixel or two apart overlap after growing back, and all of them stay at the default IoU."""
    values = blank(300, 300)
    for line in range(16):
        top = 10 + (height + gap) * line
        values[top : top + height, 20:280] = 0.9
    found = find_regions(place(values), dataclasses.replace(THRESHOLDS, unclip_ratio=ratio))
    assert [region.line for region in found.regions] == list(range(16))
    tops = [region.quad[0][1] for region in found.regions]
    bottoms = [region.quad[3][1] for region in found.regions]
    assert all(bottom > top for bottom, top in zip(bottoms, tops[1:], strict=False))


def count(values: NDArray[np.float32], iou: float) -> int:
    """How many regions an IoU threshold leaves."""
    return len(find_regions(place(values), dataclasses.replace(THRESHOLDS, iou=iou)).regions)


def test_no_iou_threshold_joins_a_line_that_the_model_cut_in_two() -> None:
    """Two halves beside each other hardly overlap: they stay two at any threshold."""
    values = blank()
    values[50:60, 20:95] = 0.9
    values[50:60, 99:180] = 0.9
    assert [count(values, iou) for iou in (0.2, 0.25, 0.3, 0.4, 0.45, 0.9)] == [2] * 6


def test_a_higher_iou_threshold_brings_back_a_line_that_a_close_one_covers() -> None:
    """Large lines a pixel apart grow over a third of each other: the default drops one, 0.45 shows both."""
    values = blank(260, 120)
    values[40:52, 20:180] = 0.9
    values[53:65, 20:180] = 0.8
    assert [count(values, iou) for iou in (0.2, 0.3, 0.45)] == [1, 1, 2]


def test_no_iou_threshold_splits_titles_that_the_model_merged() -> None:
    """Two stacked titles that touch in the map are one shape: one region at any threshold."""
    values = blank()
    values[30:44, 20:180] = 0.9
    values[44:58, 20:180] = 0.8
    assert [count(values, iou) for iou in (0.2, 0.25, 0.3, 0.45)] == [1] * 4


def test_a_lower_iou_threshold_drops_titles_that_stand_close() -> None:
    """What 0.2 does to stacked titles: of two that stay apart at the default, it takes one away."""
    values = blank()
    values[30:39, 20:180] = 0.9
    values[41:50, 20:180] = 0.8
    assert [count(values, iou) for iou in (0.2, 0.3, 0.45)] == [1, 2, 2]


def test_text_inside_a_frame_is_found_and_the_frame_is_not() -> None:
    """A frame scores low as its rectangle is mostly empty; its hole is no region; the line in it is one."""
    values = blank()
    values[10:110, 10:190] = 0.9
    values[16:104, 16:184] = 0.0
    values[50:60, 60:140] = 0.9
    (region,) = find_regions(place(values), THRESHOLDS).regions
    assert np.array(region.quad) == pytest.approx(grown(100, 55, 80, 10), abs=0.01)


def test_a_speck_in_the_margin_of_a_headline_is_no_region_of_its_own() -> None:
    """What growing back covers whole, as the dot of a letter, belongs to what covers it."""
    values = blank(260, 160)
    values[60:100, 30:230] = 0.9
    values[50:56, 60:66] = 0.8
    (region,) = find_regions(place(values), THRESHOLDS).regions
    assert region.score == pytest.approx(0.9)


def test_small_clear_text_on_a_faint_ghost_stays() -> None:
    """A large region that scores lower takes nothing away that lies in it."""
    values = blank(260, 160)
    values[20:140, 20:240] = 0.55
    values[60:90, 80:180] = 0.0
    values[70:80, 90:170] = 0.95
    scores = [region.score for region in find_regions(place(values), THRESHOLDS).regions]
    assert pytest.approx(0.95) in scores


def test_a_map_without_text_has_no_regions() -> None:
    """Nothing above the threshold is an empty answer, not an error; so is a map of one pixel."""
    for values in (
        blank(),
        np.full((60, 80), THRESHOLDS.binary, np.float32),
        blank(1, 1),
        np.ones((1, 1), np.float32),
    ):
        assert find_regions(place(values), THRESHOLDS, polygons=True) == find_regions(
            place(blank()), THRESHOLDS
        )
    assert find_regions(place(blank()), THRESHOLDS).regions == ()


def test_a_map_that_is_all_text_is_one_region_as_large_as_the_image() -> None:
    """The whole image is clipped to the whole image."""
    (region,) = find_regions(place(np.ones((60, 80), np.float32)), THRESHOLDS, polygons=True).regions
    assert region.quad == ((0.0, 0.0), (80.0, 0.0), (80.0, 60.0), (0.0, 60.0))
    assert region.score == 1.0


def test_specks_and_slivers_are_dropped() -> None:
    """Single pixels, lines of pixels and bars that stay too thin after growing are no regions."""
    values = blank()
    values[::4, ::4] = 0.9
    assert find_regions(place(values), THRESHOLDS).regions == ()
    values = blank()
    values[10:13, 10:150] = 0.9
    assert find_regions(place(values), THRESHOLDS).regions == ()
    thin = dataclasses.replace(THRESHOLDS, unclip_ratio=0.3)
    values[40:44, 10:150] = 0.9
    assert len(find_regions(place(values), THRESHOLDS).regions) == 1
    assert find_regions(place(values), thin).regions == ()


def test_the_score_threshold_is_inclusive_and_looks_at_the_shape_before_growing() -> None:
    """A bar of probability 0.5 passes a score threshold of 0.5."""
    values = blank()
    values[50:60, 40:140] = 0.5
    assert find_regions(place(values), THRESHOLDS).regions[0].score == 0.5
    values[50:60, 40:140] = 0.49
    assert find_regions(place(values), THRESHOLDS).regions == ()


def test_max_regions_keeps_the_best_scores_and_says_how_many_it_dropped() -> None:
    """Of six lines the three best stay, in reading order, with rows numbered anew."""
    values = blank()
    for line, probability in enumerate([0.9, 0.6, 0.8, 0.55, 0.95, 0.7]):
        values[5 + 19 * line : 13 + 19 * line, 20:180] = probability
    found = find_regions(place(values), THRESHOLDS, max_regions=3)
    assert [region.score for region in found.regions] == pytest.approx([0.9, 0.8, 0.95])
    assert [region.line for region in found.regions] == [0, 1, 2]
    assert (found.dropped, found.candidates_cut) == (3, 0)


def test_max_candidates_keeps_the_largest_shapes_and_says_how_many_it_cut() -> None:
    """Of five shapes the two largest are looked at."""
    values = blank(300, 60)
    for i, height in enumerate([10, 20, 8, 16, 12]):
        values[20 : 20 + height, 60 * i + 5 : 60 * i + 45] = 0.9
    found = find_regions(place(values), dataclasses.replace(THRESHOLDS, max_candidates=2))
    assert [sum(region.box[::2]) // 120 for region in found.regions] == [1, 3]
    assert found.candidates_cut == 3


def test_three_thousand_lines_are_three_thousand_regions() -> None:
    """A page beyond all measure is read whole, in reading order."""
    values = blank(800, 800)
    for i in range(3000):
        x, y = 20 * (i % 40) + 2, 10 * (i // 40) + 3
        values[y : y + 5, x : x + 15] = 0.9
    thresholds = dataclasses.replace(THRESHOLDS, max_candidates=3000)
    found = find_regions(place(values), thresholds, max_regions=3000)
    assert [region.line for region in found.regions] == [i // 40 for i in range(3000)]
    lefts = [region.quad[0][0] for region in found.regions[:40]]
    assert lefts == sorted(lefts)


def test_outlines_start_beside_the_first_corner_and_hold_the_shape() -> None:
    """With polygons=True each region also has its outline, inside the image, in source pixels."""
    values = blank()
    values[50:60, 40:140] = 0.9
    (region,) = find_regions(place(values, 0.5, 0.5), THRESHOLDS, polygons=True).regions
    assert region.polygon is not None
    outline = shapely.Polygon(region.polygon)
    assert outline.is_valid
    assert outline.contains(shapely.box(80, 100, 280, 120))
    assert outline.bounds == pytest.approx(region.box, abs=2.0)
    nearest = min(region.polygon, key=lambda p: abs(p[0] - region.quad[0][0]) + abs(p[1] - region.quad[0][1]))
    assert region.polygon[0] == nearest


def assert_sound(region: TextRegion, width: int, height: int) -> None:
    """Every promise of a region that does not depend on what is in the picture."""
    points = np.array(region.quad + (region.polygon or ()))
    assert (points >= 0).all()
    assert (points <= (width, height)).all()
    polygon = shapely.Polygon(region.quad)
    assert polygon.is_valid
    assert polygon.area > 0
    (x1, y1), (x2, y2) = (
        np.subtract(region.quad[2], region.quad[0]),
        np.subtract(region.quad[3], region.quad[1]),
    )
    assert x1 * y2 - y1 * x2 > 0
    assert -90.0 < region.angle <= 90.0
    assert THRESHOLDS.score <= region.score <= 1.0
    assert region.polygon is None or shapely.Polygon(region.polygon).is_valid
    numbers = [*points.ravel().tolist(), region.score, region.angle]
    assert all(len(json.dumps(number).partition(".")[2]) <= 4 for number in numbers)


@settings(deadline=None)
@given(
    st.integers(0, 10_000),
    st.integers(10, 120),
    st.integers(10, 90),
    st.sampled_from([1.0, 2.0, 4.0]),
    st.sampled_from([(1.0, 1.0), (0.3, 0.3), (2.0, 2.0), (0.5, 1.5)]),
)
def test_whatever_the_map_the_regions_are_sound(
    seed: int, width: int, height: int, level: float, scale: tuple[float, float]
) -> None:
    """Convex clockwise quads, simple outlines inside the image, rows from 0 up; the same every time."""
    probability = place(blobs(seed, width, height, level), *scale)
    found = find_regions(probability, THRESHOLDS, polygons=True)
    source = probability.placement
    for region in found.regions:
        assert_sound(region, source.source_width, source.source_height)
    rows = [region.line for region in found.regions]
    assert rows == sorted(rows)
    assert set(rows) == set(range(len(set(rows))))
    assert find_regions(probability, THRESHOLDS, polygons=True) == found


@given(st.integers(0, 1000))
def test_a_map_alone_and_in_a_batch_gives_the_same_regions(seed: int) -> None:
    """A map that is a slice of a padded batch gives the regions it gives alone."""
    values = blobs(seed, 80, 60, 2.0)
    batch = np.random.default_rng(seed).random((2, 64, 96), np.float32)
    batch[1, :60, :80] = values
    alone = find_regions(place(values), THRESHOLDS)
    assert find_regions(ProbabilityMap(batch[1], place(values).placement), THRESHOLDS) == alone
