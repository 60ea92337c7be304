"""Hold other manifests of the embedded model against the shipped one, on labelled images.

    python -m bench.tuning --data DATA [--half even|odd] [--only NAME ...] [--write docs/fit.md]

Each row changes what its name says and nothing else. What is tuned is tuned on the even half of each set;
`--half odd` shows what that is worth on the other. With --write the table replaces the one in a document.
"""

from __future__ import annotations

import argparse
import json
import re
import tempfile
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from bench.accuracy import HMEAN, SETS, headline
from ocrdet.cli.sources import SUFFIXES
from ocrdet.detector import open_detector
from ocrdet.engine.store import BUILT_IN_FOLDER, MANIFEST_FILE, MODEL_FILE, find_model
from ocrdet.lab.evaluation import judge_images
from ocrdet.lab.ground_truth import find_sets
from ocrdet.lab.prediction import InProcess
from ocrdet.lab.summary import HALVES, half_of
from ocrdet.options import DetectOptions
from ocrdet.settings import Settings
from ocrdet.vision.fit import FitRules, plan_fit
from ocrdet.vision.header import read_header

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ocrdet.detector import Detector
    from ocrdet.lab.ground_truth import LabelledImage
    from ocrdet.lab.prediction import Prediction

MODEL = "ppocrv6-det-small"
ONE_PASS = 800 * 800
READABLE_PX = 8.0  # the default of a manifest
INSIDE = [[800, 800], [800, 608], [608, 800], [800, 480], [480, 800], [800, 320], [320, 800]]
LARGER_PAGES = [[800, 800], [928, 672], [672, 928], [1024, 512], [736, 1280], [800, 320], [320, 800]]
VARIANTS: dict[str, dict[str, Any]] = {
    "as shipped": {},
    "one square of 800x800": {"shapes": [[800, 800]]},
    "rectangles inside 800x800": {"shapes": INSIDE},
    "pages in 928x672": {"shapes": LARGER_PAGES},
    "every pixel, in tiles (fit=tile)": {"fit": "tile"},
    "enlarge small images at most 1x": {"max_upscale": 1.0},
    "enlarge small images at most 1.5x": {"max_upscale": 1.5},
    "enlarge small images at most 2x": {"max_upscale": 2.0},
    "binary threshold 0.15": {"binary": 0.15},
    "binary threshold 0.3": {"binary": 0.3},
    "score threshold 0.25": {"score": 0.25},
    "score threshold 0.35 (scene=industrial)": {"score": 0.35},
    "score threshold 0.5 (scene=document)": {"score": 0.5},
    "score threshold 0.6": {"score": 0.6},
    "unclip ratio 1.1": {"unclip_ratio": 1.1},
    "unclip ratio 1.3": {"unclip_ratio": 1.3},
    "unclip ratio 1.4": {"unclip_ratio": 1.4},
}
MARKS = re.compile(r"(?<=<!-- tuning -->\n).*?(?=<!-- /tuning -->)", re.DOTALL)


class Counting(InProcess):
    """A detector that adds up what it spends.

    Attributes:
        images: How many it was asked for.
        tiles: Passes through the model.
        pixels: Model pixels of all passes.
    """

    def __init__(self, detector: Detector, options: DetectOptions, rules: FitRules) -> None:
        """Count from nothing."""
        super().__init__(detector, options)
        self._rules = rules
        self.images = self.tiles = self.pixels = 0

    @override
    def predict(self, data: bytes) -> Prediction:
        """What the detector finds."""
        header = read_header(data)
        plan = plan_fit(header.width, header.height, self._rules, self._options.fit)
        self.images += 1
        self.tiles += len(plan.windows)
        self.pixels += len(plan.windows) * plan.shape[0] * plan.shape[1]
        return super().predict(data)


def main() -> None:
    """Measure every variant, print the table as it grows."""
    arguments = _arguments()
    sets = {
        each.name: [
            image
            for image in each.images
            if arguments.half is None or half_of(image.path.name) == arguments.half
        ]
        for each in find_sets([arguments.data], SUFFIXES)
        if each.name in SETS and each.images
    }
    names = [name for name in SETS if name in sets]
    head = ["variant", *names, "mean of hmean", "passes", "model pixels"]
    rows = [head, ["---"] * len(head)]
    print(_line(head))
    for variant in arguments.only or VARIANTS:
        rows.append(_measure(variant, {name: sets[name] for name in names}))
        print(_line(rows[-1]), flush=True)
    if arguments.write:
        document = arguments.write.read_text(encoding="utf-8")
        table = "\n".join(map(_line, rows)) + "\n"
        arguments.write.write_text(MARKS.sub(lambda _: table, document), encoding="utf-8")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--half", choices=HALVES)
    parser.add_argument("--only", nargs="+", choices=list(VARIANTS), metavar="NAME")
    parser.add_argument("--write", type=Path, help="replace the table in this document")
    return parser.parse_args()


def _measure(variant: str, sets: dict[str, list[LabelledImage]]) -> list[str]:
    changes = dict(VARIANTS[variant])
    fit = changes.pop("fit", "auto")
    with tempfile.TemporaryDirectory() as folder:
        manifest = _write_model(Path(folder), changes)
        settings = Settings.from_environment({}, model=folder)
        rules = FitRules(
            tuple((height, width) for height, width in manifest["shapes"]),
            manifest["max_upscale"],
            manifest.get("readable_px", READABLE_PX),
            settings.max_tiles,
        )
        with open_detector(settings=settings) as detector:
            options = DetectOptions(coordinates="stored", fit=fit)
            predictor = Counting(detector, options, rules)
            judged_of = {name: list(judge_images(predictor, images, 1)) for name, images in sets.items()}
    figures = {name: headline(SETS[name].measure, judged) or 0.0 for name, judged in judged_of.items()}
    lines = [figure for name, figure in figures.items() if SETS[name].measure == HMEAN]
    spent = predictor.tiles / predictor.images, predictor.pixels / predictor.images / ONE_PASS
    return [
        variant,
        *(f"{figure:.3f}" for figure in (*figures.values(), mean(lines))),
        *map("{:.2f}".format, spent),
    ]


def _write_model(folder: Path, changes: dict[str, Any]) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads((BUILT_IN_FOLDER / MODEL / MANIFEST_FILE).read_text())
    del manifest["source"]
    for field, value in changes.items():
        (manifest["thresholds"] if field in manifest["thresholds"] else manifest)[field] = value
    (folder / MANIFEST_FILE).write_text(json.dumps(manifest))
    (folder / MODEL_FILE).symlink_to(find_model(MODEL).path)
    return manifest


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
