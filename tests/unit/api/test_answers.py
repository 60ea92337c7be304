"""Detections as bytes."""

from __future__ import annotations

import dataclasses
import json

import pytest

from ocrdet.api.answers import detection_dict, detection_json, webui_json
from ocrdet.options import DetectOptions
from ocrdet.values import ImageHeader, TextRegion
from tests.fakes import make_detection, make_region


def test_regions_keep_their_order_and_their_own_scores() -> None:
    """Boxes and scores must not drift apart."""
    regions = tuple(make_region(y=100.0 - row, score=0.1 * row, line=row) for row in range(1, 5))
    detection = dataclasses.replace(make_detection(0), regions=regions)
    answer = json.loads(detection_json(detection, DetectOptions(), "id"))
    assert [region["score"] for region in answer["regions"]] == [0.1, 0.2, 0.3, 0.4]
    assert [region["box"][1] for region in answer["regions"]] == [99.0, 98.0, 97.0, 96.0]
    assert [region["line"] for region in answer["regions"]] == [1, 2, 3, 4]


def test_stored_coordinates_lie_in_the_frame_of_the_file() -> None:
    """Orientation 6 is shown turned by a quarter: x and y change places, and so do width and height."""
    header = ImageHeader("jpeg", stored_width=480, stored_height=640, orientation=3)
    detection = make_detection(1, header=header)
    shown = detection_dict(detection, DetectOptions(), "id")
    stored = detection_dict(detection, DetectOptions(coordinates="stored"), "id")
    assert shown["regions"][0]["box"] == [10.0, 0.0, 110.0, 20.0]  # type: ignore[index]
    assert stored["regions"][0]["box"] == [370.0, 620.0, 470.0, 640.0]  # type: ignore[index]

    header = ImageHeader("jpeg", stored_width=480, stored_height=640, orientation=6)
    detection = make_detection(1, header=header)
    stored = detection_dict(detection, DetectOptions(coordinates="stored"), "id")
    assert stored["image"]["width"] == 480  # type: ignore[index]
    assert detection_dict(detection, DetectOptions(), "id")["image"]["width"] == 640  # type: ignore[index]
    box = stored["regions"][0]["box"]  # type: ignore[index]
    assert (box[2] - box[0], box[3] - box[1]) == (20.0, 100.0)


@pytest.mark.parametrize(
    ("orientation", "first", "second", "angle"),
    [
        (2, (530, 0), (630, 0), 0),
        (3, (630, 480), (530, 480), 180),
        (4, (110, 480), (10, 480), 180),
        (5, (0, 110), (0, 10), -90),
        (6, (0, 630), (0, 530), -90),
        (7, (480, 530), (480, 630), 90),
        (8, (480, 10), (480, 110), 90),
    ],
)
def test_stored_quads_are_clockwise_and_begin_with_the_upper_edge_of_the_text(
    orientation: int, first: tuple[int, int], second: tuple[int, int], angle: int
) -> None:
    """In a mirror too: there the edge is told from its other end."""
    sides = (640, 480) if orientation < 5 else (480, 640)
    detection = make_detection(1, header=ImageHeader("jpeg", *sides, orientation=orientation))
    options = DetectOptions(coordinates="stored", polygons=True)
    region = json.loads(detection_json(detection, options, "id"))["regions"][0]
    assert (tuple(region["quad"][0]), tuple(region["quad"][1])) == (first, second)
    assert abs(region["angle"]) == abs(angle)
    for outline in (region["quad"], region["polygon"]):
        (x1, y1), (x2, y2), (x3, y3) = outline[:3]
        assert (x2 - x1) * (y3 - y2) - (y2 - y1) * (x3 - x2) > 0


def test_normalized_coordinates_are_shares_of_width_and_height() -> None:
    """Clients that scale the image need no pixels."""
    answer = detection_dict(make_detection(1), DetectOptions(normalized=True), "id")
    assert answer["image"]["normalized"] is True  # type: ignore[index]
    box = answer["regions"][0]["box"]  # type: ignore[index]
    assert box == pytest.approx([10 / 640, 0, 110 / 640, 20 / 480], abs=1e-6)


def test_polygons_come_only_when_asked_for() -> None:
    """A region without an outline of its own shows its quad."""
    outlined = make_region()._replace(polygon=((1.0, 2.0), (3.0, 4.0), (5.0, 6.0)))
    detection = dataclasses.replace(make_detection(0), regions=(outlined, make_region()))
    plain = detection_dict(detection, DetectOptions(), "id")["regions"]
    assert all("polygon" not in region for region in plain)  # type: ignore[attr-defined]
    rows = json.loads(detection_json(detection, DetectOptions(polygons=True), "id"))["regions"]
    assert rows[0]["polygon"] == [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]
    assert rows[1]["polygon"] == rows[1]["quad"]


def test_an_empty_answer_explains_itself() -> None:
    """No text is an answer, never a silent one."""
    answer = detection_dict(make_detection(0), DetectOptions(), "id")
    assert answer["regions"] == []
    assert answer["warnings"] == [{"code": "no_text_found", "detail": "Nothing was found."}]


def test_webui_arrays_are_of_equal_length() -> None:
    """Clients of the older service zip them."""
    empty, answer = (json.loads(webui_json(make_detection(count), "a.png")) for count in (0, 3))
    assert list(answer) == ["image_path", "texts", "boxes", "scores", "success", "inference_time"]
    assert [len(empty[name]) for name in ("texts", "boxes", "scores")] == [0, 0, 0]
    assert [len(answer[name]) for name in ("texts", "boxes", "scores")] == [3, 3, 3]
    assert answer["boxes"][1] == [10, 24, 110, 24, 110, 44, 10, 44]
    assert answer["texts"][0] == [""]


def test_numbers_are_rounded_to_what_they_can_mean() -> None:
    """Hundredths of a pixel, ten-thousandths of a score."""
    region = TextRegion(((1.23456, 2.0), (3.0, 2.0), (3.0, 4.0), (1.23456, 4.0)), 0.987654, 1.23456, 0)
    detection = dataclasses.replace(make_detection(0), regions=(region,))
    row = json.loads(detection_json(detection, DetectOptions(), "id"))["regions"][0]
    assert (row["quad"][0], row["score"], row["angle"]) == ([1.23, 2.0], 0.9877, 1.23)
