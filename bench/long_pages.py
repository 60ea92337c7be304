"""Draw long screenshots and strips, and count the lines that are found, cut and invented.

    python -m bench.long_pages [--font FONT_WITH_CHINESE]

A line counts as found when one region has an IoU of at least 0.5 with it, and as cut when more than one
region lies on it. Without a font that has Chinese characters the Latin pages alone are drawn.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from bench.extremes import CHARACTERS, FONTS
from bench.pages import WORDS
from ocrdet.detector import open_detector
from ocrdet.options import DetectOptions

if TYPE_CHECKING:
    from ocrdet.options import Fit
    from ocrdet.values import TextRegion

    Box = tuple[float, float, float, float]

# Width, height, text size: screenshots of many screens, strips of 43:1 both ways.
PICTURES = (
    (800, 12_000, 12),
    (800, 12_000, 16),
    (800, 12_000, 20),
    (800, 12_000, 28),
    (8600, 200, 20),
    (4300, 100, 14),
    (3440, 80, 40),
    (200, 8600, 20),
)
MAX_REGIONS = 10_000  # the densest pages have more lines than the default lets through
MODES: tuple[Fit, ...] = ("auto", "letterbox")


def main() -> None:
    """Measure every picture in both ways."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--font", type=Path, default=next((f for f in map(Path, FONTS) if f.exists()), None))
    chinese: Path | None = parser.parse_args().font
    with open_detector() as detector:
        for width, height, size in PICTURES:
            for font in [None] if chinese is None else [None, chinese]:
                picture, lines = draw(width, height, size, font)
                data = cv2.imencode(".png", picture, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes()
                for mode in MODES:
                    found = detector.detect(data, DetectOptions(fit=mode, max_regions=MAX_REGIONS))
                    whole, cut = count(lines, found.regions)
                    print(
                        f"{width}x{height}, {size} px, {'Chinese' if font else 'Latin':7} {mode:9} "
                        f"{found.fit.tiles:2} passes: {whole / len(lines):.4f} of {len(lines)} lines found, "
                        f"{cut} cut, {len(found.regions)} regions",
                        flush=True,
                    )


def draw(width: int, height: int, size: int, font: Path | None) -> tuple[np.ndarray, list[Box]]:
    """A page full of lines of different lengths, and the boxes of their ink."""
    rng = random.Random(size)  # noqa: S311 - the same picture each time
    page = Image.new("RGB", (width, height), "white")
    pen = ImageDraw.Draw(page)
    letters = ImageFont.truetype(str(font), size) if font else ImageFont.load_default(size)
    lines: list[Box] = []
    top = 8
    while top + 1.4 * size <= height:
        left = 10 + rng.randrange(30)
        while left < width - 3 * size:
            if font:
                text = "".join(rng.choice(CHARACTERS) for _ in range(rng.randint(3, 40)))
            else:
                text = " ".join(rng.choice(WORDS) for _ in range(rng.randint(2, 12)))
            while left + pen.textlength(text, font=letters) > width - 5:
                text = text[:-1].rstrip()
            if len(text) < 2:
                break
            pen.text((left, top), text, "black", font=letters)
            lines.append(pen.textbbox((left, top), text, font=letters))
            left = int(lines[-1][2]) + 5 * size
        top += int(1.6 * size)
    return np.asarray(page), lines


def count(lines: list[Box], regions: tuple[TextRegion, ...]) -> tuple[int, int]:
    """How many lines are found, and how many lie under more than one region."""
    boxes = np.array([region.box for region in regions]).reshape(-1, 4)
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    whole = cut = 0
    for line in np.array(lines):
        sides = np.minimum(boxes[:, 2:], line[2:]) - np.maximum(boxes[:, :2], line[:2])
        common = np.prod(np.maximum(sides, 0.0), axis=1)
        union = areas + np.prod(line[2:] - line[:2]) - common
        whole += bool((common >= 0.5 * union).any())
        cut += int((common > 0.5 * areas).sum()) > 1
    return whole, cut


if __name__ == "__main__":
    main()
