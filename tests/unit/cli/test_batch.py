"""Many images through one detector: in order, bounded, and one failure never another's."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, cast

import cv2
import numpy as np
import pytest

from ocrdet.cli.batch import Job, detect_in_order
from ocrdet.cli.sources import Source, find_sources
from ocrdet.engine.workers import Workers
from ocrdet.errors import CorruptImage, QueueFull
from ocrdet.options import DetectOptions
from ocrdet.values import (
    Detection,
    FitReport,
    ImageHeader,
    ModelIdentity,
    TextRegion,
    Thresholds,
    Timings,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ocrdet.detector import Detector

QUAD = ((1.0, 2.0), (9.0, 2.0), (9.0, 6.0), (1.0, 6.0))
FOUND = Detection(
    ModelIdentity("fake", "1", "CPUExecutionProvider"),
    ImageHeader("png", 20, 10),
    FitReport("letterbox", 1, 1.0, 8),
    (TextRegion(QUAD, 0.9, 0.0, 0),),
    Thresholds(0.5, 0.2, 0.3, 1.5, 100),
    Timings(),
)


class FakeDetector:
    """Answers by what the file holds, on real threads."""

    def __init__(self) -> None:
        """Starts its threads."""
        self.workers = Workers(4)
        self.lock = threading.Lock()
        self.refusals = 0
        self.running = 0
        self.most_running = 0
        self.block = threading.Event()
        self.block.set()

    def detect(self, data: bytes, _: DetectOptions) -> Detection:
        """Fails for b"bad", refuses b"big" while told to, else finds one region."""
        with self.lock:
            self.running += 1
            self.most_running = max(self.most_running, self.running)
        try:
            self.block.wait(5)
            if data == b"bad":
                raise CorruptImage("Not an image.")
            if data == b"bug":
                raise ZeroDivisionError("a bug")
            with self.lock:
                if data == b"big" and self.refusals:
                    self.refusals -= 1
                    raise QueueFull("No room.", retry_after_s=1)
            return FOUND
        finally:
            with self.lock:
                self.running -= 1


@pytest.fixture
def detector() -> Iterator[FakeDetector]:
    """A detector whose threads end with the test."""
    fake = FakeDetector()
    yield fake
    fake.block.set()
    fake.workers.shutdown()


def write(folder: Path, **files: bytes) -> list[Source]:
    """Files of these names and bytes, as sources in that order."""
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return find_sources([str(folder / name) for name in files])


def make_job(detector: FakeDetector, draw: Path | None = None) -> Job:
    """A job for the fake."""
    return Job(cast("Detector", detector), DetectOptions(), 1_000_000, draw)


def test_answers_come_in_the_order_of_the_images_with_failures_between(
    detector: FakeDetector, tmp_path: Path
) -> None:
    """Each line has its path; a broken file, a bug and a missing file are problems of their own line only."""
    sources = [*write(tmp_path, a=b"x", b=b"bad", c=b"x", d=b"bug"), *find_sources([str(tmp_path / "none")])]
    outcomes = list(detect_in_order(make_job(detector), sources))
    lines = [json.loads(outcome.line) for outcome in outcomes]
    assert [line["path"] for line in lines] == [source.name for source in sources]
    assert [outcome.failed for outcome in outcomes] == [False, True, False, True, True]
    assert lines[0]["regions"] == [
        {"quad": [list(point) for point in QUAD], "box": [1, 2, 9, 6], "score": 0.9, "angle": 0, "line": 0}
    ]
    assert "request_id" not in lines[0]
    assert lines[1]["problem"]["type"] == "urn:ocrdet:problem:corrupt-image"
    assert lines[1]["problem"]["detail"] == "Not an image."
    assert lines[3]["problem"]["detail"] == "ZeroDivisionError: a bug"
    assert lines[4]["problem"]["type"] == "urn:ocrdet:problem:missing-image"


def test_never_more_images_are_in_work_than_asked_for(detector: FakeDetector, tmp_path: Path) -> None:
    """With two jobs a third file is not even opened before the first answer is out."""
    taken: list[str] = []

    def watch(sources: list[Source]) -> Iterator[Source]:
        for source in sources:
            taken.append(source.name)
            yield source

    sources = write(tmp_path, **{f"f{number}": b"x" for number in range(6)})
    answers = detect_in_order(make_job(detector), watch(sources), jobs=2)
    next(answers)
    assert len(taken) == 3
    assert len(list(answers)) == 5
    assert detector.most_running <= 2


def picture() -> bytes:
    """A small grey PNG."""
    encoded: bytes = cv2.imencode(".png", np.full((10, 20, 3), 128, np.uint8))[1].tobytes()
    return encoded


def test_drawn_images_are_written_where_asked(detector: FakeDetector, tmp_path: Path) -> None:
    """The folder is made, and the picture has its size and something drawn on it."""
    target = tmp_path / "new" / "drawn"
    (outcome,) = detect_in_order(make_job(detector, target), write(tmp_path, **{"a.png": picture()}))
    assert not outcome.failed
    drawn = cv2.imread(str(target / "a.png"))
    assert drawn is not None
    assert drawn.shape == (10, 20, 3)
    assert (drawn != 128).any()


def test_drawing_never_overwrites_the_image_itself(detector: FakeDetector, tmp_path: Path) -> None:
    """`--draw` with the image's own folder is refused, and the file stays as it is."""
    (outcome,) = detect_in_order(make_job(detector, tmp_path), write(tmp_path, **{"a.png": picture()}))
    assert outcome.failed
    assert (tmp_path / "a.png").read_bytes() == picture()
