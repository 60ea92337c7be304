"""The service on a device that is not there: it sleeps, and answers with one recorded probability map.

    python -m bench.fake_device pipeline|serve --map FILE [--device-ms 2] [--cpus 0,1]

All the host does for an accelerator is real: decoding, fitting, the micro-batches of the thread that owns the
device, regions, the bytes of the answer, and with `serve` HTTP. `pipeline` obeys commands as `bench/bare.py`
does, WHAT being the number of callers. The model is that of OCRDET_MODEL, only its graph is never run.
"""

from __future__ import annotations

import argparse
import os
import time
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import mock

import numpy as np

import ocrdet.detector
from bench.obey import obey
from bench.pages import draw_page
from ocrdet.api.answers import detection_json
from ocrdet.cli import main as run_command
from ocrdet.detector import open_detector
from ocrdet.engine.inspection import PIXELS_TYPE, GraphSpec, TensorSpec
from ocrdet.engine.launch import Engine, LaunchPlan
from ocrdet.engine.microbatch import MicroBatchScheduler
from ocrdet.engine.resources import available_cpus, plan_threads
from ocrdet.engine.warm_up import make_warm
from ocrdet.options import DetectOptions

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from ocrdet.detector import Detector
    from ocrdet.engine.warm_up import WarmSession
    from ocrdet.telemetry.metrics import Metrics

CALLERS = (1, 2, 4, 8)
PAGES = 8
GRAPH = GraphSpec(
    TensorSpec("pixels", (None, None, None, 3), PIXELS_TYPE),
    TensorSpec("maps", (None, None, None), "tensor(float)"),
    "NHWC",
    None,
    None,
    None,
)


class FakeDevice:
    """A session whose buffers lie where they always lie, as those of `BoundSession`."""

    provider = "CPUExecutionProvider"
    graph = GRAPH

    def __init__(self, recorded: NDArray[np.float32], device_s: float, largest: int) -> None:
        """Answer with (H, W) float32 `recorded`, `device_s` seconds after being asked for any batch."""
        self._maps = np.repeat(recorded[None], largest, axis=0)
        self._pixels = np.zeros((*self._maps.shape, 3), np.uint8)
        self._device_s = device_s

    def run(self, batch: NDArray[np.generic]) -> NDArray[np.float32]:
        """The recorded map for every image."""
        time.sleep(self._device_s)
        return self._maps[: len(batch)]

    def new_batch(self, shape: tuple[int, ...]) -> NDArray[np.generic]:
        """The same memory each time."""
        return self._pixels[: shape[0]]

    def close(self) -> None:
        """Nothing is held."""


def main() -> None:
    """Obey commands, or serve until told to end."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("pipeline", "serve"))
    parser.add_argument("--map", type=Path, required=True)
    parser.add_argument("--device-ms", type=float, default=2.0)
    parser.add_argument("--cpus", type=lambda text: {int(number) for number in text.split(",")})
    arguments = parser.parse_args()
    if arguments.cpus:
        os.sched_setaffinity(0, arguments.cpus)
    launch = partial(_launch, np.load(arguments.map), arguments.device_ms / 1e3)
    with mock.patch.object(ocrdet.detector, "launch_engine", launch):
        if arguments.what == "serve":
            run_command(["serve"])
        else:
            _obey()


def _obey() -> None:
    pages = [draw_page(seed) for seed in range(PAGES)]
    with open_detector() as detector:
        work = {
            str(callers): [_caller(detector, pages[first:] + pages[:first]) for first in range(callers)]
            for callers in CALLERS
        }
        obey(work)


def _caller(detector: Detector, pages: list[bytes]) -> Callable[[], bytes]:
    options, turn = DetectOptions(), cycle(pages)
    return lambda: detection_json(detector.detect(next(turn), options), options, "bench")


def _launch(
    recorded: NDArray[np.float32],
    device_s: float,
    _: object,
    plan: LaunchPlan,
    *,
    alone: Callable[[], bool],  # noqa: ARG001 - as launch_engine takes it
    metrics: Metrics | None = None,
) -> Engine:
    """In place of `launch_engine`."""
    height, width = recorded.shape
    largest = plan.max_micro_batch_images

    def open_warm() -> WarmSession:
        return make_warm(FakeDevice(recorded, device_s, largest), [(height, width)], largest)

    scheduler = MicroBatchScheduler(open_warm, metrics=metrics)
    warm = scheduler.warm
    return Engine(
        scheduler,
        GRAPH,
        warm.shapes,
        warm.batch_sizes,
        FakeDevice.provider,
        "fp32",
        plan_threads(plan.cpus or available_cpus(), "cuda"),
        warm.slowest_run_s,
        0.0,
    )


if __name__ == "__main__":
    main()
