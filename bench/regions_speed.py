"""Time of post-processing alone: `python bench/regions_speed.py` prints JSON, milliseconds, medians.

The maps are drawn, so that the figures need neither a model nor pictures: pages of 81, 300 and 3,000 slightly
turned lines on 800 x 800; and 3,000 quads on one spot for non-maximum suppression alone. One OpenCV thread;
pin the process to one core (taskset -c 0) for steady figures.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time

import cv2
import numpy as np

from ocrdet.values import Placement, ProbabilityMap, Thresholds
from ocrdet.vision.nms import suppress_overlaps
from ocrdet.vision.regions import find_regions

SIDE_PX = 800
CROWD = 3000
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


def measure(page: ProbabilityMap, rounds: int, *, polygons: bool) -> dict[str, float | list[float]]:
    """Median and quartiles of the time of one call, and how many regions it finds."""
    thresholds = Thresholds(score=0.5, binary=0.2, iou=0.3, unclip_ratio=1.5, max_candidates=10_000)
    times, found = [], 0
    for _ in range(rounds + 3):
        start = time.process_time()
        found = len(find_regions(page, thresholds, max_regions=10_000, polygons=polygons).regions)
        times.append(1e3 * (time.process_time() - start))
    low, median, high = statistics.quantiles(times[3:], n=4)
    return {"regions": found, "ms": round(median, 2), "quartiles": [round(low, 2), round(high, 2)]}


def measure_crowd(rounds: int) -> dict[str, float | list[float]]:
    """The same for non-maximum suppression of quads that all overlap: its worst case."""
    rng = np.random.default_rng(0)
    centres, sizes = rng.uniform(380, 420, (CROWD, 1, 2)), rng.uniform(150, 300, (CROWD, 1, 2))
    quads = centres + sizes * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    scores, times, kept = rng.random(CROWD), [], 0
    for _ in range(rounds + 3):
        start = time.process_time()
        kept = len(suppress_overlaps(quads, scores, 0.3))
        times.append(1e3 * (time.process_time() - start))
    low, median, high = statistics.quantiles(times[3:], n=4)
    return {"regions": kept, "ms": round(median, 2), "quartiles": [round(low, 2), round(high, 2)]}


def main() -> None:
    """Measure every page and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=60, help="timed calls per page")
    print(json.dumps(measure_regions(parser.parse_args().rounds), indent=2))


def measure_regions(rounds: int) -> dict[str, dict[str, float | list[float]]]:
    """The figures of every page."""
    cv2.setNumThreads(1)
    figures = {}
    for lines, columns in PAGES.items():
        for degrees in (0.0, 1.0):
            page = draw_page(lines, columns, degrees)
            figures[f"{lines} lines, {degrees:g} degrees"] = measure(page, rounds, polygons=False)
    figures["300 lines, outlines"] = measure(draw_page(300, PAGES[300], 1.0), rounds, polygons=True)
    figures[f"{CROWD} quads on one spot, NMS alone"] = measure_crowd(rounds)
    return figures


if __name__ == "__main__":
    main()
