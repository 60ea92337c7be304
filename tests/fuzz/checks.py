"""What must hold of every answer, whatever the bytes and whatever the map."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from ocrdet.api.answers import detection_json, webui_json

if TYPE_CHECKING:
    from ocrdet.errors import OcrdetError
    from ocrdet.options import DetectOptions
    from ocrdet.values import Detection

# Points in an answer are rounded to this.
PIXEL, SHARE = 0.01, 1e-6


class Broken(AssertionError):
    """A promise that an answer does not keep."""


def check_detection(detection: Detection, options: DetectOptions) -> None:
    """Serialise an answer in both shapes, and look at everything in it.

    Raises:
        Broken: It is no JSON, or a value is outside its range.
    """
    told = read_strict(detection_json(detection, options, "fuzz"))
    older = read_strict(webui_json(detection, "fuzz"))
    _require(len(older["boxes"]) == len(told["regions"]), "the two shapes of the answer differ")
    check_answer(told)
    _require(len(told["regions"]) <= options.max_regions, "more regions than asked for")
    if options.score_threshold is not None:
        lowest = min((region["score"] for region in told["regions"]), default=1.0)
        _require(lowest >= round(options.score_threshold, 4) - 1e-4, f"a score of {lowest} is too low")


def read_strict(content: bytes) -> Any:  # noqa: ANN401 - whatever JSON holds
    """The value of a JSON text as the standard has it: neither NaN nor infinity.

    Raises:
        Broken: It is no such text.
    """

    def refuse(word: str) -> float:
        raise Broken(f"{word} is no JSON")

    try:
        return json.loads(content, parse_constant=refuse)
    except ValueError as error:
        raise Broken("the answer is no JSON") from error


def check_answer(told: dict[str, Any]) -> None:
    """Look at one documented answer.

    Raises:
        Broken: A value is outside its range, or nothing says why there are no regions.
    """
    image, regions = told["image"], told["regions"]
    normalized = image["normalized"]
    corner = (1.0, 1.0) if normalized else (image["width"], image["height"])
    slack = SHARE if normalized else PIXEL
    for region in regions:
        _inside(region["quad"], corner, slack)
        _require(len(region["quad"]) == 4, "a quad has four corners")
        if "polygon" in region:
            _inside(region["polygon"], corner, slack)
            _require(len(region["polygon"]) >= 3, "a polygon has three corners or more")
        low, high = np.min(region["quad"], axis=0), np.max(region["quad"], axis=0)
        _require(np.allclose(region["box"], [*low, *high], rtol=0, atol=slack), "the box is not the quad's")
        _require(0 <= region["score"] <= 1, f"a score of {region['score']}")
        most = 90 if image["coordinates"] == "displayed" else 180
        _require(-most < region["angle"] <= most, f"an angle of {region['angle']} in {image['coordinates']}")
    lines = [region["line"] for region in regions]
    _require(all(0 <= after - before <= 1 for before, after in pairwise([0, *lines])), f"lines {lines[:9]}")
    _require(bool(regions) or bool(told["warnings"]), "no regions and no word of why")
    _require(all(ms >= 0 for ms in told["timings_ms"].values()), "a negative time")


def check_error(error: OcrdetError) -> None:
    """An error made of another that is a mistake in our own code, and not a decoder's complaint.

    Raises:
        Broken: It is.
    """
    cause = error.__cause__
    if not isinstance(cause, AssertionError | AttributeError | NameError | TypeError):
        return
    trace = cause.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is not None and "ocrdet" in trace.tb_frame.f_code.co_filename:
        raise Broken(f"a mistake in our own code was taken for a damaged file: {cause!r}") from cause


def _inside(points: list[list[float]], corner: tuple[float, float], slack: float) -> None:
    array = np.array(points, np.float64)
    _require(array.ndim == 2 and array.shape[1] == 2, "points are pairs")
    _require(bool(np.isfinite(array).all()), "a point is not finite")
    if array.min() < -slack or (array > np.array(corner) + slack).any():
        raise Broken(f"a point outside the image of {corner}: {array.min(0)} to {array.max(0)}")


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise Broken(otherwise)
