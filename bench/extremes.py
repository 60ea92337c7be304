"""Time pictures that make other services slow or silent against an ordinary page, side by side.

    python -m bench.extremes [--rounds 7] [--font FONT_WITH_CHINESE]

Prints the median time of each, its ratio to the ordinary page, and what was answered. The page of 500 Chinese
characters needs a font that has them; without one it is left out, and that is said.
"""

from __future__ import annotations

import argparse
import io
import statistics
import time
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from bench.pages import draw_page
from ocrdet.detector import open_detector
from ocrdet.errors import OcrdetError

FONTS = (
    "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/truetype/wqy/wqy-zenhei.ttc",
    "/System/Library/Fonts/PingFang.ttc",
)
SIZE = 1600, 1200
CHARACTERS = "文字检测服务在图像中找到文本的位置并返回边界框和分数不进行识别操作员可以放心度假"


def main() -> None:
    """Measure, interleaved, and print."""
    arguments = _arguments()
    files = _files(arguments.font)
    times: dict[str, list[float]] = {name: [] for name in files}
    answers: dict[str, str] = {}
    with open_detector() as detector:
        for _ in range(arguments.rounds):
            for name, data in files.items():
                began = time.perf_counter()
                try:
                    found = detector.detect(data)
                except OcrdetError as error:
                    answers[name] = type(error).__name__
                else:
                    codes = ", ".join(warning.code for warning in found.warnings)
                    answers[name] = f"{len(found.regions)} regions, {found.fit.tiles} pass(es) {codes}"
                times[name].append((time.perf_counter() - began) * 1e3)
    ordinary = statistics.median(times["ordinary page"])
    for name, values in times.items():
        middle = statistics.median(values)
        print(f"{name:<32} {middle:8.1f} ms  x{middle / ordinary:5.2f}  {answers[name]}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--font", type=Path, default=next((f for f in map(Path, FONTS) if f.exists()), None))
    return parser.parse_args()


def _files(font: Path | None) -> dict[str, bytes]:
    files = {
        "ordinary page": _encode(Image.open(io.BytesIO(draw_page(1)))),
        "pure black": _encode(Image.new("RGB", SIZE, "black")),
        "pure white": _encode(Image.new("RGB", SIZE, "white")),
        "fully transparent": _encode(Image.new("RGBA", SIZE, (0, 0, 0, 0))),
        "noise": _encode(
            Image.fromarray(np.random.default_rng(1).integers(0, 256, (1200, 1600, 3), np.uint8))
        ),
        "10000x10000": _encode(Image.new("1", (10_000, 10_000))),
        "7000x7000 white": _encode(Image.new("L", (7000, 7000), 255)),
    }
    if font is None:
        print("no font with Chinese characters is installed: that page is left out (--font names one)")
    else:
        files["500 Chinese characters"] = _encode(_chinese(font))
    return files


def _chinese(font: Path) -> Image.Image:
    page = Image.new("RGB", SIZE, "white")
    draw, letters = ImageDraw.Draw(page), ImageFont.truetype(str(font), 36)
    text = (CHARACTERS * 20)[:500]
    for row in range(20):
        draw.text((60, 40 + row * 56), text[row * 25 : row * 25 + 25], "black", font=letters)
    return page


def _encode(image: Image.Image) -> bytes:
    target = io.BytesIO()
    image.save(target, "PNG", compress_level=1)
    return target.getvalue()


if __name__ == "__main__":
    main()
