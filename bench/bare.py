"""The yardstick: `session.run` alone, in a process of its own, run for a moment on each command.

Reads lines `WHAT SECONDS` and answers one JSON line. WHAT is `lanes` (one caller per CPU of a one-thread
session: the best throughput), `wide` (one caller of a session with all threads: the best latency), or
`decode` (OpenCV's `imdecode` of the page). Nothing of the engine is used, only the model file and plain ONNX
Runtime.
"""

from __future__ import annotations

import argparse
from functools import partial

import cv2
import numpy as np
import onnxruntime as ort

from bench.obey import obey
from bench.pages import draw_page
from ocrdet.engine.resources import available_cpus
from ocrdet.engine.store import find_model


def main() -> None:
    """Load, warm, say `ready`, obey."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--shape", type=int, nargs=2, required=True)
    parser.add_argument("--threads", type=int, default=available_cpus())
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    path = str(find_model(arguments.model).path)
    narrow, wide = open_session(path, 1), open_session(path, arguments.threads)
    feed = {
        narrow.get_inputs()[0].name: np.random.default_rng(0).random((1, 3, *arguments.shape), np.float32)
    }
    page = np.frombuffer(draw_page(0), np.uint8)
    obey(
        {
            "lanes": [partial(narrow.run, None, feed)] * arguments.threads,
            "wide": [partial(wide.run, None, feed)],
            "decode": [partial(cv2.imdecode, page, cv2.IMREAD_COLOR)],
        }
    )


def open_session(path: str, threads: int) -> ort.InferenceSession:
    """A session as anybody would open it, but for a pool that does not spin.

    Args:
        path: The model file.
        threads: Threads inside one run.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # A spinning pool would take CPU from the server while this process waits for its turn.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


if __name__ == "__main__":
    main()
