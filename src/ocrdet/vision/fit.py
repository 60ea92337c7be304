"""Letterbox or stretch an upright image into one of the model's input shapes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from ocrdet.values import FitReport, Placement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ocrdet.values import Fit

Shape = tuple[int, int]
# Below half size a linear filter skips source pixels, and thin strokes with them.
AREA_BELOW_SCALE = 0.5


@dataclass(frozen=True, slots=True)
class FittedImage:
    """An image scaled for the model, without its padding.

    Attributes:
        pixels: (h, w, 3) uint8 RGB, h x w the part of the shape that the image covers.
        shape: (H, W) of the model input it belongs into, at the top-left corner.
        placement: The map back to the displayed frame.
        report: What was done, for the answer.
    """

    pixels: NDArray[np.uint8]
    shape: Shape
    placement: Placement
    report: FitReport


def plan_fit(  # noqa: PLR0913 - three facts of the image, three of the model
    width: int,
    height: int,
    shapes: Sequence[Shape],
    *,
    mode: Fit = "auto",
    max_upscale: float,
    readable_px: float,
) -> tuple[Shape, Placement, FitReport]:
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
        scale_x, scale_y = shape[1] / width, shape[0] / height
        placed_w, placed_h = shape[1], shape[0]
    else:
        scale = min(max_upscale, max(_letterbox_scale(width, height, s) for s in shapes))
        roomy = [s for s in shapes if _letterbox_scale(width, height, s) >= scale * (1 - 1e-9)]
        shape = min(roomy, key=lambda s: (s[0] * s[1], s))
        placed_w = min(shape[1], max(1, round(width * scale)))
        placed_h = min(shape[0], max(1, round(height * scale)))
        # The true ratio of pixels, not the wished-for one: a rounded side must not shift a line.
        scale_x, scale_y = placed_w / width, placed_h / height
    placement = Placement(width, height, scale_x, scale_y, placed_w, placed_h)
    smaller = min(scale_x, scale_y)
    report = FitReport(
        mode="stretch" if mode == "stretch" else "letterbox",
        tiles=1,
        scale=round(smaller, 6),
        smallest_readable_px=max(1, int(np.ceil(readable_px / smaller))),
    )
    return shape, placement, report


def fit_image(
    pixels: NDArray[np.uint8],
    shapes: Sequence[Shape],
    *,
    mode: Fit = "auto",
    max_upscale: float,
    readable_px: float,
) -> FittedImage:
    """Scale an upright image for the model.

    Args:
        pixels: (H, W, 3) uint8 RGB.
        shapes: Closed set of (H, W) that the model was warmed with.
        mode: The caller's choice of fit.
        max_upscale: Small images are enlarged by at most this factor.
        readable_px: Height of the smallest text the model finds, model pixels.

    Returns:
        The scaled pixels, not yet padded: `normalize_into` pads.
    """
    height, width = pixels.shape[:2]
    shape, placement, report = plan_fit(
        width, height, shapes, mode=mode, max_upscale=max_upscale, readable_px=readable_px
    )
    return FittedImage(_resize(pixels, placement), shape, placement, report)


def _letterbox_scale(width: int, height: int, shape: Shape) -> float:
    return min(shape[1] / width, shape[0] / height)


def _resize(pixels: NDArray[np.uint8], placement: Placement) -> NDArray[np.uint8]:
    target = placement.width, placement.height
    resized: NDArray[Any] = pixels
    if min(placement.scale_x, placement.scale_y) < AREA_BELOW_SCALE:
        # OpenCV averages areas only where neither side grows, so what grows is left to the second step.
        shrunk = min(pixels.shape[1], target[0]), min(pixels.shape[0], target[1])
        resized = cv2.resize(resized, shrunk, interpolation=cv2.INTER_AREA)
    if (resized.shape[1], resized.shape[0]) != target:
        resized = cv2.resize(resized, target, interpolation=cv2.INTER_LINEAR)
    return resized
