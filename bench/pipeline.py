"""The other yardstick: the detector without HTTP, bytes to bytes, in a process of its own.

Obeys commands as `bench/bare.py` does. WHAT is `pipeline`: each caller takes the next page to a detection and
that to the bytes of an answer. What a server loses against it is HTTP, its event loop and its queue.
"""

from __future__ import annotations

import argparse
from itertools import cycle
from typing import TYPE_CHECKING

from bench.obey import obey
from bench.pages import draw_page
from ocrdet.api.answers import detection_json
from ocrdet.detector import open_detector
from ocrdet.options import DetectOptions

if TYPE_CHECKING:
    from collections.abc import Callable

    from ocrdet.detector import Detector

PAGES = 8


def main() -> None:
    """Load, warm, say `ready`, obey."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--callers", type=int, required=True)
    arguments = parser.parse_args()
    pages = [draw_page(seed) for seed in range(PAGES)]
    with open_detector(arguments.model) as detector:
        callers = [_caller(detector, pages[first:] + pages[:first]) for first in range(arguments.callers)]
        obey({"pipeline": callers})


def _caller(detector: Detector, pages: list[bytes]) -> Callable[[], bytes]:
    options, turn = DetectOptions(), cycle(pages)
    return lambda: detection_json(detector.detect(next(turn), options), options, "bench")


if __name__ == "__main__":
    main()
