"""The golden picture: a drawn page whose lines are known, for the self-test of a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from ocrdet.values import DecodedImage, ImageHeader

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from ocrdet.values import TextRegion

SIZE_PX = 640
LINES = (
    ("INVOICE 2048-77", 40, 80, 1.6),
    ("Deliver to: 14 Harbour Street", 40, 160, 1.0),
    ("Quantity   Item        Price", 40, 260, 0.9),
    ("12   Copper wire      38.40", 40, 320, 0.9),
    ("3    Terminal block   17.25", 40, 380, 0.9),
    ("Total 55.65 EUR", 300, 480, 1.2),
    ("Thank you for your order", 120, 580, 0.8),
)
# A line counts as found when this share of its box is covered; regions may be words or lines.
LEAST_COVERED = 0.5
LEAST_FOUND = 6
# Regions grow past the ink; more than this share far from any line means noise taken for text.
MOST_STRAY = 0.3
MARGIN_PX = 16


def draw_golden() -> NDArray[np.uint8]:
    """A (640, 640, 3) uint8 RGB page with seven lines of text, the same on every machine."""
    page = np.full((SIZE_PX, SIZE_PX, 3), 250, np.uint8)
    for text, left, baseline, size in LINES:
        cv2.putText(
            page, text, (left, baseline), cv2.FONT_HERSHEY_SIMPLEX, size, (20, 20, 20), 2, cv2.LINE_AA
        )
    cv2.line(page, (30, 280), (610, 280), (90, 90, 90), 1)
    return page


def golden_image() -> DecodedImage:
    """The golden picture as if it had been decoded."""
    return DecodedImage(draw_golden(), ImageHeader("png", SIZE_PX, SIZE_PX))


def judge_golden(regions: Iterable[TextRegion]) -> str | None:
    """Hold regions found in the golden picture against its lines.

    Args:
        regions: Points in the picture's own pixels.

    Returns:
        None where they fit, else what is wrong in one sentence.
    """
    found = np.zeros((SIZE_PX, SIZE_PX), np.uint8)
    for region in regions:
        cv2.fillConvexPoly(found, np.round(np.array(region.quad)).astype(np.int32), 1)
    near = np.zeros_like(found)
    lines_found = 0
    for text, left, baseline, size in LINES:
        (width, height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, size, 2)
        box = found[baseline - height : baseline, left : left + width]
        lines_found += float(box.mean()) >= LEAST_COVERED
        top, start = max(0, baseline - height - MARGIN_PX), max(0, left - MARGIN_PX)
        near[top : baseline + MARGIN_PX, start : left + width + MARGIN_PX] = 1
    if lines_found < LEAST_FOUND:
        return f"Only {lines_found} of the {len(LINES)} lines of the golden picture were found."
    stray = int((found & ~near & 1).sum())
    if stray > MOST_STRAY * int(found.sum()):
        return "Much of what was found in the golden picture lies where there is no text."
    return None
