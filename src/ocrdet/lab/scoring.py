"""How well the regions found in one image fit those that a person has marked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import shapely

from ocrdet.lab.measures import (
    Tally,
    Verdict,
    cover_area,
    cover_characters,
    is_enough,
    match_by_score,
    match_in_order,
)
from ocrdet.lab.shapes import as_array, make_shape, overlap_areas

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ocrdet.lab.labels import LabelledRegion
    from ocrdet.lab.shapes import Points

Measure = Literal["iou", "tolerant", "tolerant_penalized", "area"]
Judgement = Literal["iou", "tolerant"]

# A region with more than this share of itself on one ignored label is ignored as well.
IGNORED_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class ImageScore:
    """One image judged.

    Attributes:
        tallies: By measure: `iou` (ICDAR 2015), `tolerant` (characters), `tolerant_penalized`, `area`.
        verdicts: Of the two that judge region by region, over the labels and the regions that count.
        kept: (N,) the regions that count, as places in what was given.
        ranking: (N, 2) their scores, and 1 where the region is right, else 0.
    """

    tallies: dict[Measure, Tally]
    verdicts: dict[Judgement, Verdict]
    kept: NDArray[np.intp]
    ranking: NDArray[np.float64]


def score_image(
    labels: Sequence[LabelledRegion],
    outlines: Sequence[Points],
    scores: Sequence[float],
    size: tuple[int, int] | None = None,
) -> ImageScore:
    """Judge what was found in one image.

    A region does not count where it has no area, or where more than half of it lies on one ignored label and
    it matches no label that counts. (The script of ICDAR 2015 drops it even then, which matters only for text
    marked inside of ignored text.)

    Args:
        labels: What is to be found.
        outlines: (N, 2) outline of each region, in the frame of the labels.
        scores: The score of each region.
        size: Width and height of the image in pixels, outside of which there is no area.
    """
    counting = [label for label in labels if not label.ignored]
    wanted = as_array([label.shape for label in counting])
    ignored = as_array([label.shape for label in labels if label.ignored])
    regions = as_array([make_shape(outline) for outline in outlines])
    areas = np.asarray(shapely.area(regions), np.float64)
    solid = np.flatnonzero(areas > 0)
    regions, areas = regions[solid], areas[solid]

    common, meets = overlap_areas(wanted, regions)
    iou = common / (shapely.area(wanted)[:, None] + areas - common)
    on_ignored = (overlap_areas(ignored, regions)[0] / areas > IGNORED_SHARE).any(axis=0)
    counts = ~on_ignored | is_enough(iou).any(axis=0)
    kept = solid[counts]

    matched, match = match_in_order(iou[:, counts])
    tolerant, penalized, cover = cover_characters(counting, regions[counts], meets[:, counts])
    area = cover_area(wanted, ignored, regions, size)
    ranks = np.array(scores, np.float64)[kept]
    return ImageScore(
        {"iou": matched, "tolerant": tolerant, "tolerant_penalized": penalized, "area": area},
        {"iou": match, "tolerant": cover},
        kept,
        np.stack([ranks, match_by_score(iou[:, counts], ranks)], axis=1),
    )
