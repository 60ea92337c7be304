"""Draw a form and label it in two ways, to show what an hmean at IoU 0.5 says of the labels themselves.

    python -m bench.granularity --write docs/images

The regions are the same both times. Labels that follow the printed fields (a caption and its value apart,
however near), as upright rectangles around lines that slope, make most of them wrong; labels that follow the
lines make them right. Real sets of forms and receipts are labelled in the first way.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from ocrdet.cli import main as run_ocrdet

if TYPE_CHECKING:
    from numpy.typing import NDArray

FONT, SIZE, THICKNESS = cv2.FONT_HERSHEY_SIMPLEX, 0.75, 2
WIDTH, HEIGHT, SLOPE_DEGREES = 900, 560, 2.0
LINES = (
    ("Title:", "Harbour master"),
    ("Company:", "Copper wire works, 14 Dock Street"),
    ("Departure:", "21 June, 4:00 PM"),
    ("Quantity:", "12"),
    ("Any questions?", "Call the office at 800 424 9876"),
    ("Please return this form in the envelope by Friday the 18th",),
    ("An idea of your activities will be helpful in giving notice",),
)


def main() -> None:
    """Print the figures of both, and draw what is said to be wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--write", type=Path, required=True, metavar="DIR")
    target: Path = parser.parse_args().write
    page, fields, lines = _draw_form()
    for name, labels in (("labels-by-field", fields), ("labels-by-line", lines)):
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary, "form")
            folder.mkdir()
            cv2.imwrite(str(folder / "form.png"), page)
            text = "\n".join(",".join(str(round(value)) for value in quad.ravel()) + ",x" for quad in labels)
            (folder / "form.txt").write_text(text, encoding="utf-8")
            run_ocrdet(["eval", str(folder), "--worst", f"{temporary}/worst"])
            for picture in Path(temporary, "worst").glob("*.jpg"):
                (target / f"{name}.jpg").write_bytes(picture.read_bytes())


def _draw_form() -> tuple[NDArray[np.uint8], list[NDArray[np.float64]], list[NDArray[np.float64]]]:
    """The page, its labels by field as upright rectangles, and by line as quads that slope with it."""
    page = np.full((HEIGHT, WIDTH, 3), 250, np.uint8)
    slope = np.asarray(cv2.getRotationMatrix2D((WIDTH / 2, HEIGHT / 2), -SLOPE_DEGREES, 1.0), np.float64)
    fields, lines = [], []
    for row, parts in enumerate(LINES):
        left, baseline = 50, 80 + 68 * row
        boxes = []
        for part in parts:
            (width, height), below = cv2.getTextSize(part, FONT, SIZE, THICKNESS)
            cv2.putText(page, part, (left, baseline), FONT, SIZE, (25, 25, 25), THICKNESS, cv2.LINE_AA)
            boxes.append((left, baseline - height - 2, left + width, baseline + below // 2))
            left += width + 16
        quads = [_slope(box, slope) for box in boxes]
        fields += [_upright(quad) for quad in quads]
        lines.append(_slope((boxes[0][0], boxes[0][1], boxes[-1][2], boxes[0][3]), slope))
    page = np.asarray(cv2.warpAffine(page, slope, (WIDTH, HEIGHT), borderValue=(250, 250, 250)), np.uint8)
    return page, fields, lines


def _slope(box: tuple[int, int, int, int], slope: NDArray[np.float64]) -> NDArray[np.float64]:
    x_1, y_1, x_2, y_2 = box
    corners = np.array([[x_1, y_1, 1], [x_2, y_1, 1], [x_2, y_2, 1], [x_1, y_2, 1]], np.float64)
    return corners @ slope.T


def _upright(quad: NDArray[np.float64]) -> NDArray[np.float64]:
    (x_1, y_1), (x_2, y_2) = quad.min(axis=0), quad.max(axis=0)
    return np.array([[x_1, y_1], [x_2, y_1], [x_2, y_2], [x_1, y_2]])


if __name__ == "__main__":
    main()
