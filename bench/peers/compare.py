"""Hold ocrdet's server against its peers, round by round, on the same pages and the same model file.

    python -m bench.peers.compare [--rounds 15] [--seconds 2.5] [--only mosec ...]

Each peer stands beside ocrdet's server in turn, and sleeps while that is measured. A round takes both at
concurrency 8 and both at 32; a ratio is the peer's images per second in ocrdet's, within the round. RapidOCR
cannot serve detection alone: it runs in process and is held against ocrdet's server at concurrency 8, engine
by engine, and so are two of its stages. `bench/peers/accuracy.py` judges what it finds.
"""

from __future__ import annotations

import argparse
import json
import sys
from functools import cache, partial
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from bench import regions_speed
from bench.pages import draw_page
from bench.peers.environments import FOLDER, prepare_openvino, prepare_peer
from bench.peers.launch import obeying, serving
from bench.peers.process_tree import cpu_seconds, proportional_mib, resident_mib
from bench.posting import load
from bench.processes import server
from bench.rounds import paired_rounds, spreads
from bench.serving import BUSY, FULL, MODEL, PAGES
from bench.stages import TO_TENSOR, Stages
from ocrdet.engine.resources import available_cpus
from ocrdet.engine.store import find_model

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from contextlib import AbstractContextManager

    from bench.peers.launch import Peer
    from bench.rounds import Figures
    from ocrdet.values import ProbabilityMap

LINES, DEGREES = 300, 1.0  # of the drawn map that both sides find regions in
STAGE_CALLS, STAGE_SECONDS = 7, 1.0
# What starts a server in its environment.
SERVERS = {
    "litserve": ("-m", "bench.peers.serve_litserve"),
    "mosec": ("-m", "bench.peers.serve_mosec"),
    "bentoml": ("-m", "bentoml", "serve", "bench.peers.serve_bentoml:Peer", "--host", "127.0.0.1"),
}
RAPIDOCR = {"rapidocr onnxruntime": "onnxruntime", "rapidocr openvino": "openvino"}
PEERS = (*SERVERS, *RAPIDOCR)
RATIOS = {
    "busy": "per_second",
    "full": "per_second",
    "tensor": "cpu_ms_per_image",
    "regions": "cpu_ms_per_image",
}
TOLD = ("per_second", "p50_ms", "p99_ms", "cpu_ms_per_image")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=2.5)
    parser.add_argument("--only", nargs="+", choices=PEERS, default=PEERS)
    arguments = parser.parse_args()
    print(json.dumps(measure_peers(arguments.rounds, arguments.seconds, arguments.only), indent=1))


def measure_peers(
    rounds: int, seconds: float, only: Collection[str] = PEERS, openvino: Mapping[str, str] | None = None
) -> dict[str, dict[str, Any] | None]:
    """The spread of every figure over the rounds, by peer; None for one whose environment cannot be made.

    RapidOCR also tells `precision`, the input's `shape` and its `regions` on the drawn map.

    Figures are `ocrdet_` or `peer_`, then `busy_` (concurrency 8) or `full_` (32), then the figure; or a
    stage, in milliseconds of CPU time. `busy_ratio` and `full_ratio` are the peer's images per second in
    ocrdet's, `tensor_ratio` and `regions_ratio` its CPU time in ocrdet's. Memory is that of all processes of
    a side.

    Args:
        rounds: Measured rounds for each peer.
        seconds: Of load for each figure of a round.
        only: The peers to measure.
        openvino: Further settings of the ocrdet server that RapidOCR with OpenVINO is held against.
    """
    results: dict[str, dict[str, Any] | None] = {}
    for name in only:
        print(f"{name} against ocrdet", file=sys.stderr, flush=True)
        if name in SERVERS:
            results[name] = _measure_server(name, rounds, seconds)
        else:
            results[name] = _measure_rapidocr(RAPIDOCR[name], rounds, seconds, dict(openvino or {}))
    return results


def rapidocr_process(python: str, engine: str) -> AbstractContextManager[Peer]:
    """RapidOCR on that engine."""
    file = FOLDER / "map.npy"
    np.save(file, _dense_map().values)
    callers = str(available_cpus())
    return obeying(
        [python, "-m", "bench.peers.rapid", "--engine", engine, "--callers", callers, "--map", str(file)]
    )


def _measure_server(name: str, rounds: int, seconds: float) -> dict[str, Any] | None:
    python = prepare_peer(name)
    if python is None:
        return None
    with (
        server(OCRDET_MODEL=MODEL) as (port, pid),
        serving([python, *SERVERS[name]], _settings(name)) as peer,
    ):
        _burst(port, pid, BUSY, 1.0)
        steps: dict[str, Callable[[], Figures]] = {}
        for word, concurrency in (("busy", BUSY), ("full", FULL)):
            steps[f"ocrdet_{word}"] = partial(_burst, port, pid, concurrency, seconds)
            steps[f"peer_{word}"] = partial(_peer_burst, peer, concurrency, seconds)
        return spreads([_figures(each) | _memory(pid, peer.pid) for each in paired_rounds(rounds, steps)])


def _settings(name: str) -> dict[str, str]:
    """The configuration of a peer that gives the most images per second on so many CPUs.

    For LitServe and mosec that is a one-thread process per CPU. BentoML hands connections out unevenly among
    its processes, so that one process with a caller per CPU of a one-thread session does better.
    """
    cpus = available_cpus()
    processes, callers = (1, cpus) if name == "bentoml" else (cpus, 1)
    return {
        "PEER_MODEL": str(find_model(MODEL).path),
        "PEER_PROCESSES": str(processes),
        "PEER_CALLERS": str(callers),
        "PEER_PORT": "{port}",
        "BENTOML_PORT": "{port}",
        "BENTOML_DO_NOT_TRACK": "true",
    }


def _measure_rapidocr(
    engine: str, rounds: int, seconds: float, openvino: dict[str, str]
) -> dict[str, Any] | None:
    on_openvino = engine == "openvino"
    python = prepare_peer("rapidocr")
    own_python = prepare_openvino() if on_openvino else sys.executable
    if python is None or own_python is None:
        return None
    settings = {"OCRDET_MODEL": MODEL} | ({"OCRDET_DEVICE": "openvino"} | openvino if on_openvino else {})
    with server(own_python, **settings) as (port, pid), rapidocr_process(python, engine) as peer:
        _burst(port, pid, BUSY, 1.0)
        steps: dict[str, Callable[[], Figures]] = {
            "ocrdet_busy": partial(_burst, port, pid, BUSY, seconds),
            "peer_busy": partial(peer.ask, "detect", seconds),
        }
        if not on_openvino:  # the stages know nothing of engines: once is enough
            steps |= _stage_steps(peer)
        return peer.facts | spreads(
            [_figures(each) | _memory(pid, peer.pid) for each in paired_rounds(rounds, steps)]
        )


def _stage_steps(peer: Peer) -> dict[str, Callable[[], Figures]]:
    """The stages of both sides: a JPEG page to the tensor, and a map of 300 lines to regions in order."""
    steps: dict[str, Callable[[], Figures]] = {
        "ocrdet_tensor": partial(_own_tensor, Stages(MODEL), draw_page(0)),
        "ocrdet_regions": partial(_own_regions, _dense_map()),
    }
    for stage in ("tensor", "tensor_opencv", "regions"):
        steps[f"peer_{stage}"] = partial(peer.ask, stage, STAGE_SECONDS)
    return steps


def _own_tensor(stages: Stages, page: bytes) -> Figures:
    laps = [stages.run(page)[0] for _ in range(STAGE_CALLS)]
    return {"cpu_ms_per_image": median(sum(each[stage] for stage in TO_TENSOR) for each in laps)}


def _own_regions(dense: ProbabilityMap) -> Figures:
    measured = regions_speed.measure(dense, STAGE_CALLS, polygons=False)
    assert measured["regions"] == LINES
    return {"cpu_ms_per_image": float(str(measured["ms"]))}


def _dense_map() -> ProbabilityMap:
    return regions_speed.draw_page(LINES, regions_speed.PAGES[LINES], DEGREES)


@cache
def _pages() -> list[bytes]:
    return [draw_page(seed) for seed in range(PAGES)]


def _burst(port: int, pid: int, concurrency: int, seconds: float) -> Figures:
    """What callers see in a closed loop, and the CPU time of all processes for one image."""
    pages, used_s = _pages(), cpu_seconds(pid)
    figures = load(port, pages, concurrency, seconds)
    return figures | {"cpu_ms_per_image": 1e3 * (cpu_seconds(pid) - used_s) / figures["calls"]}


def _peer_burst(peer: Peer, concurrency: int, seconds: float) -> Figures:
    with peer.awake():
        return _burst(peer.port, peer.pid, concurrency, seconds)


def _figures(measured: Mapping[str, Figures]) -> Figures:
    """The figures of one round, and the ratios within it."""
    figures: Figures = {}
    for step, each in measured.items():
        if step.endswith(("busy", "full")):
            figures |= {f"{step}_{name}": each[name] for name in TOLD}
        else:
            figures[f"{step}_ms"] = each["cpu_ms_per_image"]
    for what, figure in RATIOS.items():
        if f"peer_{what}" in measured:
            figures[f"{what}_ratio"] = measured[f"peer_{what}"][figure] / measured[f"ocrdet_{what}"][figure]
    return figures


def _memory(own_pid: int, peer_pid: int) -> Figures:
    return {
        "ocrdet_rss_mib": resident_mib(own_pid),
        "ocrdet_pss_mib": proportional_mib(own_pid),
        "peer_rss_mib": resident_mib(peer_pid),
        "peer_pss_mib": proportional_mib(peer_pid),
    }


if __name__ == "__main__":
    main()
