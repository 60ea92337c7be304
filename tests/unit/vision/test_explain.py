"""Warnings: every answer that might surprise says why."""

from __future__ import annotations

import numpy as np
import pytest

from ocrdet.options import DetectOptions
from ocrdet.values import (
    DecodedImage,
    DetectionWarning,
    FitReport,
    ImageHeader,
    Placement,
    TextRegion,
    Thresholds,
)
from ocrdet.vision.explain import explain_detection
from ocrdet.vision.fit import FitPlan
from ocrdet.vision.regions import FoundRegions
from ocrdet.vision.tiles import Window

REGION = TextRegion(((0.0, 0.0), (9.0, 0.0), (9.0, 9.0), (0.0, 9.0)), 0.9, 0.0, 0)
ONE, EMPTY = FoundRegions((REGION,), 0, 0), FoundRegions((), 0, 0)
NOISE = np.random.default_rng(1).integers(0, 256, (40, 60, 3), np.uint8)


def explain(
    *,
    pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]] = NOISE,
    decoding: tuple[DetectionWarning, ...] = (),
    scale: float = 1.0,
    readable_px: int = 8,
    score: float = 0.3,
    found: FoundRegions | None = None,
    options: DetectOptions | None = None,
    tiles_wanted: int = 0,
) -> list[DetectionWarning]:
    """The warnings of an answer like this."""
    header = ImageHeader("png", pixels.shape[1], pixels.shape[0])
    return list(
        explain_detection(
            DecodedImage(pixels, header, decoding),
            make_plan(FitReport("letterbox", 1, scale, readable_px), tiles_wanted),
            Thresholds(score, 0.2, 0.3, 1.5, 1000),
            found or ONE,
            options or DetectOptions(),
        )
    )


def make_plan(report: FitReport, tiles_wanted: int) -> FitPlan:
    """A plan that reports this."""
    place = Placement(800, 800, report.scale, report.scale, 800, 800)
    return FitPlan((800, 800), (Window(0, 0, 800, 800),), place, report, tiles_wanted)


def codes(warnings: list[DetectionWarning]) -> list[str]:
    """Their codes."""
    return [warning.code for warning in warnings]


def test_an_answer_without_surprises_has_no_warnings() -> None:
    """Nothing to say is nothing said."""
    assert explain() == []


def test_what_decoding_changed_comes_first() -> None:
    """The order is that of the stages."""
    assert codes(explain(decoding=(DetectionWarning("cmyk_converted", "..."),), scale=0.1)) == [
        "cmyk_converted",
        "downscaled",
    ]


def test_strong_shrinking_says_how_small_text_may_be() -> None:
    """Half size is not strong yet."""
    assert explain(scale=0.5) == []
    (warning,) = explain(scale=0.21, readable_px=39)
    assert warning.code == "downscaled"
    assert "21%" in warning.detail
    assert "39 px" in warning.detail


def test_strong_shrinking_points_to_tiles_where_these_would_show_more() -> None:
    """Not when tiles were asked for, are too few already, or could not make so low a strip readable."""
    assert "fit=tile" in explain(scale=0.21, readable_px=39)[0].detail
    for useless in (
        explain(scale=0.21, readable_px=39, options=DetectOptions(fit="tile")),
        explain(scale=0.21, readable_px=39, tiles_wanted=77),
        explain(scale=0.21, readable_px=39, pixels=NOISE[:7]),
    ):
        assert codes(useless)[-1] == "downscaled"
        assert "fit=tile" not in useless[-1].detail
        assert "Send a crop" in useless[-1].detail


def test_a_very_low_threshold_recommends_a_tighter_nms() -> None:
    """0.05 itself is not below it."""
    assert explain(score=0.05) == []
    (warning,) = explain(score=0.049)
    assert (warning.code, "iou_threshold" in warning.detail) == ("low_score_threshold", True)


def test_what_was_left_out_is_counted() -> None:
    """Regions beyond max_regions, and candidates beyond the model's own limit."""
    found = FoundRegions((REGION,), dropped=3, candidates_cut=2)
    truncated, cut = explain(found=found, options=DetectOptions(max_regions=1))
    assert truncated.code == "truncated"
    assert truncated.detail.startswith("3 more regions were found than max_regions=1")
    assert cut.code == "too_many_candidates"
    assert cut.detail.startswith("2 of the smallest candidates")


def test_more_tiles_than_allowed_are_a_warning_that_says_how_many() -> None:
    """What full sharpness would have taken."""
    (warning,) = explain(tiles_wanted=77)
    assert warning.code == "tiles_limited"
    assert "77 tiles" in warning.detail


@pytest.mark.parametrize("grey", [0, 128, 255])
def test_an_empty_answer_for_a_blank_image_says_that_it_is_blank(grey: int) -> None:
    """White, black, and grey with a little noise; the colour is named."""
    pixels = np.full((40, 60, 3), grey, np.uint8)
    pixels[5, 5] = grey - 8 if grey else 8
    (warning,) = explain(pixels=pixels, found=EMPTY)
    assert warning.code == "blank_image"
    assert f"RGB {grey}, {grey}, {grey}" in warning.detail


def test_one_channel_is_enough_to_make_an_image_not_blank() -> None:
    """Blue on black may be text."""
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[5, 5, 2] = 9
    assert codes(explain(pixels=pixels, found=EMPTY)) == ["no_text_found"]


def test_an_empty_answer_for_a_tiny_image_says_that_it_is_too_small() -> None:
    """The smaller side decides."""
    (warning,) = explain(pixels=NOISE[:7], found=EMPTY)
    assert (warning.code, "60x7 px" in warning.detail) == ("too_small", True)
    assert codes(explain(pixels=NOISE[:8], found=EMPTY)) == ["no_text_found"]
    (_, shrunk) = explain(scale=0.1, readable_px=80, found=EMPTY)
    assert (shrunk.code, "scaled to 10%" in shrunk.detail) == ("too_small", True)


def test_any_other_empty_answer_says_what_to_try() -> None:
    """The threshold that nothing reached is named."""
    (warning,) = explain(score=0.45, found=EMPTY)
    assert warning.code == "no_text_found"
    assert "threshold of 0.45" in warning.detail
