"""Letterbox or stretch an upright image into one of the model's input shapes.

plan_fit (from the size alone) -> [decode no more than the plan needs] -> fit_image
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from ocrdet.values import FitReport, Placement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ocrdet.options import Fit

Shape = tuple[int, int]
# Below half size a linear filter skips source pixels, and thin strokes with them.
HALVE_UP_TO_SCALE = 0.5
# What a JPEG decoder can leave out.
REDUCTIONS = (8, 4, 2)


@dataclass(frozen=True, slots=True)
class FitPlan:
    """How an image meets the model.

    Attributes:
        shape: (H, W) of the model input that it goes into, at the top-left corner.
        placement: The map back to the displayed frame.
        report: What is done, for the answer.
    """

    shape: Shape
    placement: Placement
    report: FitReport

    @property
    def reduction(self) -> int:
        """How many times smaller than the image, in each direction, decoded pixels may be: 1, 2, 4 or 8."""
        scale = max(self.placement.scale_x, self.placement.scale_y)
        return next((reduction for reduction in REDUCTIONS if scale * reduction <= 1), 1)


def plan_fit(  # noqa: PLR0913 - three facts of the image, three of the model
    width: int,
    height: int,
    shapes: Sequence[Shape],
    *,
    mode: Fit = "auto",
    max_upscale: float,
    readable_px: float,
) -> FitPlan:
    """Decide how an image meets the model, from its size alone.

    Letterbox keeps the aspect ratio and takes, among the shapes that lose no resolution, the one with the
    fewest pixels. Stretch fills the largest shape. `auto` is letterbox.

    Args:
        width: Displayed width, pixels.
        height: Displayed height, pixels.
        shapes: Closed set of (H, W) that the model was warmed with.
        mode: The caller's choice; `tile` is answered with a letterbox until tiles exist.
        max_upscale: Small images are enlarged by at most this factor.
        readable_px: Height of the smallest text the model finds, model pixels.

    Returns:
        The shape, the coordinate map and the report.
    """
    if mode == "stretch":
        shape = max(shapes, key=lambda s: (s[0] * s[1], s))
        placed_w, placed_h = shape[1], shape[0]
    else:
        scale = min(max_upscale, max(_letterbox_scale(width, height, s) for s in shapes))
        roomy = [s for s in shapes if _letterbox_scale(width, height, s) >= scale * (1 - 1e-9)]
        shape = min(roomy, key=lambda s: (s[0] * s[1], s))
        placed_w = min(shape[1], max(1, round(width * scale)))
        placed_h = min(shape[0], max(1, round(height * scale)))
    # The true ratio of pixels, not the wished-for one: a rounded side must not shift a line.
    scale_x, scale_y = placed_w / width, placed_h / height
    smaller = min(scale_x, scale_y)
    report = FitReport(
        mode="stretch" if mode == "stretch" else "letterbox",
        tiles=1,
        scale=round(smaller, 6),
        smallest_readable_px=max(1, int(np.ceil(readable_px / smaller))),
    )
    return FitPlan(shape, Placement(width, height, scale_x, scale_y, placed_w, placed_h), report)


def fit_image(pixels: NDArray[np.uint8], placement: Placement, *, reduction: int = 1) -> NDArray[np.uint8]:
    """Scale an upright image to its place in the model.

    Args:
        pixels: (ceil(H / reduction), ceil(W / reduction), 3) uint8 RGB of an H x W image.
        placement: Where it goes.
        reduction: Source pixels, in each direction, that one of `pixels` stands for.

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
        to_pixels = np.array([[by_x, 0, by_x / 2 - 0.5], [0, by_y, by_y / 2 - 0.5]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        resized = cv2.warpAffine(pixels, to_pixels, target, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(resized, np.uint8)


def _letterbox_scale(width: int, height: int, shape: Shape) -> float:
    return min(shape[1] / width, shape[0] / height)


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
