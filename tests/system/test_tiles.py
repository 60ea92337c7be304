"""Pictures that one pass would shrink beyond reading: found in tiles, whole, within the operator's limits."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

from tests.system.images import INK, PAPER, overlap
from tests.system.server import assert_problem, run_ocrdet

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from tests.system.images import Box
    from tests.system.server import ServerProcess

FONT, TEXT_PX = cv2.FONT_HERSHEY_SIMPLEX, 20
# The height of a capital letter at size 1, without its stroke.
CAPITAL_PX = 21
WORDS = ("harbour", "4096", "Terminal", "block", "wire", "17.25", "Quantity", "deliver", "Total", "copper")


def put_line(pixels: NDArray[np.uint8], text: str, left: int, baseline: int) -> Box:
    """Write 20-pixel text, and say where its ink lies."""
    size = TEXT_PX / CAPITAL_PX
    (width, height), below = cv2.getTextSize(text, FONT, size, 2)
    cv2.putText(pixels, text, (left, baseline), FONT, size, INK, 2, cv2.LINE_AA)
    return left, baseline - height, left + width, baseline + below // 2


def write(pixels: NDArray[np.uint8], pitch: int, right_margin: int) -> list[Box]:
    """Fill a page with lines of different lengths."""
    rng = np.random.default_rng(7)
    boxes = []
    for baseline in range(30, pixels.shape[0] - 10, pitch):
        text = " ".join(rng.choice(WORDS, 40))
        while cv2.getTextSize(text, FONT, TEXT_PX / CAPITAL_PX, 2)[0][0] > right_margin:
            text = text[: -rng.integers(2, 9)]
        boxes.append(put_line(pixels, text, 12, baseline))
    return boxes


def paper(width: int, height: int) -> NDArray[np.uint8]:
    """An empty page."""
    return np.full((height, width, 3), PAPER, np.uint8)


def encode(pixels: NDArray[np.uint8]) -> bytes:
    """As PNG, quickly."""
    return cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes()


def assert_lines_found(answer: dict[str, Any], boxes: list[Box]) -> None:
    """98 of 100 lines are there, each in one region, and there is nothing else."""
    found = [region["box"] for region in answer["regions"]]
    whole = sum(max(overlap(box, place) for place in found) >= 0.5 for box in boxes)
    assert whole >= 0.98 * len(boxes), (whole, len(boxes))
    assert len(found) == len(boxes)


def test_a_long_screenshot_is_read_line_by_line(server: ServerProcess) -> None:
    """800x12000 pixels with 20-pixel text: a single pass would show it at a tenth of that."""
    pixels = paper(800, 12_000)
    boxes = write(pixels, 33, 770)
    answer = server.found(encode(pixels))
    assert_lines_found(answer, boxes)
    assert answer["fit"]["mode"] == "tile"
    assert answer["fit"]["tiles"] <= 12
    assert answer["fit"]["smallest_readable_px"] <= 13
    assert all(above["line"] < below["line"] for above, below in pairwise(answer["regions"]))
    assert answer["warnings"] == []


def test_a_line_through_every_seam_is_one_region(server: ServerProcess) -> None:
    """A strip of 43 to 1 whose two lines run from end to end, across all tiles."""
    pixels = paper(4300, 100)
    text = " ".join(WORDS * 6)[:310]
    boxes = [put_line(pixels, text, 20, 35), put_line(pixels, text[::-1], 20, 85)]
    assert 4100 < boxes[0][2] < 4300
    answer = server.found(encode(pixels))
    assert answer["fit"]["tiles"] > 3
    assert_lines_found(answer, boxes)


def test_tiles_on_request_find_what_one_pass_cannot(server: ServerProcess) -> None:
    """A large drawing with small letters, which a letterbox answers with a warning."""
    pixels = paper(3000, 2400)
    boxes = write(pixels, 120, 2900)
    body = encode(pixels)
    tiled = server.found(body, fit="tile")
    assert_lines_found(tiled, boxes)
    assert (tiled["fit"]["mode"], tiled["fit"]["scale"]) == ("tile", 1.0)
    letterboxed = server.found(body, fit="letterbox")
    assert "downscaled" in str(letterboxed["warnings"])
    assert letterboxed["fit"]["tiles"] == 1


def test_a_deadline_that_all_passes_cannot_meet_is_refused_at_once(server: ServerProcess) -> None:
    """The header tells how many they are, so nothing is decoded for an answer that comes too late."""
    body = encode(paper(900, 50_000))
    response = server.detect(body, headers={"X-Request-Timeout-Ms": "150"})
    problem = assert_problem(response, 504, "deadline-exceeded")
    assert problem["stage"] in {"inference", "body", "decode"}


@pytest.mark.parametrize("limit", [1, 3])
def test_the_operator_bounds_the_tiles(small_model: Path, tmp_path: Path, limit: int) -> None:
    """At the limit the image is scaled down, and a warning says how many tiles it would have been."""
    picture = tmp_path / "long.png"
    picture.write_bytes(encode(paper(300, 6000)))
    variables = {"OCRDET_MAX_TILES": str(limit), "OCRDET_MODEL": str(small_model)}
    answer = json.loads(run_ocrdet("detect", picture, variables=variables).stdout)
    assert answer["fit"]["tiles"] <= limit
    assert "tiles_limited" in [warning["code"] for warning in answer["warnings"]]
