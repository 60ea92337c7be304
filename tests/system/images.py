"""Pictures with words at known places, in every kind of file that the service reads."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from PIL import Image

from tests.unit.vision.drawing import exif

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Box = tuple[float, float, float, float]
    Word = tuple[str, int, int, float]

FORMATS = ("jpeg", "png", "webp", "bmp", "tiff", "gif", "avif", "jpeg2000")
INK, PAPER = (20, 20, 20), (250, 250, 250)
# Text, left edge, baseline, size: no turn or mirror image of the page has words where it has them.
WORDS: tuple[Word, ...] = (("HARBOUR", 30, 70, 1.7), ("4096", 330, 160, 1.7))
# What was done to the displayed pixels when a file says that its orientation is this one.
STORED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@dataclass(frozen=True)
class Page:
    """A picture, and a mask of the ink of each word on it."""

    image: Image.Image
    masks: tuple[Image.Image, ...]

    @property
    def boxes(self) -> list[Box]:
        """Where the ink of each word lies: x1, y1, x2, y2."""
        return [mask.getbbox() or (0, 0, 0, 0) for mask in self.masks]

    def stored(self, orientation: int) -> Page:
        """The page as a file with this EXIF orientation holds it."""
        if orientation == 1:
            return self
        how = STORED[orientation]
        return Page(self.image.transpose(how), tuple(mask.transpose(how) for mask in self.masks))

    def file(self, name: str, **options: Any) -> bytes:  # noqa: ANN401 - whatever Pillow takes
        """The picture as a file of a format."""
        return save(self.image, name, **options)


def draw_page(
    width: int = 480,
    height: int = 190,
    words: Sequence[Word] = WORDS,
    *,
    ink: tuple[int, int, int] = INK,
    paper: tuple[int, int, int] = PAPER,
) -> Page:
    """Words in one colour on another."""
    pixels = np.full((height, width, 3), paper, np.uint8)
    masks = [put_word(np.zeros((height, width), np.uint8), word, 255) for word in words]
    for word in words:
        put_word(pixels, word, ink)
    return Page(Image.fromarray(pixels), tuple(Image.fromarray(mask) for mask in masks))


def draw_strip(number: int, width: int, height: int) -> Page:
    """A page with a row of numbers for each 60 pixels, different for every number."""
    rng = np.random.default_rng(number)
    rows = range(50, max(51, height - 10), 60)
    words = [(str(rng.integers(10**4, 10**9)), 10 + int(rng.integers(30)), y, 1.2) for y in rows]
    return draw_page(width, height, words)


def put_word(pixels: NDArray[np.uint8], word: Word, colour: tuple[int, ...] | int) -> NDArray[np.uint8]:
    """Draw one word."""
    text, left, baseline, size = word
    stroke = max(1, round(2 * size))
    cv2.putText(pixels, text, (left, baseline), cv2.FONT_HERSHEY_SIMPLEX, size, colour, stroke, cv2.LINE_AA)
    return pixels


def save(image: Image.Image, name: str, **options: Any) -> bytes:  # noqa: ANN401 - whatever Pillow takes
    """The image as a file of a format."""
    stream = io.BytesIO()
    image.save(stream, name, **({"quality": 92} if name in {"jpeg", "webp", "avif"} else {}) | options)
    return stream.getvalue()


def noise(width: int, height: int) -> Image.Image:
    """A picture that no compression makes small."""
    return Image.fromarray(np.random.default_rng(width).integers(0, 256, (height, width, 3), np.uint8))


def mixed_files(count: int) -> list[bytes]:
    """Pages of many sizes, in all formats and orientations by turns, each one different."""
    sizes = ((800, 120), (500, 160), (160, 480), (1000, 90), (640, 400), (300, 100), (2200, 700), (90, 700))
    files = []
    for number in range(count):
        page = draw_strip(number, *sizes[number % len(sizes)])
        # As many steps as it takes for every size to meet every format and orientation.
        name = FORMATS[(number + number // len(sizes)) % len(FORMATS)]
        orientation = 1 + number // 3 % 8 if name in {"jpeg", "png", "webp", "tiff"} else 1
        options = {"exif": exif(orientation)} if orientation > 1 else {}
        files.append(page.stored(orientation).file(name, **options))
    return files


def overlap(a: Sequence[float], b: Sequence[float]) -> float:
    """Intersection over union of two upright boxes."""
    wide = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    high = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    common = wide * high
    return common / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common)


def assert_found(answer: dict[str, Any], boxes: Sequence[Box], least: float = 0.5) -> None:
    """Every word has its region, and there are no others."""
    found = [region["box"] for region in answer["regions"]]
    matched = [max((overlap(box, place) for place in found), default=0.0) for box in boxes]
    assert len(found) == len(boxes), (found, boxes)
    assert all(share >= least for share in matched), (matched, found, boxes)
