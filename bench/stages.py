"""Time of each stage of one image on one thread, beside the obvious way to do the same.

    python -m bench.stages [--rounds 15]

The stages are those of `Detector.detect`, called one by one. The obvious way decodes every pixel, scales and
normalises in NumPy's float32, and writes JSON with the standard library; inference and regions have none.
All stages of one round see the same image one after the other, as in a request: caches are as cold as there.
Milliseconds of CPU time.
"""

from __future__ import annotations

import argparse
import json
import time
from statistics import median
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from bench.bare import open_session
from bench.pages import draw_dense_page, draw_page
from bench.rounds import spreads
from ocrdet.api.answers import detection_dict, detection_json
from ocrdet.engine.store import find_model
from ocrdet.options import DetectOptions
from ocrdet.values import Detection, ModelIdentity, ProbabilityMap, Timings
from ocrdet.vision.decode import decode_image, prepare_decoders, read_header
from ocrdet.vision.fit import FitRules, fit_image, plan_fit
from ocrdet.vision.normalize import Normalization, normalize_into
from ocrdet.vision.regions import find_regions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bench.rounds import Figures
    from ocrdet.engine.manifest import NormalizationSpec
    from ocrdet.vision.fit import FitPlan

MODEL = "ppocrv6-det-small"
TO_TENSOR = ("decode", "fit", "normalise")
WARM_ROUNDS = 2


class Laps:
    """CPU time, lap by lap."""

    def __init__(self) -> None:
        """Start the first lap."""
        self.ms: Figures = {}
        self._last = time.process_time()

    def end(self, name: str) -> None:
        """End a lap; the next begins when this returns."""
        self.ms[name] = 1e3 * (time.process_time() - self._last)
        self._last = time.process_time()


class Stages:
    """The stages of a request with their data, for one thread."""

    def __init__(self, model: str) -> None:
        """Open the model with one thread."""
        prepare_decoders()
        cv2.setNumThreads(1)
        files = find_model(model)
        self._manifest = manifest = files.manifest
        self._session = open_session(str(files.path), 1)
        self._input = self._session.get_inputs()[0].name
        self._rules = FitRules(manifest.shapes, manifest.max_upscale, manifest.readable_px)
        spec = manifest.normalization
        self._normalization = Normalization(manifest.input.color, "NCHW", spec.gain, spec.offset)
        self._tensor = np.empty(3 * max(height * width for height, width in manifest.shapes), np.float32)

    def run(self, data: bytes) -> tuple[Figures, FitPlan, Detection]:
        """Milliseconds of every stage; how the image was fitted, and what was found."""
        options, laps = DetectOptions(), Laps()
        header = read_header(data)
        plan = plan_fit(header.width, header.height, self._rules, "letterbox")
        decoded = decode_image(data, header, reduction=plan.reduction)
        laps.end("decode")
        place = plan.placement
        fitted = fit_image(decoded.pixels, place, reduction=decoded.reduction, overhang=decoded.overhang)
        laps.end("fit")
        tensor = self._tensor[: 3 * plan.shape[0] * plan.shape[1]].reshape(1, 3, *plan.shape)
        normalize_into(fitted, self._normalization, tensor)
        laps.end("normalise")
        values = self._session.run(None, {self._input: tensor})[0][0, 0]
        laps.end("inference")
        thresholds = self._manifest.thresholds_for(None, None, options.iou_threshold)
        found = find_regions(ProbabilityMap(values, place), thresholds)
        laps.end("regions")
        identity = ModelIdentity(self._manifest.name, self._manifest.version, "CPUExecutionProvider")
        detection = Detection(
            identity, header, plan.report, found.regions, thresholds, Timings(), decoded.warnings
        )
        detection_json(detection, options, "bench")
        laps.end("serialise")
        return laps.ms, plan, detection

    def run_plainly(self, data: bytes, plan: FitPlan, detection: Detection) -> Figures:
        """The obvious way to do the same, where there is one."""
        laps, spec = Laps(), self._manifest.normalization
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        assert pixels is not None
        laps.end("decode")
        fitted = cv2.resize(pixels, (plan.placement.width, plan.placement.height))
        laps.end("fit")
        _normalize_plainly(fitted, plan.shape, spec)
        laps.end("normalise")
        json.dumps(detection_dict(detection, DetectOptions(), "bench")).encode()
        laps.end("serialise")
        return laps.ms


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=15)
    print(json.dumps(measure_stages(parser.parse_args().rounds), indent=1))


def measure_stages(rounds: int, model: str = MODEL) -> dict[str, Any]:
    """Of each image the spread of every stage: `ours` and `plain` in ms, and `ratio`, plain over ours."""
    stages = Stages(model)
    jpeg = draw_page(1, 4000, 3000)
    images = {
        "1600x1200 JPEG": draw_page(0),
        "1600x1200 JPEG, 300 regions": draw_dense_page(),
        "4000x3000 JPEG": jpeg,
        "4000x3000 PNG": _as_png(jpeg),
    }
    return {name: _measure(stages, data, rounds) for name, data in images.items()}


def _measure(stages: Stages, data: bytes, rounds: int) -> dict[str, Any]:
    measured: dict[str, list[Figures]] = {"ours": [], "plain": [], "ratio": []}
    regions = []
    for _ in range(rounds + WARM_ROUNDS):
        ours, plan, detection = stages.run(data)
        plain = stages.run_plainly(data, plan, detection)
        for times in (ours, plain):
            times["to tensor"] = sum(times[stage] for stage in TO_TENSOR)
        measured["ours"].append(ours | {"total": sum(ours.values()) - ours["to tensor"]})
        measured["plain"].append(plain)
        measured["ratio"].append({stage: plain[stage] / ours[stage] for stage in plain})
        regions.append(len(detection.regions))
    spread = {part: spreads(each[WARM_ROUNDS:]) for part, each in measured.items()}
    return spread | {"image": {"bytes": len(data), "regions": median(regions)}}


def _normalize_plainly(
    pixels: NDArray[Any], shape: tuple[int, int], spec: NormalizationSpec
) -> NDArray[np.float32]:
    height, width = pixels.shape[:2]
    padded = np.zeros((*shape, 3), np.uint8)
    padded[:height, :width] = pixels
    mean, std = np.array(spec.mean, np.float32), np.array(spec.std, np.float32)
    values = (padded.astype(np.float32) * np.float32(spec.scale) - mean) / std
    return np.ascontiguousarray(values.transpose(2, 0, 1)[None])


def _as_png(jpeg: bytes) -> bytes:
    pixels = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None
    return cv2.imencode(".png", pixels)[1].tobytes()


if __name__ == "__main__":
    main()
