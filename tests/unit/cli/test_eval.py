"""`ocrdet eval` from its flags to its files, with a detector that is no detector."""

from __future__ import annotations

import contextlib
import importlib.util
import json
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from ocrdet import cli
from ocrdet.cli import eval as evaluate
from ocrdet.lab.prediction import Prediction
from ocrdet.lab.summary import half_of
from tests.unit.lab.marks import rectangle

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator
    from pathlib import Path

    from ocrdet.options import DetectOptions

FOUND = (10, 10, 60, 30)
LINE = "10,10,60,10,60,30,10,30,text\n"


class Fake:
    """Finds the rectangle in every image; small ones fail."""

    def model(self) -> dict[str, str]:
        """It has a name."""
        return {"name": "fake", "version": "1", "provider": "none"}

    def predict(self, data: bytes) -> Prediction:
        """The rectangle."""
        if len(data) < 10:
            return Prediction(problem="Not an image.")
        return Prediction((rectangle(*FOUND),), (0.9,), (100, 50), 3.0)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[DetectOptions]:
    """The options of every detector that is opened; all of them are fakes."""
    asked: list[DetectOptions] = []

    @contextlib.contextmanager
    def open_fake(_: Namespace, options: DetectOptions) -> Iterator[Fake]:
        asked.append(options)
        yield Fake()

    monkeypatch.setattr(evaluate, "_open_detector", open_fake)
    return asked


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two sets: one found, one with a second line that nobody finds and an image without ground truth."""
    page: bytes = cv2.imencode(".png", np.full((50, 100, 3), 255, np.uint8))[1].tobytes()
    for name, lines in {
        "one/a": LINE,
        "two/b": LINE + "10,35,60,35,60,48,10,48,missed\n",
        "two/c": None,
    }.items():
        path = tmp_path / "data" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(page)
        if lines is not None:
            path.with_suffix(".txt").write_text(lines)
    return tmp_path / "data"


def test_the_table_the_json_and_the_pictures_come_from_one_run(
    asked: list[DetectOptions], folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is not judged is told on standard error, and stored coordinates are always asked for."""
    report, worst = tmp_path / "report.json", tmp_path / "worst"
    status = cli.main(
        ["eval", str(folder), "--json", str(report), "--worst", str(worst), "--score-threshold", "0.4"]
    )
    output = capsys.readouterr()
    assert status == 0
    assert output.err == "ocrdet: two: left out images without ground truth: c.png\n"
    lines = output.out.splitlines()
    assert lines[0] == "fake 1 on none"
    assert [line.split()[0] for line in lines[4:7]] == ["one", "two", "mean"]
    assert lines[-1].split()[-1] == "two/b.png"
    data = json.loads(report.read_text())
    assert data["model"]["name"] == "fake"
    assert data["options"] == {"score_threshold": "0.4", "coordinates": "stored", "normalized": "false"}
    assert [each["iou"]["recall"] for each in data["sets"]] == [1, 0.5]
    assert data["sets"][1]["left_out"] == ["images without ground truth: c.png"]
    assert [path.name for path in sorted(worst.iterdir())] == ["001-two-b.jpg", "overview.txt"]
    assert [(each.coordinates, each.score_threshold) for each in asked] == [("stored", 0.4)]


@pytest.mark.usefixtures("asked")
def test_a_failed_image_is_told_and_makes_the_status_one(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It counts as an image in which nothing was found."""
    (folder / "one/a.png").write_bytes(b"bad")
    assert cli.main(["eval", str(folder / "one")]) == 1
    output = capsys.readouterr().out
    assert output.splitlines()[4].split()[:7] == ["one", "1", "1", "1", "1.000", "0.000", "0.000"]
    assert "one/a.png: Not an image." in output


@pytest.mark.usefixtures("asked")
def test_one_half_is_judged_where_asked(folder: Path, tmp_path: Path) -> None:
    """Both halves together are everything."""
    names = []
    for half in ("even", "odd"):
        report = tmp_path / f"{half}.json"
        if cli.main(["eval", str(folder), "--half", half, "--json", str(report)]) == 0:
            images = [
                image["image"]
                for each in json.loads(report.read_text())["sets"]
                for image in each["per_image"]
            ]
            assert {half_of(name) for name in images} == {half}
            names += images
    assert sorted(names) == ["a.png", "b.png"]


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--score-threshold", "2"], "score_threshold"),
        (["--json", "/nowhere/at/all.json"], "--json"),
        (["--url", "127.0.0.1:8000"], "http://127.0.0.1:8000"),
        (["--url", "http://127.0.0.1:9"], "No ocrdet answers"),
        (["--url", "http://127.0.0.1:9", "--model", "x"], "--model"),
        (["--url", "http://127.0.0.1:9", "--api-key-file", "/nowhere"], "/nowhere"),
        (["--model", "no-such-model"], "no-such-model"),
    ],
)
def test_what_cannot_work_is_one_sentence_and_status_two(
    folder: Path, flags: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before any image is sent."""
    assert cli.main(["eval", str(folder / "one"), *flags]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert told in output.err
    assert output.err.count("\n") == 1


def test_without_shapely_the_remedy_is_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The service does without it, so it may not be there."""
    monkeypatch.setattr(
        evaluate, "find_spec", lambda name: None if name == "shapely" else importlib.util.find_spec(name)
    )
    assert cli.main(["eval", str(folder)]) == 2
    assert 'pip install "ocrdet[eval]"' in capsys.readouterr().err


@pytest.mark.parametrize("flag", ["--coordinates", "--normalized"])
def test_what_the_command_decides_is_no_flag(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Ground truth is in stored pixels, so nothing else can be asked for."""
    with pytest.raises(SystemExit):
        cli.main(["eval", ".", flag, "stored"])
    assert "unrecognized arguments" in capsys.readouterr().err
