"""Fit plans with the usual choices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocrdet.vision.fit import FitPlan, FitRules, plan_fit

if TYPE_CHECKING:
    from ocrdet.options import Fit
    from ocrdet.values import FitReport, Placement
    from ocrdet.vision.tiles import Shape

SHAPES: tuple[Shape, ...] = ((800, 800), (800, 608), (608, 800), (800, 320), (320, 800))
MAX_TILES = 32


def plan(
    width: int,
    height: int,
    *,
    shapes: tuple[Shape, ...] = SHAPES,
    mode: Fit = "auto",
    max_upscale: float = 2.0,
    readable_px: float = 8.0,
) -> tuple[Shape, Placement, FitReport]:
    """A plan with the usual choices."""
    made = whole_plan(
        width, height, shapes=shapes, mode=mode, max_upscale=max_upscale, readable_px=readable_px
    )
    return made.shape, made.placement, made.report


def whole_plan(
    width: int,
    height: int,
    *,
    shapes: tuple[Shape, ...] = SHAPES,
    mode: Fit = "auto",
    max_upscale: float = 2.0,
    readable_px: float = 8.0,
    max_tiles: int = MAX_TILES,
) -> FitPlan:
    """The same with its windows."""
    return plan_fit(width, height, FitRules(shapes, max_upscale, readable_px, max_tiles), mode)
