"""The images with the most to mend, drawn: what was missed, what is false, what is right."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from ocrdet.vision.decode import decode_image, read_header
from ocrdet.vision.draw import WHITE, draw_outlines, encode_image
from ocrdet.vision.geometry import displayed_to_stored

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from ocrdet.lab.evaluation import JudgedImage
    from ocrdet.lab.scoring import Judgement
    from ocrdet.lab.shapes import Points
    from ocrdet.values import ImageHeader
    from ocrdet.vision.draw import Colour

OVERVIEW_FILE = "overview.txt"
# Drawn in this order, so that what is wrong lies on top.
IGNORED, MATCHED, FALSE, MISSED = "ignored", "matched", "false", "missed"
COLOURS: dict[str, Colour] = {
    IGNORED: (140, 140, 140),
    MATCHED: (0, 158, 80),
    FALSE: (240, 180, 0),
    MISSED: (220, 20, 30),
}
# Pictures are brought into this range, so that lines and words on them can be read.
SMALLEST_SIDE_PX, LARGEST_SIDE_PX = 900, 3000
CAPTION_PX = 64
MARGIN_PX = 10
FONT, FONT_SIZE = cv2.FONT_HERSHEY_SIMPLEX, 0.6
INK = (0, 0, 0)

Drawn = dict[str, list["Points"]]


def write_worst(
    judged_of: Mapping[str, Sequence[JudgedImage]], folder: Path, count: int, judgement: Judgement
) -> Iterator[str]:
    """Draw the images of the lowest hmean, and of these the ones with the most mistakes first.

    Args:
        judged_of: The judged images by the names of their sets.
        folder: Takes the pictures and a file `overview.txt` of the lines; made where it does not exist.
        count: How many at most; images without a mistake are left out.
        judgement: By which measure regions are right or false.

    Yields:
        One line for each image.
    """
    wrong = [
        (each.score.tallies[judgement].hmean, -mistakes, name, each)
        for name, judged in judged_of.items()
        for each in judged
        if (mistakes := _count_mistakes(each, judgement)) or each.prediction.problem
    ]
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for rank, (hmean, _, name, each) in enumerate(sorted(wrong, key=lambda row: row[:2])[:count], 1):
        outlines = sort_outlines(each, judgement)
        counts = "  ".join(f"{len(outlines[kind]):3} {kind}" for kind in (MISSED, FALSE, MATCHED, IGNORED))
        line = f"{rank:3}  hmean {hmean:.3f}  {counts}  {name}/{each.image.path.name}"
        problem = each.prediction.problem or _draw(
            each, outlines, line, folder / _file_name(rank, name, each)
        )
        lines.append(f"{line}: {problem}" if problem else line)
        yield lines[-1]
    (folder / OVERVIEW_FILE).write_text("".join(f"{line}\n" for line in lines), "utf-8", "replace")


def sort_outlines(judged: JudgedImage, judgement: Judgement) -> Drawn:
    """Regions that matched, are false or ignored, and labels that were missed or are ignored."""
    verdict, kept = judged.score.verdicts[judgement], judged.score.kept
    regions, labels = judged.prediction.outlines, judged.image.labels.regions
    counting = [label for label in labels if not label.ignored]
    return {
        IGNORED: [label.points for label in labels if label.ignored]
        + [regions[place] for place in np.setdiff1d(np.arange(len(regions)), kept)],
        MATCHED: [regions[place] for place in kept[verdict.right]],
        FALSE: [regions[place] for place in kept[~verdict.right]],
        MISSED: [label.points for label, found in zip(counting, verdict.found, strict=True) if not found],
    }


def _count_mistakes(judged: JudgedImage, judgement: Judgement) -> int:
    verdict = judged.score.verdicts[judgement]
    return int((~verdict.found).sum() + (~verdict.right).sum())


def _file_name(rank: int, set_name: str, judged: JudgedImage) -> str:
    place = set_name.replace("/", "-").replace("\\", "-").strip("-.")
    return f"{rank:03}-{place}-{judged.image.path.stem}.jpg"


def _draw(judged: JudgedImage, outlines: Drawn, line: str, target: Path) -> str | None:
    """Write the picture, or return why not: the worst images may be those that cannot be read."""
    try:
        data = judged.image.path.read_bytes()
        header = read_header(data)
        picture = _picture(decode_image(data, header, allow_truncated=True).pixels, header, outlines)
        target.write_bytes(encode_image(_with_caption(picture, line), "jpeg"))
    except Exception as error:  # noqa: BLE001 - told in the image's line
        return f"not drawn: {error}"
    return None


def _picture(pixels: NDArray[np.uint8], header: ImageHeader, outlines: Drawn) -> NDArray[np.uint8]:
    """The upright image at a size to look at, with its outlines."""
    longest = max(pixels.shape[:2])
    scale = max(1.0, SMALLEST_SIDE_PX / longest) * min(1.0, LARGEST_SIDE_PX / longest)
    sized = np.asarray(
        cv2.resize(
            pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        ),
        np.uint8,
    )
    x_scale, y_scale = sized.shape[1] / pixels.shape[1], sized.shape[0] / pixels.shape[0]
    coloured = [
        (_to_displayed(points, header) * [x_scale, y_scale], COLOURS[kind])
        for kind in COLOURS
        for points in outlines[kind]
    ]
    return draw_outlines(sized, coloured, line_px=2)


def _to_displayed(points: Points, header: ImageHeader) -> Points:
    """Labels and regions are in stored pixels; people look at the upright image."""
    origin, right, down = displayed_to_stored(np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]), header)
    # Turning and mirroring: the inverse of the axes is their transpose.
    displayed: Points = (points - origin) @ np.stack([right - origin, down - origin]).T
    return displayed


def _with_caption(picture: NDArray[np.uint8], line: str) -> NDArray[np.uint8]:
    """The picture below a white band that says what it is and what the colours mean."""
    text = line.encode("ascii", "replace").decode()
    (width, _), _ = cv2.getTextSize(text, FONT, FONT_SIZE, 1)
    band = np.full((CAPTION_PX, max(picture.shape[1], width + 2 * MARGIN_PX), 3), WHITE, np.uint8)
    cv2.putText(band, text, (MARGIN_PX, 24), FONT, FONT_SIZE, INK, 1, cv2.LINE_AA)
    left = MARGIN_PX
    for kind in reversed(COLOURS):
        cv2.rectangle(band, (left, 38), (left + 24, 54), COLOURS[kind], cv2.FILLED)
        cv2.putText(band, kind, (left + 32, 52), FONT, FONT_SIZE, INK, 1, cv2.LINE_AA)
        left += 130
    rest = np.full((picture.shape[0], band.shape[1] - picture.shape[1], 3), WHITE, np.uint8)
    return np.vstack([band, np.hstack([picture, rest])])
