"""A picture without text is answered with 200, no regions, and a warning that says why."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from PIL import Image

from tests.system.images import draw_page, noise, save

if TYPE_CHECKING:
    from tests.system.server import ServerProcess

# The ends of a strip 43 times as long as it is high differ, so that it is not blank.
STRIP = Image.linear_gradient("L").resize((4300, 100))
ALMOST_EVEN = noise(300, 200).point(lambda value: 248 + value // 100)

PICTURES: dict[str, tuple[Image.Image, str]] = {
    "white": (Image.new("RGB", (300, 200), "white"), "blank_image"),
    "black": (Image.new("L", (300, 200), 0), "blank_image"),
    "almost even": (ALMOST_EVEN, "blank_image"),
    "transparent": (Image.new("RGBA", (300, 200), (255, 0, 0, 0)), "fully_transparent"),
    "one pixel": (Image.new("RGB", (1, 1), "red"), "blank_image"),
    "one column": (Image.linear_gradient("L").resize((1, 2000)), "too_small"),
    "one row": (Image.linear_gradient("L").rotate(90).resize((2000, 1)), "too_small"),
    "long strip": (STRIP, "no_text_found"),
    "even strip": (Image.new("RGB", (4300, 100), "grey"), "blank_image"),
    "six pixels high": (Image.linear_gradient("L").resize((2000, 6)), "too_small"),
}


@pytest.mark.parametrize("kind", PICTURES)
def test_a_picture_without_text_says_why_nothing_was_found(server: ServerProcess, kind: str) -> None:
    """Never a silent empty answer."""
    image, code = PICTURES[kind]
    answer = server.found(save(image, "png"))
    assert answer["regions"] == []
    warnings = {warning["code"]: warning["detail"] for warning in answer["warnings"]}
    assert warnings.get(code), warnings
    assert (answer["image"]["width"], answer["image"]["height"]) == image.size


def test_a_threshold_that_drops_everything_says_so(server: ServerProcess) -> None:
    """The caller's own choice is an explanation, too."""
    answer = server.found(draw_page().file("png"), score_threshold=1)
    assert answer["regions"] == []
    assert [warning["code"] for warning in answer["warnings"]] == ["no_text_found"]
    assert "threshold of 1" in answer["warnings"][0]["detail"]


def test_fewer_regions_than_there_are_come_with_a_warning(server: ServerProcess) -> None:
    """The best one is kept, and the answer says how many were not."""
    page = draw_page().file("png")
    both = sorted(server.found(page)["regions"], key=lambda region: region["score"])
    answer = server.found(page, max_regions=1)
    assert [region["box"] for region in answer["regions"]] == [both[-1]["box"]]
    assert [warning["code"] for warning in answer["warnings"]] == ["truncated"]
    assert answer["warnings"][0]["detail"].startswith("1 more")
