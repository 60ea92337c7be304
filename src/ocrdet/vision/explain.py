"""Say what would explain an answer that might surprise: never a silent empty result."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ocrdet.values import DetectionWarning

if TYPE_CHECKING:
    from ocrdet.options import DetectOptions
    from ocrdet.values import DecodedImage, FitReport, Thresholds
    from ocrdet.vision.fit import FitPlan
    from ocrdet.vision.regions import FoundRegions

# Below this, ghost regions come faster than NMS at its default can drop them.
LOW_SCORE = 0.05
# A picture shrunk to less than this has lost text that a person still reads.
STRONG_DOWNSCALE = 0.5
# Grey levels between the darkest and the brightest pixel of a picture that counts as blank.
BLANK_RANGE = 8


def explain_detection(
    decoded: DecodedImage, plan: FitPlan, thresholds: Thresholds, found: FoundRegions, options: DetectOptions
) -> tuple[DetectionWarning, ...]:
    """Every warning of one answer, those of decoding first.

    Args:
        decoded: The image and what decoding changed.
        plan: How it met the model.
        thresholds: The numbers used.
        found: The regions, and how many were left out.
        options: What the caller asked for.
    """
    warnings = list(decoded.warnings)
    fit = plan.report

    def warn(code: str, detail: str) -> None:
        warnings.append(DetectionWarning(code, detail))

    if plan.tiles_wanted:
        warn(
            "tiles_limited",
            f"To read the image well would take {plan.tiles_wanted} tiles; it was scaled down so that "
            f"{fit.tiles} suffice. Send it in parts to find smaller text.",
        )
    if fit.scale < STRONG_DOWNSCALE:
        warn(
            "downscaled",
            f"The image was scaled to {fit.scale:.0%} of its size for the model; text lower than about "
            f"{fit.smallest_readable_px} px in the image cannot be found. "
            f"{'Ask for fit=tile or send' if _tiles_help(decoded, plan, options) else 'Send'} a crop to find "
            f"smaller text.",
        )
    if thresholds.score < LOW_SCORE:
        warn(
            "low_score_threshold",
            f"Below a score_threshold of {LOW_SCORE} many ghost regions appear; lower iou_threshold as well, "
            f"so that NMS drops more of them.",
        )
    if found.dropped:
        warn(
            "truncated",
            f"{found.dropped} more regions were found than max_regions={options.max_regions} lets through; "
            f"those with the highest scores were kept.",
        )
    if found.candidates_cut:
        warn(
            "too_many_candidates",
            f"{found.candidates_cut} of the smallest candidates were not looked at; the model considers at "
            f"most {thresholds.max_candidates}.",
        )
    if not found.regions:
        warnings.append(_explain_empty(decoded, fit, thresholds, options))
    return tuple(warnings)


def _tiles_help(decoded: DecodedImage, plan: FitPlan, options: DetectOptions) -> bool:
    """Whether fit=tile would show more: not where tiles are too few already, nor in a strip of no height."""
    side, fit = min(decoded.header.width, decoded.header.height), plan.report
    return options.fit != "tile" and not plan.tiles_wanted and side >= fit.smallest_readable_px * fit.scale


def _explain_empty(
    decoded: DecodedImage, fit: FitReport, thresholds: Thresholds, options: DetectOptions
) -> DetectionWarning:
    pixels = decoded.pixels
    # Plane by plane: a reduction over all axes but the last takes numpy ten times as long.
    if max(int(plane.max()) - int(plane.min()) for plane in np.moveaxis(pixels, 2, 0)) <= BLANK_RANGE:
        red, green, blue = (int(value) for value in pixels[0, 0])
        return DetectionWarning(
            "blank_image",
            f"The image is one even colour (about RGB {red}, {green}, {blue}): there is nothing to find.",
        )
    if min(decoded.header.width, decoded.header.height) < fit.smallest_readable_px:
        seen = f", as it was scaled to {fit.scale:.0%}" if fit.scale < 1 else ""
        return DetectionWarning(
            "too_small",
            f"The image is only {decoded.header.width}x{decoded.header.height} px; text needs a height of "
            f"about {fit.smallest_readable_px} px{seen}.",
        )
    # An explicit threshold wins over a scene's: naming a scene would then change nothing.
    scene = "" if options.score_threshold is not None else " or use scene=industrial"
    return DetectionWarning(
        "no_text_found",
        f"Nothing reached the score threshold of {thresholds.score:g}. If there is faint or blurred text, "
        f"lower score_threshold{scene}.",
    )
