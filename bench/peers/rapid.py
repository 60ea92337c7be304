"""RapidOCR's detector in a process of its own, run for a moment on each command.

    python -m bench.peers.rapid --engine onnxruntime --map MAP.npy

It says what it runs in one line of JSON, then reads lines `WHAT ARGUMENT` and answers each with another:

- `detect SECONDS`: JPEG pages to boxes, by a caller per CPU;
- `tensor SECONDS`: a page to the tensor, with RapidOCR's own loader;
- `tensor_opencv SECONDS`: the same with OpenCV's `imdecode` in place of that loader, which is faster;
- `regions SECONDS`: the probability map in the file to boxes in reading order;
- `boxes PATH`: what is found in an image file, through RapidOCR's front door.

Everything is at RapidOCR's defaults but for the longest side (800) and the threads: one detector of one
thread per caller gives the most images per second, and OpenVINO's threads are not pinned, because those of
several detectors would be pinned to the same CPU. `detect` decodes with OpenCV and hands arrays over.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from functools import partial
from itertools import cycle
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import rapidocr

from bench.closed_loop import closed_loop
from bench.pages import draw_page

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench.rounds import Figures

LONGEST_PX = 800
PAGES = 8


def main() -> None:
    """Load, warm, say what runs, obey."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", choices=("onnxruntime", "openvino"), required=True)
    parser.add_argument("--callers", type=int, default=2)
    parser.add_argument("--map", type=Path, required=True)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    engines = [_open(arguments.engine) for _ in range(arguments.callers)]
    pages = [draw_page(seed) for seed in range(PAGES)]
    values = np.load(arguments.map)[None, None]
    first, detector = engines[0], engines[0].text_det
    fit, find, order = detector.get_preprocess(), detector.postprocess_op, detector.sorted_boxes
    source_px = (2 * values.shape[2], 2 * values.shape[3])
    callers = [_caller(each.text_det, pages[start:] + pages[:start]) for start, each in enumerate(engines)]
    # After each tensor the model runs, as in a request: caches are as cold as there.
    work: dict[str, Callable[[float], Figures]] = {
        "detect": partial(_detect, callers),
        "tensor": partial(_time, lambda: fit(first.load_img(pages[0])), detector.session),
        "tensor_opencv": partial(_time, lambda: fit(_decode(pages[0])), detector.session),
        "regions": partial(_time, lambda: order(find(values, source_px)[0]), len),
    }
    facts = {
        "shape": fit(_decode(pages[0])).shape,
        "precision": _precision(detector, arguments.engine),
        "regions": len(find(values, source_px)[0]),
    }
    print(json.dumps(facts), flush=True)
    for line in sys.stdin:
        what, argument = line.rstrip("\n").split(" ", 1)
        answer = _boxes(first, argument) if what == "boxes" else work[what](float(argument))
        print(json.dumps(answer), flush=True)


def _open(engine: str) -> Any:  # noqa: ANN401 - RapidOCR types too loosely
    """RapidOCR with a detector of one thread, loaded and run once."""
    opened = rapidocr.RapidOCR(
        params={
            "Global.use_cls": False,
            "Global.use_rec": False,
            "Global.log_level": "error",
            "Det.engine_type": rapidocr.EngineType(engine),
            "Det.limit_type": "max",
            "Det.limit_side_len": LONGEST_PX,
            "EngineConfig.onnxruntime.intra_op_num_threads": 1,
            "EngineConfig.openvino.inference_num_threads": 1,
            "EngineConfig.openvino.enable_cpu_pinning": False,
        }
    )
    opened(draw_page(0), use_det=True, use_cls=False, use_rec=False)
    return opened


def _precision(detector: Any, engine: str) -> str:  # noqa: ANN401 - as above
    if engine == "onnxruntime":
        return "float32"
    model = detector.session.session.get_compiled_model()
    return str(model.get_property("INFERENCE_PRECISION_HINT").get_type_name())


def _decode(page: bytes) -> cv2.typing.MatLike | None:
    return cv2.imdecode(np.frombuffer(page, np.uint8), cv2.IMREAD_COLOR)


def _caller(detect: Callable[..., object], pages: Sequence[bytes]) -> Callable[[], object]:
    turn = cycle(pages)
    return lambda: detect(_decode(next(turn)))


def _detect(callers: Sequence[Callable[[], object]], seconds: float) -> Figures:
    started = time.process_time()
    figures = closed_loop(callers, seconds)
    return figures | {"cpu_ms_per_image": 1e3 * (time.process_time() - started) / figures["calls"]}


def _time(stage: Callable[[], Any], then: Callable[[Any], object], seconds: float) -> Figures:
    """Median CPU time of a stage; what comes of it is handed on, outside of the time."""
    times: list[float] = []
    ends_at = time.perf_counter() + seconds
    while not times or time.perf_counter() < ends_at:
        started = time.process_time()
        made = stage()
        times.append(time.process_time() - started)
        then(made)
    return {"cpu_ms_per_image": 1e3 * median(times)}


def _boxes(engine: Any, path: str) -> dict[str, Any]:  # noqa: ANN401 - as above
    found = engine(path, use_det=True, use_cls=False, use_rec=False)
    height, width = engine.load_img(path).shape[:2]
    some = found.boxes is not None
    return {
        "boxes": np.asarray(found.boxes).tolist() if some else [],
        "scores": [float(score) for score in found.scores] if some else [],
        "size": [width, height],
    }


if __name__ == "__main__":
    main()
