"""Ground truth as people have it: JSON, and the text files of the ICDAR competitions."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from ocrdet.errors import InvalidParameter
from ocrdet.lab.labels import Labels, read_labels

if TYPE_CHECKING:
    from pathlib import Path

FULL_WIDTH_COMMA = "\uff0c"
QUAD = [[1.0, 2.0], [9.0, 2.0], [9.0, 6.0], [1.0, 6.0]]


def read_text(folder: Path, text: str | bytes) -> Labels:
    """The labels of an ICDAR file."""
    path = folder / "a.txt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_labels(path, "a.png")


def read_json(folder: Path, data: object) -> Labels:
    """The labels of a JSON file."""
    path = folder / "a.json"
    path.write_text(data if isinstance(data, str) else json.dumps(data))
    return read_labels(path, "a.png")


def test_json_gives_regions_and_the_size_of_the_image(tmp_path: Path) -> None:
    """Text and ignore may be left out; a path before the image's name is somebody else's."""
    regions = [{"polygon": QUAD, "text": "ab", "ignore": True}, {"polygon": QUAD[:3], "text": None}]
    page = {"image": "C:\\scans\\a.png", "width": 20, "height": 10, "regions": regions}
    labels = read_json(tmp_path, page)
    assert labels.size == (20, 10)
    assert [(len(each.points), each.text, each.ignored) for each in labels.regions] == [
        (4, "ab", True),
        (3, "", False),
    ]


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ('{"regions": [\n{"polygon" 3}]}', "line 2"),
        ([], "a.json"),
        ({"regions": 3}, "regions"),
        ({"regions": [{"polygon": QUAD}, {"polygon": [[1, 2], [3, 4]]}]}, "regions.1.polygon"),
        ({"regions": [{"polygon": [[1, 2], [3, 4], [5, "x"]]}]}, "regions.0.polygon.2.1"),
        ({"image": "b.png", "regions": []}, "b.png"),
    ],
)
def test_a_fault_in_json_is_told_with_its_place(tmp_path: Path, data: object, told: str) -> None:
    """The sentence names the file and what in it is wrong."""
    with pytest.raises(InvalidParameter, match=told) as caught:
        read_json(tmp_path, data)
    assert str(tmp_path / "a.json") in str(caught.value)


def test_icdar_lines_are_read_with_every_habit_of_their_makers(tmp_path: Path) -> None:
    """Byte order mark, Windows line ends, full-width commas, commas in the text, blanks and empty lines."""
    labels = read_text(
        tmp_path,
        "\ufeff1,2,9,2,9,6,1,6,Hello, world\r\n"
        "\r\n"
        + "1,2,9,2,9,6,1,6,中,文\r\n".replace(",", FULL_WIDTH_COMMA)
        + " 1, 2, 9, 2, 9, 6, 1, 6, ### \r\n"
        "1.5,2,9,2,9,6,1,6",
    )
    assert [(each.text, each.ignored) for each in labels.regions] == [
        ("Hello, world", False),
        (f"中{FULL_WIDTH_COMMA}文", False),
        ("###", True),
        ("", False),
    ]
    assert labels.regions[0].points.tolist() == QUAD
    assert labels.regions[3].points[0].tolist() == [1.5, 2]


@pytest.mark.parametrize(
    ("line", "points", "text"),
    [
        ("1,2,9,2,9,6,1,6,1989", 4, "1989"),
        ("1,2,9,2,9,6,1,6,12,50", 4, "12,50"),
        ("1,2,5,1,9,2,9,6,5,5,1,6,curved", 6, "curved"),
        ("1,2,5,1,9,2,9,6,5,5,1,6,1989", 6, "1989"),
        ('1 2 9 6 "two, words"', 4, "two, words"),
        ('1, 2, 9, 6, "###"', 4, "###"),
    ],
)
def test_numbers_are_told_from_numbers_in_the_text(tmp_path: Path, line: str, points: int, text: str) -> None:
    """Eight numbers are a quad and twelve or more an outline; four and quotes are the rectangle of 2013."""
    (region,) = read_text(tmp_path, line).regions
    assert (len(region.points), region.text) == (points, text)
    assert region.points[0].tolist() == [1, 2]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("1,2,9,2,9,6,1,6,a\n1,2,9,2,9,6,1,b\n", "a.txt:2: .* first 7 fields"),
        ("1,2,9,2,9,6,1,6,a\n\nnothing\n", "a.txt:3: "),
        (b"1,2,9,2,9,6,1,6,caf\xe9\n", "a.txt:1: .*UTF-8"),
    ],
)
def test_a_fault_in_a_line_is_told_with_its_number(tmp_path: Path, text: str | bytes, told: str) -> None:
    """A person can go straight to it."""
    with pytest.raises(InvalidParameter, match=told):
        read_text(tmp_path, text)


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    """Not a traceback."""
    with pytest.raises(InvalidParameter, match="cannot be read"):
        read_labels(tmp_path / "none.txt", "none.png")


def test_regions_without_an_area_are_left_out_and_told(tmp_path: Path) -> None:
    """Nothing could ever match a line of no height."""
    labels = read_text(tmp_path, "1,2,9,2,9,6,1,6,a\n1,2,9,2,9,2,1,2,flat\n")
    assert [each.text for each in labels.regions] == ["a"]
    assert labels.left_out == (f"{tmp_path / 'a.txt'}:2",)


def test_an_empty_file_is_an_image_without_text(tmp_path: Path) -> None:
    """Such images measure precision."""
    assert read_text(tmp_path, "").regions == ()
