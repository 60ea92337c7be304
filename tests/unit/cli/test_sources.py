"""Paths, patterns and standard input become a list of images before any of them is opened."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace

import pytest

from ocrdet.cli.sources import Source, find_sources, printable
from ocrdet.errors import BodyTooLarge, InvalidParameter, MissingImage


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with images, one of them deeper, and a text."""
    for name in ("b.png", "a.JPG", "notes.txt", "deep/c.webp"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(name.encode())
    return tmp_path


def test_a_folder_gives_its_images_sorted_and_deep(folder: Path) -> None:
    """Images are known by their suffix, in any case of letters; anything else in a folder is left alone."""
    names = [source.name for source in find_sources([str(folder)])]
    assert names == [str(folder / name) for name in ("a.JPG", "b.png", "deep/c.webp")]


def test_a_pattern_gives_what_matches(folder: Path) -> None:
    """Where the shell does not expand a pattern, ocrdet does."""
    assert [Path(source.name).name for source in find_sources([f"{folder}/**/*.[pw]*"])] == [
        "b.png",
        "c.webp",
    ]


def test_a_name_with_brackets_is_a_name_where_there_is_such_a_file(tmp_path: Path) -> None:
    """A file that exists is never taken for a pattern."""
    path = tmp_path / "page[1].png"
    path.write_bytes(b"x")
    assert find_sources([str(path)])[0].read(10) == b"x"


def test_a_file_named_by_itself_needs_no_suffix(folder: Path) -> None:
    """Formats are sniffed; whoever names a file means it."""
    assert find_sources([str(folder / "notes.txt")])[0].read(100) == b"notes.txt"


@pytest.mark.parametrize("argument", ["nothing.png", "nothing-*.png", "empty"])
def test_what_is_not_there_stays_in_the_list_with_its_reason(
    argument: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One wrong path must not stop the others, and must not be passed over in silence either."""
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    (source,) = find_sources([argument])
    assert source.name == argument
    with pytest.raises(MissingImage):
        source.read(10)


def test_a_file_above_the_limit_is_refused_before_all_of_it_is_read(folder: Path) -> None:
    """The limit is that of a request's body, and the sentence says how to raise it."""
    with pytest.raises(BodyTooLarge, match="OCRDET_MAX_BODY_BYTES"):
        find_sources([str(folder / "b.png")])[0].read(4)


def test_standard_input_is_read_as_one_image(monkeypatch: pytest.MonkeyPatch) -> None:
    """`-` stands for it."""
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(b"bytes")))
    assert find_sources(["-"]) == [Source("-", Path("stdin.png"))]
    assert find_sources(["-"])[0].read(10) == b"bytes"


def test_standard_input_cannot_be_named_twice() -> None:
    """The second time there would be nothing left of it."""
    with pytest.raises(InvalidParameter):
        find_sources(["-", "-"])


def test_drawn_images_never_overwrite_each_other(folder: Path) -> None:
    """Two images of one name get two targets; what is neither JPEG nor PNG is drawn as PNG."""
    other = folder / "other"
    other.mkdir()
    (other / "b.png").write_bytes(b"x")
    arguments = [str(folder / "b.png"), str(other / "b.png"), str(folder / "deep")]
    assert [str(source.target) for source in find_sources(arguments)] == ["b.png", "b-2.png", "c.webp.png"]


def test_a_name_that_is_no_text_can_be_printed() -> None:
    """File names are bytes; JSON is text."""
    assert printable("caf\udce9.png") == "caf\ufffd.png"
