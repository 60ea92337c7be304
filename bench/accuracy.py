"""Measure a running server's regions against labelled images, over HTTP with default settings.

    python bench/accuracy.py --data DATA --evaluator evaluate.py [--url URL] [--write docs/accuracy.md]

DATA holds one folder per set: `images/` and `gt/<stem>.json` ({"image", "width", "height", "regions":
[{"polygon", "text", "ignore"}]}, polygons in stored pixels). The evaluator is an independent program with a
function `evaluate(gt_dir, predictions, only_predicted=True)`; nothing of the project judges itself here.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import urllib.request
from pathlib import Path
from typing import Any

# Per set: the measure, what a prototype with the same model reached at one 800x800 letterbox on larger
# samples (the lower end of its range), and what its settings reach on the very images measured here.
SETS: dict[str, tuple[str, float | None, float | None]] = {
    "sroie": ("hmean", 0.874, 0.915),
    "funsd_lines": ("hmean", 0.845, 0.816),
    "gameui_zh": ("hmean", 0.956, 0.977),
    "wiretube": ("hmean", 0.894, 0.881),
    "kant_print": ("hmean", None, 0.981),
    "icdar2015": ("tolerant", 0.892, 0.858),
    "sinonom": ("recall", None, 1.000),
}
HEADER = """# Accuracy

Measured through a running server over HTTP with default settings: one pass at up to 800x800 per image,
no set-specific option. *hmean* is the ICDAR 2015 protocol at IoU 0.5 against labelled lines;
*tolerant* is granularity-tolerant (labels are words, the model finds lines); *recall* where only part of the
text is labelled.

*Prototype* is what a first script around the same model reached on larger samples of the same sets; the
column beside it is what its settings reach on the very images measured here, served by ocrdet from a model
folder with `"shapes": [[800, 800]]` and `"thresholds": {"binary": 0.2, "score": 0.45, "unclip_ratio": 1.3}`.
The small samples differ from the large ones in both directions (funsd_lines and icdar2015 are harder here),
so that second column is the one to compare with.

The images are not part of the project, their licences do not allow that. The command:

    python bench/accuracy.py --data DATA --evaluator evaluate.py --write docs/accuracy.md

"""


def main() -> None:
    """Post every image of every set, judge, print the table."""
    arguments = _arguments()
    evaluate = _load_evaluator(arguments.evaluator)
    info = json.loads(_get(f"{arguments.url}/info"))
    rows = []
    for name, (measure, *prototype) in SETS.items():
        folder = arguments.data / name
        if (folder / "gt").is_dir():
            predictions = _predict(folder, f"{arguments.url}/detect?coordinates=stored{arguments.options}")
            result, _ = evaluate(folder / "gt", predictions, only_predicted=True)
            rows.append(_row(name, measure, prototype, result))
            print(rows[-1], flush=True)
    columns = ["set", "images", "measure", "precision", "recall", "result"]
    columns += ["prototype, larger sample", "its settings, these images"]
    table = "\n".join([f"| {' | '.join(columns)} |", "|" + "---|" * len(columns), *rows])
    if arguments.write:
        model = info["model"]
        facts = f"Model {model['name']} {model['version']} on {info['provider']}.\n\n"
        arguments.write.write_text(HEADER + facts + table + "\n", encoding="utf-8")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--evaluator", type=Path, required=True)
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--options", default="", help="more query parameters, as &score_threshold=0.3")
    parser.add_argument("--write", type=Path, help="write the table into this document")
    return parser.parse_args()


def _load_evaluator(path: Path) -> Any:  # noqa: ANN401 - a function of a program that is not ours
    spec = importlib.util.spec_from_file_location("evaluator", path)
    if spec is None or spec.loader is None:
        sys.exit(f"{path} is no Python program")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.evaluate


def _get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - the server under test
        return bytes(answer.read())


def _predict(folder: Path, url: str) -> dict[str, dict[str, Any]]:
    predictions = {}
    for path in sorted((folder / "images").iterdir()):
        request = urllib.request.Request(url, data=path.read_bytes(), method="POST")  # noqa: S310
        request.add_header("Content-Type", "application/octet-stream")
        with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310
            regions = json.loads(answer.read())["regions"]
        predictions[path.name] = {
            "image": path.name,
            "boxes": [[value for point in region["quad"] for value in point] for region in regions],
            "scores": [region["score"] for region in regions],
        }
    return predictions


def _row(name: str, measure: str, prototype: list[float | None], result: dict[str, Any]) -> str:
    numbers = result["cl" if measure == "tolerant" else "ic15"]
    headline = numbers["r"] if measure == "recall" else numbers["h"]
    before = " | ".join("" if figure is None else f"{figure:.3f}" for figure in prototype)
    return (
        f"| {name} | {result['images']} | {measure} | {numbers['p']:.3f} | {numbers['r']:.3f} "
        f"| **{headline:.3f}** | {before} |"
    )


if __name__ == "__main__":
    main()
