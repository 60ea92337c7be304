"""`ocrdet eval` with the real model, here and against the real server."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

from tests.system.server import run_ocrdet

if TYPE_CHECKING:
    from pathlib import Path

    from tests.system.server import ServerProcess

FONT = cv2.FONT_HERSHEY_SIMPLEX
LINES = (("HARBOUR STREET 14", 60, 90), ("INVOICE 2048", 200, 180), ("TOTAL 55.65", 90, 300))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A page with three lines of capitals, and the same page with a fourth line in the labels alone."""
    folder = tmp_path / "set"
    folder.mkdir()
    page = np.full((400, 640, 3), 250, np.uint8)
    labels = []
    for text, left, baseline in LINES:
        cv2.putText(page, text, (left, baseline), FONT, 1.2, (20, 20, 20), 2, cv2.LINE_AA)
        (width, height), _ = cv2.getTextSize(text, FONT, 1.2, 2)
        right, top = left + width, baseline - height
        labels.append(f"{left},{top},{right},{top},{right},{baseline},{left},{baseline},{text}\n")
    for name, extra in {"right": "", "missed": "20,350,200,350,200,380,20,380,unseen\n"}.items():
        cv2.imwrite(str(folder / f"{name}.png"), page)
        (folder / f"gt_{name}.txt").write_text("".join(labels) + extra)
    return folder


def evaluate(folder: Path, *flags: str) -> dict[str, Any]:
    """The report of one run, without what differs from run to run."""
    target = folder.parent / "report.json"
    answer = run_ocrdet("eval", folder, "--json", target, *flags)
    assert (answer.returncode, answer.stderr) == (0, b""), answer.stdout.decode()
    report: dict[str, Any] = json.loads(target.read_text())
    for image in report["sets"][0]["per_image"]:
        assert image.pop("ms") > 0
    assert report["sets"][0].pop("median_ms") > 0
    return report


def test_the_server_and_this_process_are_judged_alike(folder: Path, server: ServerProcess) -> None:
    """Every drawn line is found, the one that is not there is missed, and both ways say the same."""
    here = evaluate(folder)
    assert {each["image"]: each["iou"]["recall"] for each in here["sets"][0]["per_image"]} == {
        "right.png": 1,
        "missed.png": 0.75,
    }
    assert here["sets"][0]["tolerant"]["precision"] == 1
    assert evaluate(folder, "--url", server.url, "--jobs", "4") == here


def test_the_worst_image_is_drawn(folder: Path, tmp_path: Path) -> None:
    """Only the one with a mistake."""
    answer = run_ocrdet("eval", folder, "--worst", tmp_path / "worst")
    assert b"1 missed" in answer.stdout
    assert sorted(path.suffix for path in (tmp_path / "worst").iterdir()) == [".jpg", ".txt"]
