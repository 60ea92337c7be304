"""Letterbox, stretch or tile an upright image into the model's input shapes.

plan_fit (from the size alone) -> [decode no more than the plan needs] -> fit_image -> its windows, one a pass
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import cv2
import numpy as np

from ocrdet.values import FitReport, Placement
from ocrdet.vision.tiles import Shape, Window, count_windows, cover_with_windows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ocrdet.options import Fit

# Below half size a linear filter skips source pixels, and thin strokes with them.
HALVE_UP_TO_SCALE = 0.5
# What a JPEG decoder can leave out.
REDUCTIONS = (8, 4, 2)
# A shape with this part of the best scale is as good, measured in hmean, and often much cheaper.
NEARLY_BEST = 0.8
# `auto`, measured in docs/fit.md. A long picture is read as a row of pages of this aspect ...
PAGE_ASPECT = 2.0
# ... a large one at no less than this scale ...
LEAST_SCALE = 0.2
# ... but one pass that reaches this part of the scale wanted will do, and so will one at half size.
GOOD_ENOUGH = 2 / 3
CLEAR_SCALE = 0.5
# When tiles are too many, the scale is lowered in steps of this.
SCALE_STEP = 0.97


@dataclass(frozen=True, slots=True)
class FitPlan:
    """How an image meets the model.

    Attributes:
        shape: (H, W) of the model input of every pass; what a window leaves of it is black.
        windows: The parts of the scaled image that go through the model, one a pass.
        placement: The map from the scaled image back to the displayed frame.
        report: What is done, for the answer.
        tiles_wanted: Tiles that full readability would have taken, where that is more than allowed; else 0.
    """

    shape: Shape
    windows: tuple[Window, ...]
    placement: Placement
    report: FitReport
    tiles_wanted: int = 0

    @property
    def model_pixels(self) -> int:
        """Pixels that go through the model, those of padding included."""
        return len(self.windows) * self.shape[0] * self.shape[1]

    @property
    def reduction(self) -> int:
        """How many times smaller than the image, in each direction, decoded pixels may be: 1, 2, 4 or 8."""
        scale = max(self.placement.scale_x, self.placement.scale_y)
        return next((reduction for reduction in REDUCTIONS if scale * reduction <= 1), 1)


@dataclass(frozen=True, slots=True)
class FitRules:
    """What the model and the operator say about fitting.

    Attributes:
        shapes: Closed set of (H, W) that the model was warmed with.
        max_upscale: Small images are enlarged by at most this factor.
        readable_px: Height of the smallest text the model finds, model pixels.
        max_tiles: At most this many passes for one image.
    """

    shapes: Sequence[Shape]
    max_upscale: float
    readable_px: float
    max_tiles: int = 1


def plan_fit(width: int, height: int, rules: FitRules, mode: Fit = "auto") -> FitPlan:
    """Decide how an image meets the model, from its size alone.

    *letterbox* keeps the aspect ratio in one pass. *stretch* fills the largest shape. *tile* sees every pixel
    at full size in overlapping windows. *auto* is a letterbox unless that would make text unreadable in a
    picture that is long or very large; it then tiles at the scale that a page of the same width would have.

    Args:
        width: Displayed width, pixels.
        height: Displayed height, pixels.
        rules: The model's shapes and bounds.
        mode: The caller's choice.

    Returns:
        The shape, the windows, the coordinate map and the report.
    """
    if mode == "stretch":
        shape = max(rules.shapes, key=lambda s: (s[0] * s[1], s))
        return _one_pass(
            shape,
            Placement(width, height, shape[1] / width, shape[0] / height, *shape[::-1]),
            "stretch",
            rules,
        )
    shape, scale = _letterbox(width, height, rules)
    wanted = enough = 1.0
    if mode == "auto":
        wanted = _page_scale(width, height, rules)
        enough = min(wanted * GOOD_ENOUGH, CLEAR_SCALE)
    legible = min(width, height) * wanted >= rules.readable_px
    if mode != "letterbox" and legible and scale < enough:
        return _tile(width, height, wanted, rules)
    return _one_pass(shape, _place(width, height, scale, shape), "letterbox", rules)


def fit_image(
    pixels: NDArray[np.uint8],
    placement: Placement,
    *,
    reduction: int = 1,
    overhang: tuple[int, int] = (0, 0),
) -> NDArray[np.uint8]:
    """Scale an upright image to its place in the model.

    Args:
        pixels: (ceil(H / reduction), ceil(W / reduction), 3) uint8 RGB of an H x W image.
        placement: Where it goes.
        reduction: Source pixels, in each direction, that one of `pixels` stands for.
        overhang: Source pixels, x and y, by which `pixels` begin before the image.

    Returns:
        (h, w, 3) uint8 RGB, h x w the part of the shape that the image covers; `normalize_into` pads.
    """
    pixels, step_x, step_y = _halve(pixels, placement, reduction)
    target = placement.width, placement.height
    covered = pixels.shape[1] * step_x, pixels.shape[0] * step_y
    if covered == (placement.source_width, placement.source_height):
        if (pixels.shape[1], pixels.shape[0]) == target:
            return pixels
        resized = cv2.resize(pixels, target, interpolation=cv2.INTER_LINEAR)
    else:
        # An odd side was cut or filled up on the way: sample where the pixels really are.
        by_x, by_y = 1 / (placement.scale_x * step_x), 1 / (placement.scale_y * step_y)
        first_x, first_y = by_x / 2 - 0.5 + overhang[0] / step_x, by_y / 2 - 0.5 + overhang[1] / step_y
        to_pixels = np.array([[by_x, 0, first_x], [0, by_y, first_y]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        resized = cv2.warpAffine(pixels, to_pixels, target, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(resized, np.uint8)


def _letterbox_scale(width: int, height: int, shape: Shape) -> float:
    return min(shape[1] / width, shape[0] / height)


def _letterbox(width: int, height: int, rules: FitRules) -> tuple[Shape, float]:
    """The cheapest shape that is nearly the best for this size, and the scale in it."""
    scales = {shape: min(rules.max_upscale, _letterbox_scale(width, height, shape)) for shape in rules.shapes}
    least = max(scales.values()) * NEARLY_BEST
    shape = min((s for s in scales if scales[s] >= least), key=lambda s: (s[0] * s[1], -scales[s], s))
    return shape, scales[shape]


def _page_scale(width: int, height: int, rules: FitRules) -> float:
    """The scale that one pass gives to a page as wide as the short side of the image, at most 1."""
    longest = round(min(width, height) * PAGE_ASPECT)
    scale = _letterbox(min(width, longest), min(height, longest), rules)[1]
    return min(1.0, max(scale, LEAST_SCALE))


def _tile(width: int, height: int, wanted: float, rules: FitRules) -> FitPlan:
    """Windows at the wanted scale, or at the largest one that needs no more of them than allowed."""
    size = _scaled(width, wanted), _scaled(height, wanted)
    cover, tiles_wanted = cover_with_windows(*size, rules.shapes, rules.max_tiles), 0
    if cover is None:
        tiles_wanted = count_windows(*size, rules.shapes)
    while cover is None:
        wanted *= SCALE_STEP
        size = _scaled(width, wanted), _scaled(height, wanted)
        cover = cover_with_windows(*size, rules.shapes, rules.max_tiles)
    shape, windows = cover
    placement = Placement(width, height, size[0] / width, size[1] / height, *size)
    report = _report("tile" if len(windows) > 1 else "letterbox", len(windows), placement, rules)
    return FitPlan(shape, windows, placement, report, tiles_wanted)


def _one_pass(
    shape: Shape, placement: Placement, mode: Literal["letterbox", "stretch"], rules: FitRules
) -> FitPlan:
    window = Window(0, 0, placement.width, placement.height)
    return FitPlan(shape, (window,), placement, _report(mode, 1, placement, rules))


def _place(width: int, height: int, scale: float, shape: Shape) -> Placement:
    placed_w, placed_h = min(shape[1], _scaled(width, scale)), min(shape[0], _scaled(height, scale))
    # The true ratio of pixels, not the wished-for one: a rounded side must not shift a line.
    return Placement(width, height, placed_w / width, placed_h / height, placed_w, placed_h)


def _scaled(side: int, scale: float) -> int:
    return max(1, round(side * scale))


def _report(
    mode: Literal["letterbox", "stretch", "tile"], tiles: int, placement: Placement, rules: FitRules
) -> FitReport:
    smaller = min(placement.scale_x, placement.scale_y)
    smallest_px = max(1, int(np.ceil(rules.readable_px / smaller)))
    return FitReport(mode, tiles, round(smaller, 6), smallest_px)


def _halve(
    pixels: NDArray[np.uint8], placement: Placement, reduction: int
) -> tuple[NDArray[np.uint8], int, int]:
    """Average pairs of pixels while that loses nothing; also the source pixels that one stands for now.

    Averaging 2x2 is what OpenCV does fast: a tenth of its time for areas of any other size.
    """
    step_x = step_y = reduction
    while True:
        by_x = 2 if placement.scale_x * step_x <= HALVE_UP_TO_SCALE else 1
        by_y = 2 if placement.scale_y * step_y <= HALVE_UP_TO_SCALE else 1
        if by_x == by_y == 1:
            return pixels, step_x, step_y
        height, width = pixels.shape[0] // by_y, pixels.shape[1] // by_x
        even = pixels[: height * by_y, : width * by_x]
        pixels = np.asarray(cv2.resize(even, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
        step_x, step_y = step_x * by_x, step_y * by_y
