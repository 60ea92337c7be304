"""Whether a device or a precision finds the same regions as ONNX Runtime's CPU provider in fp32.

    python -m bench.precision --device openvino --precision bf16 --data DIR

DIR holds images, in folders or not; labels are not looked at. Regions agree when their quads overlap by an
IoU of 0.7 and neither has a nearer partner; the agreement is twice the pairs over the regions of both. That
is the number a manifest states under `agreement`, and what `OCRDET_PRECISION` goes by.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

from ocrdet.cli.sources import SUFFIXES
from ocrdet.detector import Detector
from ocrdet.engine.store import find_model
from ocrdet.errors import OcrdetError
from ocrdet.settings import Settings
from ocrdet.vision.geometry import quad_area, quad_overlap

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ocrdet.values import Quad

LEAST_IOU = 0.7


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="ppocrv6-det-small")
    parser.add_argument("--preset")
    parser.add_argument("--device", default="openvino")
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--images", type=int, default=400, help="at most, evenly taken")
    arguments = parser.parse_args()
    found = sorted(path for path in arguments.data.rglob("*") if path.suffix.lower() in SUFFIXES)
    paths = found[:: max(1, -(-len(found) // arguments.images))]
    files = find_model(arguments.model, arguments.preset)
    # What is measured here is what the manifest will state; so it must not be asked for already.
    manifest = files.manifest.model_copy(update={"agreement": {arguments.precision: 1.0}})
    files = dataclasses.replace(files, manifest=manifest)
    other = Settings.from_environment(device=arguments.device, precision=arguments.precision)
    with Detector(files, Settings.from_environment(device="cpu")) as plain, Detector(files, other) as reduced:
        print(json.dumps(measure_agreement(plain, reduced, paths), indent=1))


def measure_agreement(plain: Detector, reduced: Detector, paths: Sequence[Path]) -> dict[str, float]:
    """How far two detectors agree over images; those that cannot be read are left out."""
    pairs = regions = images = 0
    ious, score_differences = [], []
    for path in paths:
        try:
            one, other = (each.detect(path.read_bytes()).regions for each in (plain, reduced))
        except OcrdetError:
            continue
        images += 1
        regions += len(one) + len(other)
        matched = match_quads(*([region.quad for region in regions] for regions in (one, other)))
        pairs += len(matched)
        ious += [iou for _, _, iou in matched]
        score_differences += [abs(one[i].score - other[j].score) for i, j, _ in matched]
        if images % 50 == 0:
            print(f"{images} of {len(paths)} images", file=sys.stderr, flush=True)
    return {
        "images": images,
        "regions": regions / 2,
        "agreement": round(2 * pairs / max(regions, 1), 5),
        "median_iou": round(median(ious), 5),
        "iou_above_0.99": round(float(np.mean(np.array(ious) >= 0.99)), 5),
        "largest_score_difference": round(max(score_differences), 5),
    }


def match_quads(one: Sequence[Quad], other: Sequence[Quad]) -> list[tuple[int, int, float]]:
    """Pairs of indices with their IoU, the best first, each quad in one pair at most."""
    if not one or not other:
        return []
    a, b = np.array(one, np.float64), np.array(other, np.float64)
    near = (a.min(axis=1)[:, None] <= b.max(axis=1)) & (b.min(axis=1) <= a.max(axis=1)[:, None])
    i, j = np.nonzero(near.all(axis=2))
    common = quad_overlap(a[i], b[j])
    iou = common / np.maximum(quad_area(a)[i] + quad_area(b)[j] - common, 1e-9)
    pairs: list[tuple[int, int, float]] = []
    taken_one, taken_other = set(), set()
    for k in np.argsort(-iou, kind="stable").tolist():
        if iou[k] < LEAST_IOU:
            break
        if i[k] not in taken_one and j[k] not in taken_other:
            taken_one.add(i[k])
            taken_other.add(j[k])
            pairs.append((int(i[k]), int(j[k]), float(iou[k])))
    return pairs


if __name__ == "__main__":
    main()
