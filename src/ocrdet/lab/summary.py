"""Many judged images as the numbers of a table: sums, average precision, halves."""

from __future__ import annotations

import hashlib
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from ocrdet.lab.measures import Tally

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ocrdet.lab.evaluation import JudgedImage
    from ocrdet.lab.scoring import Measure

Half = Literal["even", "odd"]
HALVES: tuple[Half, ...] = get_args(Half)


@dataclass(frozen=True, slots=True)
class Summary:
    """Several images judged together.

    Attributes:
        images: How many.
        failed: Those that were not read, or not answered; they count as images in which nothing was found.
        labels: Labels that count.
        tallies: Summed over the images, by measure.
        average_precision: Area under the precision-recall curve at an IoU of at least 0.5.
        median_ms: Milliseconds for one image, decoding included; None where all failed.
    """

    images: int
    failed: int
    labels: int
    tallies: dict[Measure, Tally]
    average_precision: float
    median_ms: float | None


def summarize(judged: Sequence[JudgedImage]) -> Summary:
    """What a table says of these images, at least one."""
    scores = [each.score for each in judged]
    tallies = {
        measure: sum((score.tallies[measure] for score in scores), Tally()) for measure in scores[0].tallies
    }
    labels = int(tallies["iou"].labelled)
    times = [each.prediction.ms for each in judged if each.prediction.ms is not None]
    return Summary(
        images=len(judged),
        failed=sum(each.prediction.problem is not None for each in judged),
        labels=labels,
        tallies=tallies,
        average_precision=find_average_precision(np.concatenate([score.ranking for score in scores]), labels),
        median_ms=statistics.median(times) if times else None,
    )


def find_average_precision(ranking: NDArray[np.float64], labels: int) -> float:
    """The area under the curve of precision over recall that falling score thresholds draw.

    At each recall the precision is the best one at that recall or beyond (as in PASCAL VOC from 2010 on).
    Regions of equal score come together: their order says nothing.

    Args:
        ranking: (N, 2) score, and 1 where the region is right, else 0.
        labels: How many labels there are to be found.

    Returns:
        0 to 1; 1 where there is nothing to find and nothing was found.
    """
    if not labels:
        return 0.0 if len(ranking) else 1.0
    ranking = ranking[np.argsort(-ranking[:, 0], kind="stable")]
    last_of_its_score = np.append(np.diff(ranking[:, 0]) != 0, True)[: len(ranking)]
    right = np.cumsum(ranking[:, 1])[last_of_its_score]
    predicted = np.arange(1, len(ranking) + 1)[last_of_its_score]
    best = np.maximum.accumulate((right / predicted)[::-1])[::-1]
    return float(np.sum(np.diff(right, prepend=0.0) * best) / labels)


def half_of(file_name: str) -> Half:
    """The half of its set that an image belongs to, told from its file name alone.

    What is tuned on the even half is reported on the odd one: the parity of the first byte of the name's
    SHA-256 has nothing to do with what the image shows.
    """
    return HALVES[hashlib.sha256(file_name.encode("utf-8", "surrogateescape")).digest()[0] % 2]
