"""Sets judged image by image, and what tables and JSON say of them."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING

import pytest

from ocrdet.errors import CorruptImage
from ocrdet.lab.evaluation import judge_images
from ocrdet.lab.ground_truth import LabelledImage
from ocrdet.lab.labels import Labels
from ocrdet.lab.prediction import Prediction
from ocrdet.lab.report import report_dict, write_table
from ocrdet.lab.summary import summarize
from tests.unit.lab.marks import label, rectangle

if TYPE_CHECKING:
    from pathlib import Path

    from ocrdet.lab.evaluation import JudgedImage


class Fake:
    """Finds one rectangle; fails for what is no image; never more at once than asked for."""

    def __init__(self) -> None:
        """Nothing has been asked."""
        self.lock = threading.Lock()
        self.running = self.most_running = 0

    def model(self) -> dict[str, str]:
        """It has a name."""
        return {"name": "fake", "version": "1", "provider": "none"}

    def predict(self, data: bytes) -> Prediction:
        """What the bytes ask for."""
        with self.lock:
            self.running += 1
            self.most_running = max(self.most_running, self.running)
        try:
            if data == b"bad":
                raise CorruptImage("Not an image.")
            if data == b"bug":
                raise ZeroDivisionError("a bug")
            right = float(data)
            return Prediction((rectangle(0, 0, right, 10),), (0.9,), (100, 50), right)
        finally:
            with self.lock:
                self.running -= 1


def make(folder: Path, *contents: str) -> list[LabelledImage]:
    """Images of these contents, each labelled with a rectangle 20 wide."""
    images = []
    for number, content in enumerate(contents):
        path = folder / f"{number}.png"
        path.write_text(content)
        images.append(LabelledImage(path, Labels((label(0, 0, 20, 10, text="ab"),), None, ())))
    return images


@pytest.fixture
def judged(tmp_path: Path) -> list[JudgedImage]:
    """Found, missed, broken, found."""
    return list(judge_images(Fake(), make(tmp_path, "20", "5", "bad", "18"), 2))


def test_images_come_in_order_and_one_failure_is_its_own(tmp_path: Path) -> None:
    """A broken image, a bug and a file that has gone count as images in which nothing was found."""
    fake, images = Fake(), make(tmp_path, *["20"] * 9, "bad", "bug", "20")
    images[0].path.unlink()
    judged = list(judge_images(fake, images, 3))
    assert [each.image for each in judged] == images
    assert [each.prediction.problem for each in judged[9:]] == [
        "Not an image.",
        "ZeroDivisionError: a bug",
        None,
    ]
    assert "FileNotFoundError" in (judged[0].prediction.problem or "")
    assert [each.score.tallies["iou"].recall for each in judged] == [0, *[1] * 8, 0, 0, 1]
    assert fake.most_running <= 3


def test_a_summary_adds_up_and_takes_the_median_of_what_was_answered(judged: list[JudgedImage]) -> None:
    """The failed image has labels to find, and no time."""
    summary = summarize(judged)
    assert (summary.images, summary.failed, summary.labels, summary.median_ms) == (4, 1, 4, 18)
    assert summary.tallies["iou"].ratios == pytest.approx((2 / 3, 0.5, 4 / 7))
    assert summary.average_precision == pytest.approx(2 / 3 * 0.5)


def test_the_table_is_aligned_with_a_mean_below_several_sets(judged: list[JudgedImage]) -> None:
    """Every number ends below the end of its heading."""
    lines = write_table({"one": judged, "another": judged[:1]}).splitlines()
    assert lines[1].split() == [
        "set",
        "images",
        "failed",
        "labels",
        *["precision", "recall", "hmean"] * 2,
        "precision",
        "ms",
    ]
    assert lines[2].split()[:7] == ["one", "4", "1", "4", "0.667", "0.500", "0.571"]
    assert lines[3].split()[:7] == ["another", "1", "0", "1", "1.000", "1.000", "1.000"]
    assert lines[4].split()[:7] == ["mean", "5", "1", "5", "0.833", "0.750", "0.786"]
    assert {
        line.index(cell) + len(cell)
        for line, cell in zip(lines[2:], ("0.667", "1.000", "0.833"), strict=True)
    } == {lines[1].index("precision") + len("precision")}
    assert len(write_table({"one": judged}).splitlines()) == 3


def test_the_report_holds_every_image(judged: list[JudgedImage]) -> None:
    """With its half, its problem and its own measures; all of it is JSON."""
    (one,) = json.loads(json.dumps(report_dict({"one": judged}, {"one": ["something: x"]})))
    assert (one["set"], one["images"], one["failed"], one["left_out"]) == ("one", 4, 1, ["something: x"])
    assert one["iou"] == {"precision": 0.6667, "recall": 0.5, "hmean": 0.5714}
    assert [image["image"] for image in one["per_image"]] == ["0.png", "1.png", "2.png", "3.png"]
    assert [image["iou"]["hmean"] for image in one["per_image"]] == [1, 0, 0, 1]
    assert [image["problem"] for image in one["per_image"]] == [None, None, "Not an image.", None]
    assert [image["ms"] for image in one["per_image"]] == [20, 5, None, 18]
    assert {image["half"] for image in one["per_image"]} <= {"even", "odd"}
