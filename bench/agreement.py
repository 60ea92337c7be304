"""Hold the measures of `ocrdet eval` against an evaluator that is not part of the project.

    python -m bench.agreement --evaluator evaluate.py [--data DIR] [--cases 200]

The evaluator is a Python file with `evaluate(gt_dir, predictions, only_predicted=True)`. Both judge drawn
cases of every kind of trouble and, with --data, what the detector finds in real sets (`images/` and JSON in
`gt/`). Every number, of each image and of each set, has to agree to 0.001; the exit status is 1 otherwise.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ocrdet.cli.sources import SUFFIXES
from ocrdet.detector import open_detector
from ocrdet.lab.evaluation import JudgedImage, judge_images
from ocrdet.lab.ground_truth import LabelledImage, find_sets
from ocrdet.lab.labels import read_labels
from ocrdet.lab.prediction import InProcess, Prediction
from ocrdet.lab.scoring import score_image
from ocrdet.lab.summary import summarize
from ocrdet.options import DetectOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from ocrdet.lab.scoring import Measure

    Evaluate = Callable[..., tuple[dict[str, Any], object]]
    Random = np.random.Generator

TOLERANCE = 0.001
# What the evaluator calls the same measures.
NAMES: dict[Measure, str] = {"iou": "ic15", "tolerant": "cl", "tolerant_penalized": "cl_pen", "area": "area"}
WIDTH, HEIGHT = 800, 600


def main() -> int:
    """Returns 1 where a number differs by more than the tolerance."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--evaluator", type=Path, required=True)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--cases", type=int, default=200)
    arguments = parser.parse_args()
    evaluate = load_evaluator(arguments.evaluator)
    with tempfile.TemporaryDirectory() as folder:
        cases = list(draw_cases(Path(folder), arguments.cases))
        differences = [compare("drawn", cases, evaluate, Path(folder))]
    if arguments.data is not None:
        with open_detector() as detector:
            predictor = InProcess(detector, DetectOptions(coordinates="stored"))
            for each in find_sets([arguments.data], SUFFIXES):
                if each.images:
                    gt = each.images[0].path.parent.parent / "gt"
                    judged = list(judge_images(predictor, each.images, 2))
                    differences.append(compare(each.name, judged, evaluate, gt))
    return 1 if max(differences) > TOLERANCE else 0


def load_evaluator(path: Path) -> Evaluate:
    """Returns its function."""
    spec = importlib.util.spec_from_file_location("evaluator", path)
    if spec is None or spec.loader is None:
        sys.exit(f"{path} is no Python program")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    function: Evaluate = module.evaluate
    return function


def compare(name: str, judged: Sequence[JudgedImage], evaluate: Evaluate, gt: Path) -> float:
    """Returns the largest difference in the set and in any of its images alone, and prints both."""
    predictions = {
        each.image.path.name: {
            "image": each.image.path.name,
            "boxes": [outline.ravel().tolist() for outline in each.prediction.outlines],
            "scores": list(each.prediction.scores),
        }
        for each in judged
    }
    together = difference(judged, evaluate(gt, predictions, only_predicted=True)[0])
    alone = max(
        difference([each], evaluate(gt, {file: predictions[file]}, only_predicted=True)[0])
        for each in judged
        if (file := each.image.path.name)
    )
    print(f"{name:12} {len(judged):4} images: set {together:.6f}, worst image {alone:.6f}", flush=True)
    return max(together, alone)


def difference(judged: Sequence[JudgedImage], theirs: dict[str, Any]) -> float:
    """Returns the largest difference of any precision, recall or hmean."""
    ours = summarize(judged).tallies
    return max(
        abs(mine - float(theirs[name][ratio]))
        for measure, name in NAMES.items()
        for mine, ratio in zip(ours[measure].ratios, "prh", strict=True)
    )


def draw_cases(folder: Path, count: int) -> Iterator[JudgedImage]:
    """Yields judged pages whose labels lie in the folder: turned, curved, crossing, nested, ignored text."""
    random = np.random.default_rng(0)
    for number in range(count):
        image = folder / f"{number}.png"
        regions = [
            {
                "polygon": draw_outline(random).tolist(),
                "text": "".join(random.choice(list("ab 文"), int(random.integers(0, 12)))),
                "ignore": bool(random.random() < 0.2),
            }
            for _ in range(int(random.integers(0, 12)))
        ]
        page = {"image": image.name, "width": WIDTH, "height": HEIGHT, "regions": regions}
        image.with_suffix(".json").write_text(json.dumps(page))
        labels = read_labels(image.with_suffix(".json"), image.name)
        outlines = tuple(
            outline for label in labels.regions for outline in draw_finds(random, label.points)
        ) + tuple(draw_outline(random) for _ in range(int(random.integers(0, 3))))
        scores = tuple(random.random(len(outlines)).tolist())
        score = score_image(labels.regions, outlines, scores, labels.size)
        yield JudgedImage(LabelledImage(image, labels), Prediction(outlines, scores), score)


def draw_outline(random: Random) -> NDArray[np.float64]:
    """Returns a turned quad, a crossing one, a curved outline, or one of an odd number of points."""
    width, height = random.uniform(10, 250), random.uniform(8, 60)
    points = int(random.choice([3, 4, 4, 4, 4, 5, 6, 10]))
    along = np.linspace(0, width, points - points // 2)
    upper = np.stack([along, random.uniform(-0.3, 0.3) * height * np.sin(along / width * np.pi)], axis=1)
    lower = np.stack([along, upper[:, 1] + height], axis=1)[::-1][: points // 2]
    outline = np.concatenate([upper, lower])
    if random.random() < 0.05:
        outline[[0, 1]] = outline[[1, 0]]
    angle = random.uniform(0, 2 * np.pi) if random.random() < 0.5 else 0.0
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    centre = random.uniform(0, [WIDTH, HEIGHT])
    moved: NDArray[np.float64] = outline @ turn + centre
    return np.round(moved, 1)


def draw_finds(random: Random, points: NDArray[np.float64]) -> Iterator[NDArray[np.float64]]:
    """Yields what a detector might make of a label: nothing, it with its points moved, or its two ends."""
    fate = random.random()
    if fate < 0.2:
        return
    moved = points + random.normal(0, 2 if fate < 0.7 else 6, points.shape)
    if fate < 0.85 or len(points) != 4:
        yield moved
        return
    upper, lower = (moved[0] + moved[1]) / 2, (moved[3] + moved[2]) / 2
    yield np.stack([moved[0], upper, lower, moved[3]])
    yield np.stack([upper, moved[1], moved[2], lower])


if __name__ == "__main__":
    sys.exit(main())
