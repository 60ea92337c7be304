"""The worst images, drawn in colours that say what went wrong."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from PIL import Image

from ocrdet.lab.evaluation import JudgedImage
from ocrdet.lab.ground_truth import LabelledImage
from ocrdet.lab.labels import Labels
from ocrdet.lab.prediction import Prediction
from ocrdet.lab.scoring import score_image
from ocrdet.lab.worst import COLOURS, sort_outlines, write_worst
from tests.unit.lab.marks import label, rectangle

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from ocrdet.lab.labels import LabelledRegion

MATCHED, MISSED, FALSE, IGNORED = (
    (100, 50, 200, 90),
    (100, 150, 200, 190),
    (100, 250, 200, 290),
    (100, 350, 200, 390),
)


def judge(path: Path, labels: list[LabelledRegion], *found: tuple[int, int, int, int]) -> JudgedImage:
    """What was found in an image, judged."""
    outlines, scores = tuple(rectangle(*sides) for sides in found), (0.9,) * len(found)
    score = score_image(labels, outlines, scores)
    return JudgedImage(
        LabelledImage(path, Labels(tuple(labels), None, ())), Prediction(outlines, scores), score
    )


def draw_page(path: Path, orientation: int = 1) -> Path:
    """A grey image of 600x400 stored pixels."""
    image = Image.new("RGB", (600, 400), (250, 250, 250))
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    image.save(buffer, "png", exif=exif)
    path.write_bytes(buffer.getvalue())
    return path


def all_kinds(path: Path) -> JudgedImage:
    """One region or label of every kind."""
    labels = [label(*MATCHED), label(*MISSED), label(*IGNORED, ignored=True)]
    return judge(path, labels, MATCHED, FALSE)


def colour_at(drawn: NDArray[np.uint8], x: float, y: float) -> tuple[str, ...]:
    """The kinds whose colour is seen near a point."""
    near = drawn[round(y) - 2 : round(y) + 3, round(x) - 2 : round(x) + 3].reshape(-1, 3).astype(int)
    return tuple(kind for kind, colour in COLOURS.items() if (np.abs(near - colour).sum(axis=1) < 60).any())


def test_every_kind_has_its_colour(tmp_path: Path) -> None:
    """Below the caption, at half as large again: the longer side is brought to 900 pixels."""
    judged = all_kinds(draw_page(tmp_path / "a.png"))
    (line,) = write_worst({"set": [judged]}, tmp_path / "worst", 5, "iou")
    drawn = cv2.imread(str(tmp_path / "worst/001-set-a.jpg"), cv2.IMREAD_COLOR_RGB)
    assert drawn is not None
    assert drawn.shape[1] == 900
    top = drawn.shape[0] - 600
    seen = {
        kind: colour_at(np.asarray(drawn, np.uint8), left * 1.5, top + (upper + 20) * 1.5)
        for kind, (left, upper, *_) in (
            ("matched", MATCHED),
            ("missed", MISSED),
            ("false", FALSE),
            ("ignored", IGNORED),
        )
    }
    assert seen == {kind: (kind,) for kind in COLOURS}
    assert line.split() == [
        "1",
        "hmean",
        "0.500",
        *["1", "missed", "1", "false", "1", "matched", "1", "ignored"],
        "set/a.png",
    ]
    assert (tmp_path / "worst/overview.txt").read_text() == line + "\n"


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turned_images_are_drawn_upright_with_their_outlines(tmp_path: Path, orientation: int) -> None:
    """Labels are in stored pixels, and a person looks at the image as displayed."""
    judged = judge(draw_page(tmp_path / "a.png", orientation), [label(*MISSED)])
    list(write_worst({"set": [judged]}, tmp_path, 1, "iou"))
    drawn = cv2.imread(str(tmp_path / "001-set-a.jpg"), cv2.IMREAD_COLOR_RGB)
    assert drawn is not None
    stored = np.zeros((400, 600), np.uint8)
    cv2.rectangle(stored, MISSED[:2], MISSED[2:], 255, 2)
    upright = Image.fromarray(stored)
    turn = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}.get(orientation)
    upright = upright if turn is None else upright.transpose(Image.Transpose(turn))
    width, height = (900, 600) if orientation < 5 else (600, 900)
    picture = drawn[-height:, :width].astype(int)
    red = np.abs(picture - COLOURS["missed"]).sum(axis=2) < 60
    expected = np.asarray(upright.resize((width, height))) > 0
    near = cv2.dilate(expected.astype(np.uint8), np.ones((7, 7), np.uint8)).astype(bool)
    assert red.sum() > 500
    assert not (red & ~near).any()


def test_the_lowest_hmean_comes_first_then_the_most_mistakes(tmp_path: Path) -> None:
    """Right images are left out, and no more are drawn than asked for."""
    paths = [draw_page(tmp_path / f"{name}.png") for name in "abcd"]
    judged = [
        judge(paths[0], [label(*MATCHED)], MATCHED),
        judge(paths[1], [label(*MATCHED)], FALSE),
        judge(paths[2], [label(*MATCHED)], MATCHED, FALSE),
        judge(paths[3], [label(*MATCHED), label(*MISSED)], FALSE),
    ]
    lines = list(write_worst({"x": judged[:2], "y": judged[2:]}, tmp_path, 9, "iou"))
    assert [line.split()[-1] for line in lines] == ["y/d.png", "x/b.png", "y/c.png"]
    assert len(list(write_worst({"x": judged}, tmp_path, 1, "iou"))) == 1


def test_by_the_tolerant_measure_a_line_for_words_is_right(tmp_path: Path) -> None:
    """What is wrong depends on what is asked."""
    words = [label(0, 0, 40, 10, text="abcd"), label(50, 0, 90, 10, text="efgh")]
    judged = judge(tmp_path / "a.png", words, (0, 0, 90, 10))
    counts = {kind: len(outlines) for kind, outlines in sort_outlines(judged, "tolerant").items()}
    assert counts == {"ignored": 0, "matched": 1, "false": 0, "missed": 0}
    assert len(sort_outlines(judged, "iou")["missed"]) == 2


def test_an_image_that_cannot_be_drawn_is_told(tmp_path: Path) -> None:
    """The worst ones may be those that failed; the rest is drawn all the same."""
    (tmp_path / "bad.png").write_bytes(b"nothing")
    failed = judge(tmp_path / "bad.png", [label(*MISSED)])
    lines = list(write_worst({"x": [failed, all_kinds(draw_page(tmp_path / "a.png"))]}, tmp_path, 9, "iou"))
    assert "not drawn" in lines[0]
    assert (tmp_path / "002-x-a.jpg").is_file()
