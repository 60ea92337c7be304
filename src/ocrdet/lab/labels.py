"""One file of ground truth: JSON, or the text lines of the ICDAR competitions."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, Field, FiniteFloat, ValidationError

from ocrdet.errors import InvalidParameter
from ocrdet.lab.shapes import make_shape

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ocrdet.lab.shapes import Points, Shape

SUFFIXES = (".json", ".txt")
IGNORED_TEXT = "###"

_BOM = b"\xef\xbb\xbf"
_NUMBER = r"\s*([+-]?[0-9]+(?:\.[0-9]+)?)\s*"
_COMMA = r"[,\uff0c]"  # also the full-width one
_GAP = rf"(?:{_COMMA}|\s)"
# ICDAR 2013: left, top, right, bottom and the text in quotes.
_RECTANGLE = re.compile(_GAP.join([_NUMBER] * 4) + _GAP + r'\s*"(.*)"\s*')
_QUAD_NUMBERS = 8
# A text may itself be a number, or two with a comma between; an outline has six points or more.
_OUTLINE_NUMBERS = 12


@dataclass(frozen=True, slots=True)
class LabelledRegion:
    """Text that a person has marked.

    Attributes:
        points: (N, 2) outline, stored pixels.
        shape: The same as a geometry.
        text: What it says; empty where nobody wrote it down.
        ignored: It counts neither as found nor as missed.
    """

    points: Points
    shape: Shape
    text: str
    ignored: bool


@dataclass(frozen=True, slots=True)
class Labels:
    """Everything that a file of ground truth says of one image.

    Attributes:
        regions: Regions with an area.
        size: Width and height of the image, stored pixels, where the file states them.
        left_out: Where regions without an area were: `file:line`, or the file and the number of the region.
    """

    regions: tuple[LabelledRegion, ...]
    size: tuple[int, int] | None
    left_out: tuple[str, ...]


class _JsonRegion(BaseModel):
    polygon: list[tuple[FiniteFloat, FiniteFloat]] = Field(min_length=3)
    text: str | None = None
    ignore: bool = False


class _JsonFile(BaseModel):
    image: str | None = None
    width: int | None = Field(None, ge=1)
    height: int | None = Field(None, ge=1)
    regions: list[_JsonRegion]


def read_labels(path: Path, image_name: str) -> Labels:
    """The ground truth of one image.

    Args:
        path: A `.json` file of `{"image", "width", "height", "regions": [{"polygon", "text", "ignore"}]}`, or
            a `.txt` file of lines `x1,y1,x2,y2,x3,y3,x4,y4,text`.
        image_name: The image it must be for, if it names one.

    Raises:
        InvalidParameter: The file cannot be read or says something else; the sentence names file and line.
    """
    try:
        data = path.read_bytes().removeprefix(_BOM)
    except OSError as error:
        raise InvalidParameter(f"{path} cannot be read: {error.strerror}.") from error
    if path.suffix.lower() == ".json":
        return _read_json(path, data, image_name)
    return _collect(_icdar_regions(path, data), None)


def _read_json(path: Path, data: bytes, image_name: str) -> Labels:
    try:
        file = _JsonFile.model_validate_json(data)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        where = ".".join(map(str, fault["loc"]))
        raise InvalidParameter(f"{path}: {where + ': ' if where else ''}{fault['msg']}.") from error
    # Some tools write the path that the image had on their machine.
    named = re.split(r"[/\\]", file.image or image_name)[-1]
    if named != image_name:
        raise InvalidParameter(
            f"{path} is the ground truth of {named}, but lies where {image_name}'s must be."
        )
    size = (file.width, file.height) if file.width and file.height else None
    regions = (
        (f"{path}: region {number}", np.array(region.polygon), region.text or "", region.ignore)
        for number, region in enumerate(file.regions)
    )
    return _collect(regions, size)


def _collect(regions: Iterator[tuple[str, Points, str, bool]], size: tuple[int, int] | None) -> Labels:
    kept, left_out = [], []
    for where, points, text, ignored in regions:
        shape = make_shape(points)
        if shape.area > 0:
            kept.append(LabelledRegion(points, shape, text, ignored))
        else:
            left_out.append(where)
    return Labels(tuple(kept), size, tuple(left_out))


def _icdar_regions(path: Path, data: bytes) -> Iterator[tuple[str, Points, str, bool]]:
    for number, raw in enumerate(data.split(b"\n"), 1):
        where = f"{path}:{number}"
        try:
            line = raw.decode().strip()
        except UnicodeDecodeError as error:
            raise InvalidParameter(f"{where}: this is no UTF-8; save the file as UTF-8.") from error
        if line:
            points, text = _read_line(line, where)
            yield where, points, text, text == IGNORED_TEXT


def _read_line(line: str, where: str) -> tuple[Points, str]:
    """The outline and the text of one line.

    Raises:
        InvalidParameter: It has neither four corners nor two.
    """
    if rectangle := _RECTANGLE.fullmatch(line):
        left, top, right, bottom = map(float, rectangle.groups()[:4])
        return np.array([[left, top], [right, top], [right, bottom], [left, bottom]]), rectangle[5]
    fields = re.split(_COMMA, line)
    leading = next((i for i, field in enumerate(fields) if not re.fullmatch(_NUMBER, field)), len(fields))
    if leading < _QUAD_NUMBERS:
        raise InvalidParameter(
            f"{where}: expected x1,y1,x2,y2,x3,y3,x4,y4,text (or more points), and only the first {leading} "
            f"fields of {line[:60]!r} are numbers."
        )
    numbers = _QUAD_NUMBERS if leading < _OUTLINE_NUMBERS else leading - leading % 2
    points = np.array(fields[:numbers], np.float64).reshape(-1, 2)
    return points, "".join(re.split(_COMMA, line, maxsplit=numbers)[numbers:]).strip()
