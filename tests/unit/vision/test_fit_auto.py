"""When an image goes in tiles, and at which scale."""

from __future__ import annotations

import pytest

from ocrdet.values import FitReport
from tests.unit.vision.plans import plan, whole_plan


@pytest.mark.parametrize("size", [(4032, 3024), (2480, 3508), (1080, 2340), (1920, 1080), (705, 1877)])
def test_photos_pages_screens_and_receipts_go_in_one_pass(size: tuple[int, int]) -> None:
    """Their text grows with them, so a larger one needs no more passes."""
    assert whole_plan(*size).report.tiles == 1


@pytest.mark.parametrize("size", [(800, 12_000), (12_000, 800), (8600, 200), (1080, 20_000)])
def test_long_pictures_are_read_at_the_scale_of_a_page_of_their_width(size: tuple[int, int]) -> None:
    """A screenshot of many screens, a strip: as large as a page of twice their shorter side."""
    short = min(size)
    page = plan(short, 2 * short, max_upscale=1.0)[2]
    made = whole_plan(*size)
    assert made.report.mode == "tile"
    assert made.report.scale == pytest.approx(page.scale, abs=0.01)
    assert made.tiles_wanted == 0


def test_a_picture_of_very_many_pixels_is_seen_at_a_fifth_of_its_size_at_least() -> None:
    """A drawing of 100 million pixels has small letters all the same."""
    made = whole_plan(10_000, 10_000)
    assert (made.report.mode, made.report.scale) == ("tile", 0.2)
    assert whole_plan(5500, 5500).report.mode == "letterbox"


def test_the_limit_of_tiles_lowers_the_scale_and_says_how_many_it_would_have_been() -> None:
    """As large as the allowed number of passes can see."""
    free, bound = whole_plan(800, 12_000, max_tiles=99), whole_plan(800, 12_000, max_tiles=4)
    assert bound.report.tiles <= 4
    assert bound.report.scale < free.report.scale
    assert bound.tiles_wanted >= free.report.tiles > 4
    assert whole_plan(800, 12_000, max_tiles=1).report.mode == "letterbox"


def test_a_strip_too_low_for_any_letter_is_not_worth_many_passes() -> None:
    """Seven pixels high: one pass, and the report says what could have been read."""
    assert whole_plan(20_000, 7).report.tiles == 1


def test_tiles_on_request_see_every_pixel() -> None:
    """A photo at full size, though a letterbox would do by default."""
    made = whole_plan(2000, 1500, mode="tile")
    assert (made.report.mode, made.report.scale, made.report.smallest_readable_px) == ("tile", 1.0, 8)
    assert (made.placement.width, made.placement.height) == (2000, 1500)
    assert whole_plan(600, 500, mode="tile").report.mode == "letterbox"


def test_the_report_says_how_small_text_may_be() -> None:
    """Shrunk to a half, text of 8 model pixels is 16 pixels high in the image."""
    _, _, report = plan(1600, 1200)
    assert report == FitReport("letterbox", 1, 0.5, 16)
    assert plan(100, 100)[2].smallest_readable_px == 4
