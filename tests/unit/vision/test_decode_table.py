"""Every row of the table in docs/images.md: the right pixels, the warnings, and a second opinion."""

from __future__ import annotations

import io
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from ocrdet.errors import OcrdetError
from ocrdet.vision.decode import check_limits, decode_image, read_header
from tests.unit.vision.decode_table import ROWS
from tests.unit.vision.refused_table import REFUSED

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tests.unit.vision.drawn_file import File

PAGE = Path(__file__).resolve().parents[3] / "docs/images.md"
# Rows of the page that other tests hold.
ELSEWHERE = {
    "truncated": Path(__file__).with_name("test_decode_partial.py"),
    "wrong-name": Path(__file__).resolve().parents[2] / "system/test_pixels.py",
}


def decoded(data: bytes) -> tuple[NDArray[np.int16], tuple[str, ...]]:
    """Pixels and codes of warnings."""
    header = read_header(data)
    check_limits(header, max_pixels=1_000_000, max_side_px=65_500)
    image = decode_image(data, header)
    assert image.pixels.shape == (header.height, header.width, 3)
    assert image.pixels.flags.c_contiguous
    return image.pixels.astype(np.int16), tuple(warning.code for warning in image.warnings)


def witnessed(file: File) -> NDArray[np.int16]:
    """What the other library sees, upright and without transparency."""
    if file.witness == "opencv":
        pixels = cv2.imdecode(np.frombuffer(file.data, np.uint8), cv2.IMREAD_COLOR_RGB)
        assert pixels is not None
        return pixels.astype(np.int16)
    with Image.open(io.BytesIO(file.data)) as image:
        if image.mode == "I;16":
            return np.repeat(np.asarray(image).astype(np.int32)[..., None] >> 8, 3, axis=2).astype(np.int16)
        return np.asarray(ImageOps.exif_transpose(image).convert("RGB")).astype(np.int16)


@pytest.mark.parametrize("row", ROWS)
def test_every_kind_of_file_gives_the_pixels_that_a_person_sees(row: str) -> None:
    """Within the row's tolerance, with its warnings and no others."""
    for number, file in enumerate(ROWS[row]()):
        pixels, codes = decoded(file.data)
        assert codes == file.codes, number
        seen = file.seen if file.seen.ndim == 3 else file.seen[..., None]
        assert pixels.shape[:2] == seen.shape[:2], number
        assert np.abs(pixels - seen).max() <= file.tolerance, number


@pytest.mark.parametrize("row", [row for row in ROWS if any(file.witness for file in ROWS[row]())])
def test_another_decoder_sees_the_same(row: str) -> None:
    """Two builds of two libraries differ by rounding alone: 4 levels where data are lossy, 1 elsewhere."""
    for number, file in enumerate(ROWS[row]()):
        if file.witness:
            pixels, _ = decoded(file.data)
            assert np.abs(pixels - witnessed(file)).max() <= (4 if file.tolerance else 1), number


@pytest.mark.parametrize("row", REFUSED)
def test_what_is_refused_gets_its_problem(row: str) -> None:
    """Of the documented kind, with words that say what to do."""
    for data, error, words in REFUSED[row]:
        with pytest.raises(error, match=words):
            decoded(data)


def test_the_page_has_the_rows_that_are_tested() -> None:
    """No row without a test, no test without a row."""
    rows = re.findall(r"^\| `([a-z0-9-]+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(rows) == sorted([*ROWS, *REFUSED, *ELSEWHERE])
    assert all(f'"{row}"' in path.read_text(encoding="utf-8") for row, path in ELSEWHERE.items())


def test_decoding_writes_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is opened to be written, and nothing asks for a temporary file."""
    opened: list[object] = []
    watching = True

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        if watching and event == "open" and isinstance(arguments[2], int):
            if arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                opened.append(arguments[0])
        elif watching and event.startswith("tempfile."):
            opened.append(event)

    for name in ("mkstemp", "mkdtemp", "NamedTemporaryFile", "TemporaryFile"):
        monkeypatch.setattr(tempfile, name, lambda *_, **__: pytest.fail("a temporary file"))
    files = [file.data for row in ROWS.values() for file in row()]
    files += [data for row in REFUSED.values() for data, _, _ in row]
    before = set(os.listdir(tempfile.gettempdir()))  # noqa: PTH208 - names alone
    sys.addaudithook(watch)
    for data in files:
        try:
            decode_image(data, read_header(data))
        except OcrdetError:
            continue
    watching = False
    assert opened == []
    # OpenCV's and Pillow's own code opens files unseen by Python.
    assert not {name for name in set(os.listdir(tempfile.gettempdir())) - before if "opencv" in name.lower()}  # noqa: PTH208
