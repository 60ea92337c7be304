"""Which image belongs to which ground truth, in the layouts that data sets come in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ocrdet.errors import InvalidParameter
from ocrdet.lab.ground_truth import find_sets

if TYPE_CHECKING:
    from pathlib import Path

SUFFIXES = {".png", ".jpg"}
LINE = "1,2,9,2,9,6,1,6,a"
EMPTY_JSON = '{"regions": []}'


def make(folder: Path, *names: str) -> None:
    """Files of these names, each with something right in it."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text({".txt": LINE, ".json": EMPTY_JSON}.get(path.suffix, "image"))


@pytest.mark.parametrize(
    "label", ["gt/a.json", "gt/a.txt", "gt/gt_a.txt", "images/a.json", "images/gt_a.txt", "images/a.txt"]
)
def test_ground_truth_lies_in_gt_or_beside_the_images(tmp_path: Path, label: str) -> None:
    """All the usual names fit."""
    make(tmp_path, "images/a.png", label)
    (found,) = find_sets([tmp_path], SUFFIXES)
    assert [each.path.name for each in found.images] == ["a.png"]
    assert (found.name, found.left_out) == (tmp_path.name, ())


def test_images_may_lie_in_the_folder_itself(tmp_path: Path) -> None:
    """With their labels, or with a folder gt."""
    make(tmp_path, "one/b.JPG", "one/b.txt", "one/a.png", "one/a.json", "two/a.png", "two/gt/a.txt")
    one, two = find_sets([tmp_path], SUFFIXES)
    assert [each.path.name for each in one.images] == ["a.png", "b.JPG"]
    assert [each.path.name for each in two.images] == ["a.png"]
    assert (one.name, two.name) == ("one", "two")


def test_sets_of_one_name_are_told_apart(tmp_path: Path) -> None:
    """Their paths are named instead."""
    make(tmp_path, "x/test/a.png", "x/test/a.txt", "y/test/a.png", "y/test/a.txt")
    found = find_sets([tmp_path / "x/test", tmp_path / "y"], SUFFIXES)
    assert [each.name for each in found] == [str(tmp_path / "x/test"), str(tmp_path / "y/test")]


def test_what_is_not_judged_is_told(tmp_path: Path) -> None:
    """Images without ground truth and ground truth without an image are never dropped in silence."""
    make(tmp_path, "images/a.png", "gt/a.txt", "gt/z.json", *(f"images/{number}.png" for number in range(7)))
    (found,) = find_sets([tmp_path], SUFFIXES)
    assert found.left_out == (
        "images without ground truth: 0.png, 1.png, 2.png, 3.png, 4.png and 2 more",
        "files of ground truth without an image: z.json",
    )


def test_other_files_are_no_matter(tmp_path: Path) -> None:
    """A note in the folder is neither an image nor ground truth."""
    make(tmp_path, "images/a.png", "images/notes.md", "gt/a.txt", "gt/a.xml")
    assert find_sets([tmp_path], SUFFIXES)[0].left_out == ()


@pytest.mark.parametrize(
    ("names", "told"),
    [
        ([], "no images"),
        (["a.png"], "has ground truth"),
        (["a.png", "a.jpg", "a.txt"], "a.jpg and a.png"),
        (["a.png", "a.txt", "a.json"], "two files of ground truth"),
        (["a.png", "a.txt", "gt_a.txt"], "two files of ground truth"),
    ],
)
def test_a_folder_that_says_nothing_or_two_things_is_refused(
    tmp_path: Path, names: list[str], told: str
) -> None:
    """The sentence says what is missing or ambiguous."""
    make(tmp_path, *names)
    with pytest.raises(InvalidParameter, match=told):
        find_sets([tmp_path], SUFFIXES)


def test_a_path_that_is_no_folder_is_told(tmp_path: Path) -> None:
    """A misspelt name is the most common mistake."""
    with pytest.raises(InvalidParameter, match="is no folder"):
        find_sets([tmp_path / "none"], SUFFIXES)
