"""What fuzzing has found: each input that broke a promise, as small as it can be."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from ocrdet.api.answers import detection_json
from ocrdet.errors import CorruptImage
from ocrdet.options import DetectOptions
from ocrdet.values import ImageHeader, Placement, ProbabilityMap, TextRegion, Thresholds
from ocrdet.vision import jpeg2000
from ocrdet.vision.regions import _as_regions, find_regions
from tests.fakes import make_detection
from tests.unit.vision.drawing import picture, save


def test_a_map_a_little_beyond_one_scores_one() -> None:
    """Warming up lets a model's rounding pass; the documented score ends at 1 all the same."""
    values = np.zeros((64, 64), np.float32)
    values[20:40, 10:50] = 1.001
    place = Placement(64, 64, 1.0, 1.0, 64, 64)
    found = find_regions(ProbabilityMap(values, place), Thresholds(0.5, 0.2, 0.3, 1.2, 1000))
    assert [region.score for region in found.regions] == [1.0]


def test_text_to_the_left_of_a_turned_file_has_an_angle_of_plus_180() -> None:
    """A level line of an image stored upside down runs at 180 degrees, not at the -180 of arctan2."""
    header = ImageHeader("jpeg", 64, 64, orientation=3)
    quad = ((10.0, 20.0), (50.0, 20.0), (50.0, 40.0), (10.0, 40.0))
    detection = replace(make_detection(header=header), regions=(TextRegion(quad, 1.0, 0.0, 0),))
    told = json.loads(detection_json(detection, DetectOptions(coordinates="stored"), "test"))
    assert told["regions"][0]["angle"] == 180.0


def test_a_hair_from_vertical_is_not_rounded_out_of_the_range() -> None:
    """Angles lie in (-90, 90]: one of -89.998 degrees is told as the last one above -90."""
    quad = np.array([[[10.0, 200.0], [10.005, 0.0], [30.005, 0.0], [30.0, 200.0]]])
    (region,) = _as_regions(quad, np.array([1.0]), np.array([0]), [None])
    assert region.angle == -89.99


def test_a_jpeg2000_part_that_ends_where_its_data_begin_is_seen_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A kilobyte walked around the same marker until the limit of segments was reached; now it needs none."""
    monkeypatch.setattr(jpeg2000, "_MAX_SEGMENTS", 1 << 40)
    whole = save(picture(), "jpeg2000", no_jp2=True)
    head, body = whole.index(b"\xff\x90"), whole.index(b"\xff\x93")
    length = body + 4 - head
    data = whole[: head + 6] + length.to_bytes(4) + whole[head + 10 : body] + b"\xff\x64\0\2" + whole[body:]
    with pytest.raises(CorruptImage, match="do not follow each other"):
        jpeg2000.require_whole_jpeg2000(data)
