"""What is counted in one image: matches at an IoU, characters covered, pixels covered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import shapely

from ocrdet.lab.shapes import place_characters

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ocrdet.lab.labels import LabelledRegion
    from ocrdet.lab.shapes import Shapes

LEAST_IOU = 0.5
# A region with at least this share of itself on labelled text is wholly right to the tolerant measure.
TEXT_SHARE = 0.5
UNKNOWN_TEXTS = frozenset({"###", "*"})

# Two halves of a whole are equal whatever their last bits say.
_TINY = 1e-9


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts that add up over images; what is counted depends on the measure.

    Attributes:
        right: How much of what was predicted is right.
        predicted: How much was predicted.
        found: How much of what is labelled was found.
        labelled: How much is labelled.
    """

    right: float = 0.0
    predicted: float = 0.0
    found: float = 0.0
    labelled: float = 0.0

    def __add__(self, other: Tally) -> Tally:
        """Both together."""
        return Tally(
            self.right + other.right,
            self.predicted + other.predicted,
            self.found + other.found,
            self.labelled + other.labelled,
        )

    @property
    def precision(self) -> float:
        """The right share of what was predicted; 1 where nothing was."""
        return self.right / self.predicted if self.predicted else 1.0

    @property
    def recall(self) -> float:
        """The found share of what is labelled; 1 where nothing is."""
        return self.found / self.labelled if self.labelled else 1.0

    @property
    def hmean(self) -> float:
        """The harmonic mean of the two."""
        total = self.precision + self.recall
        return 2.0 * self.precision * self.recall / total if total else 0.0

    @property
    def ratios(self) -> tuple[float, float, float]:
        """Precision, recall and hmean."""
        return self.precision, self.recall, self.hmean


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of each label and of each region.

    Attributes:
        found: (labels,) whether the label was found.
        right: (regions,) whether the region is right.
    """

    found: NDArray[np.bool_]
    right: NDArray[np.bool_]


def is_enough(iou: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether each IoU is at least 0.5."""
    return iou >= LEAST_IOU - _TINY


def match_in_order(iou: NDArray[np.float64]) -> tuple[Tally, Verdict]:
    """Match labels and regions one to one, as the ICDAR 2015 protocol does.

    Each label in turn takes the first region that is free and overlaps it enough: at an IoU of at least 0.5,
    where the protocol's own script wants more than 0.5.

    Args:
        iou: (labels, regions) intersection over union.
    """
    found, right = np.zeros(iou.shape[0], np.bool_), np.zeros(iou.shape[1], np.bool_)
    for row, enough in enumerate(is_enough(iou)):
        free = np.flatnonzero(enough & ~right)
        if len(free):
            found[row] = right[free[0]] = True
    matches = float(found.sum())
    return Tally(matches, iou.shape[1], matches, iou.shape[0]), Verdict(found, right)


def match_by_score(iou: NDArray[np.float64], scores: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which regions are right when the best score chooses first, and takes the label it overlaps most.

    Args:
        iou: (labels, regions) intersection over union.
        scores: (regions,) scores.

    Returns:
        (regions,) True for the right ones.
    """
    right = np.zeros(len(scores), np.bool_)
    free = iou.copy()
    if free.size:
        for region in np.argsort(-scores, kind="stable"):
            label = free[:, region].argmax()
            if is_enough(free[label, region]):
                right[region] = True
                free[label] = 0.0
    return right


def cover_characters(
    labels: Sequence[LabelledRegion], regions: Shapes, meets: NDArray[np.bool_]
) -> tuple[Tally, Tally, Verdict]:
    """Count covered characters, so that lines for words and words for lines are as good as each other.

    Each label stands for as many characters as its text has. A character is found when any region covers its
    centre. A region weighs as much as the characters it covers, at least 1, and is right by the share of
    itself that lies on labelled text, wholly from one half on.

    Args:
        labels: Labels that count.
        regions: Regions that count.
        meets: (labels, regions) whether the two meet.

    Returns:
        The plain tally; the same less one for each further region that a label is cut into and each further
        label that a region joins; and the verdict: labels of which half was found, regions wholly right.
    """
    hits = np.zeros(meets.shape, np.intp)
    covered = np.zeros(len(labels), np.intp)
    lengths = np.zeros(len(labels), np.intp)
    for row, label in enumerate(labels):
        text = "" if label.text in UNKNOWN_TEXTS else "".join(label.text.split())
        centres = place_characters(label.points, label.shape, len(text))
        near = np.flatnonzero(meets[row])
        inside = shapely.contains_xy(regions[near, None], centres[:, 0], centres[:, 1])
        hits[row, near] = inside.sum(axis=1)
        covered[row], lengths[row] = inside.any(axis=0).sum(), len(centres)

    of_region = hits.sum(axis=0)
    weights = np.maximum(of_region, 1)
    shares = _text_shares(labels, regions)
    credit = np.where(of_region > 0, weights * np.minimum(shares / TEXT_SHARE, 1.0), 0.0)
    cuts = np.minimum(np.maximum((hits > 0).sum(axis=1) - 1, 0), covered)
    joins = np.minimum(np.maximum((hits > 0).sum(axis=0) - 1, 0), credit)
    plain = Tally(*map(float, (credit.sum(), weights.sum(), covered.sum(), lengths.sum())))
    penalized = Tally(
        plain.right - float(joins.sum()), plain.predicted, plain.found - float(cuts.sum()), plain.labelled
    )
    verdict = Verdict(2 * covered >= lengths, (of_region > 0) & (shares >= TEXT_SHARE))
    return plain, penalized, verdict


def cover_area(wanted: Shapes, ignored: Shapes, regions: Shapes, size: tuple[int, int] | None) -> Tally:
    """Count pixels, the ignored ones cut out.

    Args:
        wanted: Labels that count.
        ignored: Labels that do not; where the two overlap, the pixels count.
        regions: All regions, also those on ignored labels.
        size: Width and height of the image: what lies outside does not count. Everything does without it.
    """
    text, found = shapely.union_all(wanted), shapely.union_all(regions)
    if size is not None:
        canvas = shapely.box(0, 0, *size)
        text, found = shapely.intersection(text, canvas), shapely.intersection(found, canvas)
    found = shapely.difference(found, shapely.difference(shapely.union_all(ignored), text))
    common = shapely.intersection(text, found).area
    return Tally(common, found.area, common, text.area)


def _text_shares(labels: Sequence[LabelledRegion], regions: Shapes) -> NDArray[np.float64]:
    """(regions,) how much of each lies on labelled text."""
    text = shapely.union_all([label.shape for label in labels])
    shares: NDArray[np.float64] = shapely.area(shapely.intersection(regions, text)) / shapely.area(regions)
    return shares
