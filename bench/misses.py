"""Say what became of the labels that were missed at IoU 0.5: not seen, cut in pieces, or merged with others.

python -m bench.misses --data FOLDER_OF_ONE_SET
"""

from __future__ import annotations

import argparse
import statistics
from collections import Counter
from pathlib import Path

import numpy as np
import shapely

from ocrdet.cli.sources import SUFFIXES
from ocrdet.detector import open_detector
from ocrdet.lab.evaluation import JudgedImage, judge_images
from ocrdet.lab.ground_truth import find_sets
from ocrdet.lab.prediction import InProcess
from ocrdet.options import DetectOptions


def main() -> None:
    """Count over all images of a set."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    kinds: Counter[str] = Counter()
    gaps: list[float] = []
    with open_detector() as detector:
        predictor = InProcess(detector, DetectOptions(coordinates="stored"))
        for each in find_sets([parser.parse_args().data], SUFFIXES):
            for judged in judge_images(predictor, each.images, 1):
                explain(judged, kinds, gaps)
    for kind, number in kinds.most_common():
        print(f"{number:5} {kind}")
    if gaps:
        print(f"median gap between neighbours in one region: {statistics.median(gaps):.2f} of their height")


def explain(judged: JudgedImage, kinds: Counter[str], gaps: list[float]) -> None:
    """Add the labels of one image to the counts, and the gaps inside of regions that span several."""
    labels = np.array([label.shape for label in judged.image.labels.regions if not label.ignored])
    regions = np.array([shapely.make_valid(shapely.Polygon(o)) for o in judged.prediction.outlines])
    common = shapely.area(shapely.intersection(labels[:, None], regions[None]))
    inside = common > 0.5 * shapely.area(labels)[:, None]  # of the label, most is in the region
    part = common > 0.5 * shapely.area(regions)  # of the region, most is on the label
    for label, found in enumerate(judged.score.verdicts["iou"].found.tolist()):
        if found:
            kinds["found"] += 1
        elif any(inside[:, region].sum() > 1 for region in np.flatnonzero(inside[label])):
            kinds["missed: in a region that spans several labels"] += 1
        elif part[label].sum() > 1:
            kinds["missed: cut in pieces"] += 1
        elif inside[label].any() or part[label].any():
            kinds["missed: alone in its region, but of another size or slope"] += 1
        else:
            kinds["missed: not seen"] += 1
    for region in np.flatnonzero(inside.sum(axis=0) > 1):
        bounds = shapely.bounds(labels[inside[:, region]])
        left, top, right, bottom = bounds[np.argsort(bounds[:, 0])].T
        gaps += ((left[1:] - right[:-1]) / (bottom - top)[:-1]).tolist()


if __name__ == "__main__":
    main()
