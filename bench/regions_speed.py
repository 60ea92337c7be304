"""Time of post-processing alone: `python bench/regions_speed.py` prints JSON, milliseconds, medians.

The maps are drawn, so that the figures need neither a model nor pictures: pages of 81, 300 and 3,000 slightly
turned lines on 800 x 800; 3,000 quads on one spot for non-maximum suppression alone; and the JSON answer that
tells of 300 regions. One OpenCV thread; pin the process to one core (taskset -c 0) for steady figures.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from functools import partial
from typing import TYPE_CHECKING

import cv2
import numpy as np

from ocrdet.api.answers import detection_json
from ocrdet.options import DetectOptions
from ocrdet.values import (
    Detection,
    FitReport,
    ImageHeader,
    ModelIdentity,
    Placement,
    ProbabilityMap,
    TextRegion,
    Thresholds,
    Timings,
)
from ocrdet.vision.nms import suppress_overlaps
from ocrdet.vision.regions import find_regions

if TYPE_CHECKING:
    from collections.abc import Callable, Sized

SIDE_PX = 800
CROWD = 3000
DECODED_BYTES = 30_000_000
THRESHOLDS = Thresholds(score=0.5, binary=0.2, iou=0.3, unclip_ratio=1.5, max_candidates=10_000)
PAGES = {81: 3, 300: 6, 3000: 40}  # lines on the page: columns


def draw_page(lines: int, columns: int, degrees: float) -> ProbabilityMap:
    """A map of text lines in columns, each turned by the same angle around its centre."""
    values = np.full((SIDE_PX, SIDE_PX), 0.01, np.float32)
    rows = -(-lines // columns)
    width, pitch = SIDE_PX / columns, SIDE_PX / rows
    for line in range(lines):
        centre = ((line % columns + 0.5) * width, (line // columns + 0.5) * pitch)
        corners = cv2.boxPoints((centre, (width - 8.0, max(pitch * 0.4, 4.5)), degrees))
        cv2.fillConvexPoly(values, np.round(corners).astype(np.int32), 0.9)
    return ProbabilityMap(values, Placement(1600, 1600, 0.5, 0.5, SIDE_PX, SIDE_PX))


def time_calls(work: Callable[[], Sized], rounds: int) -> dict[str, float | list[float]]:
    """Median and quartiles of the time of one call, and how long its result is."""
    times, found = [], 0
    for _ in range(rounds + 3):
        start = time.process_time()
        result = work()
        times.append(1e3 * (time.process_time() - start))
        found = len(result)
    low, median, high = statistics.quantiles(times[3:], n=4)
    return {"regions": found, "ms": round(median, 2), "quartiles": [round(low, 2), round(high, 2)]}


def find(page: ProbabilityMap, *, polygons: bool) -> tuple[TextRegion, ...]:
    """The regions of a page, however many."""
    return find_regions(page, THRESHOLDS, max_regions=10_000, polygons=polygons).regions


def measure(page: ProbabilityMap, rounds: int, *, polygons: bool) -> dict[str, float | list[float]]:
    """How long it takes to find the regions of a page."""
    return time_calls(partial(find, page, polygons=polygons), rounds)


def measure_crowd(rounds: int) -> dict[str, float | list[float]]:
    """The same for non-maximum suppression of quads that all overlap: its worst case."""
    rng = np.random.default_rng(0)
    centres, sizes = rng.uniform(380, 420, (CROWD, 1, 2)), rng.uniform(150, 300, (CROWD, 1, 2))
    quads = centres + sizes * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    return time_calls(partial(suppress_overlaps, quads, rng.random(CROWD), 0.3), rounds)


def measure_json(page: ProbabilityMap, rounds: int) -> dict[str, float | list[float]]:
    """The same for the JSON answer about the regions of a page."""
    detection = Detection(
        model=ModelIdentity("drawn", "1.0", "none"),
        header=ImageHeader("png", 2 * SIDE_PX, 2 * SIDE_PX),
        fit=FitReport("letterbox", 1, 0.5, 16),
        regions=find(page, polygons=False),
        thresholds=THRESHOLDS,
        timings=Timings(),
    )
    figures = time_calls(partial(detection_json, detection, DetectOptions(), "bench"), rounds)
    return figures | {"regions": len(detection.regions)}


def main() -> None:
    """Measure every page and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=60, help="timed calls per page")
    print(json.dumps(measure_regions(parser.parse_args().rounds), indent=2))


def measure_regions(rounds: int) -> dict[str, dict[str, float | list[float]]]:
    """The figures of every page."""
    cv2.setNumThreads(1)
    # Having freed as much once, the process keeps what it frees, as a server does that has decoded a picture;
    # before that, fresh memory from the system is up to a quarter of the time.
    np.ones(DECODED_BYTES, np.uint8)
    figures = {}
    for lines, columns in PAGES.items():
        for degrees in (0.0, 1.0):
            page = draw_page(lines, columns, degrees)
            figures[f"{lines} lines, {degrees:g} degrees"] = measure(page, rounds, polygons=False)
    dense = draw_page(300, PAGES[300], 1.0)
    figures["300 lines, outlines"] = measure(dense, rounds, polygons=True)
    figures["300 lines, their JSON answer alone"] = measure_json(dense, rounds)
    figures[f"{CROWD} quads on one spot, NMS alone"] = measure_crowd(rounds)
    return figures


if __name__ == "__main__":
    main()
