"""The yardstick: `session.run` alone, in a process of its own, run for a moment on each command.

Reads lines `WHAT SECONDS` and answers one JSON line. WHAT is `lanes` (two callers of a one-thread session:
the best throughput of two CPUs), `wide` (one caller of a two-thread session: the best latency), or `decode`
(OpenCV's `imdecode` of the page). Nothing of the engine is used, only the model file and plain ONNX Runtime.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from statistics import median
from typing import TYPE_CHECKING

import cv2
import numpy as np
import onnxruntime as ort

from bench.pages import draw_page
from ocrdet.engine.store import find_model

if TYPE_CHECKING:
    from collections.abc import Callable


def main() -> None:
    """Load, warm, say `ready`, obey."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--shape", type=int, nargs=2, required=True)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    path = str(find_model(arguments.model).path)
    narrow, wide = _open(path, 1), _open(path, arguments.threads)
    tensor = np.random.default_rng(0).random((1, 3, *arguments.shape), np.float32)
    page = np.frombuffer(draw_page(0), np.uint8)
    work: dict[str, tuple[int, Callable[[], object]]] = {
        "lanes": (arguments.threads, lambda: narrow.run(None, {narrow.get_inputs()[0].name: tensor})),
        "wide": (1, lambda: wide.run(None, {wide.get_inputs()[0].name: tensor})),
        "decode": (1, lambda: cv2.imdecode(page, cv2.IMREAD_COLOR)),
    }
    for callers, call in work.values():
        _loop(callers, call, 0.5)
    print("ready", flush=True)
    for line in sys.stdin:
        what, seconds = line.split()
        print(json.dumps(_loop(*work[what], float(seconds))), flush=True)


def _open(path: str, threads: int) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # A spinning pool would take CPU from the server while this process waits for its turn.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def _loop(callers: int, call: Callable[[], object], seconds: float) -> dict[str, float]:
    times: list[float] = []
    ends_at = time.perf_counter() + seconds

    def repeat() -> None:
        while time.perf_counter() < ends_at:
            started = time.perf_counter()
            call()
            times.append(time.perf_counter() - started)

    started = time.perf_counter()
    threads = [threading.Thread(target=repeat) for _ in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    elapsed_s = time.perf_counter() - started
    return {"per_second": len(times) / elapsed_s, "p50_ms": median(times) * 1e3}


if __name__ == "__main__":
    main()
