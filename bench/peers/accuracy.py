"""Judge RapidOCR's boxes and ocrdet's regions on labelled images, by the measures of `ocrdet eval`.

    python -m bench.peers.accuracy --data DATA

Both run as `bench/peers/compare.py` measures them: RapidOCR at its defaults with a longest side of 800,
ocrdet's server with default settings. DATA holds the sets of `bench/accuracy.py`.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench.accuracy import SETS, headline
from bench.peers.compare import RAPIDOCR, rapidocr_process
from bench.peers.environments import prepare_peer
from bench.processes import server
from bench.serving import MODEL
from ocrdet.cli.sources import SUFFIXES
from ocrdet.lab.evaluation import judge_images
from ocrdet.lab.ground_truth import find_sets
from ocrdet.lab.prediction import Prediction
from ocrdet.lab.server import Server

if TYPE_CHECKING:
    from bench.peers.launch import Peer
    from ocrdet.lab.prediction import Predictor

JOBS = 1


class RapidOCR:
    """RapidOCR's process as a predictor."""

    def __init__(self, peer: Peer, engine: str) -> None:
        """Ask this process."""
        self._peer = peer
        self._engine = engine

    def model(self) -> dict[str, str]:
        """The model file that both sides run."""
        return {"name": MODEL, "version": "", "provider": self._engine}

    def predict(self, data: bytes) -> Prediction:
        """What it finds, through a file: its loader turns files upright, but not bytes."""
        with tempfile.NamedTemporaryFile() as file:
            file.write(data)
            file.flush()
            answer = self._peer.ask("boxes", file.name)
        width, height = answer["size"]
        return Prediction(
            outlines=tuple(np.array(box, np.float64) for box in answer["boxes"]),
            scores=tuple(answer["scores"]),
            size=(width, height),
        )


def main() -> None:
    """Judge and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    print(json.dumps(judge_peers(parser.parse_args().data), indent=1))


def judge_peers(data: Path) -> dict[str, dict[str, float | None]]:
    """The headline measure of each set, by detector; nothing where the folder or the peer is missing."""
    python = prepare_peer("rapidocr")
    if python is None or not data.is_dir():
        return {}
    results: dict[str, dict[str, float | None]] = {}
    with server(OCRDET_MODEL=MODEL) as (port, _), closing(Server(f"http://127.0.0.1:{port}", {})) as own:
        results["ocrdet"] = _judge(own, data)
    for name, engine in RAPIDOCR.items():
        with rapidocr_process(python, engine) as peer:
            results[name] = _judge(RapidOCR(peer, engine), data)
    return results


def _judge(predictor: Predictor, data: Path) -> dict[str, float | None]:
    return {
        each.name: headline(SETS[each.name].measure, list(judge_images(predictor, each.images, JOBS)))
        for each in find_sets([data], SUFFIXES)
        if each.name in SETS and each.images
    }


if __name__ == "__main__":
    main()
