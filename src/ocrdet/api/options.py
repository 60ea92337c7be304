"""A caller's options, from query strings, form fields and JSON keys: named, typed, checked, never guessed."""

from __future__ import annotations

import dataclasses
import difflib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from ocrdet.errors import InvalidParameter
from ocrdet.values import FITS, FRAMES, MAX_REGIONS_LIMIT, SCENES, DetectOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

Output = Literal["json", "image", "webui"]
OUTPUTS: tuple[str, ...] = get_args(Output)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
_INTEGER = re.compile(r"[+-]?\d{1,9}", re.ASCII)
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


@dataclass(frozen=True, slots=True)
class Option:
    """One option: how it is read and what the documents say of it.

    Attributes:
        name: The same in every way in.
        expects: The end of "NAME must be ...".
        read: Gives the value, or None where the text does not say one.
        schema: JSON Schema of the value.
        description: One line for the API documents.
    """

    name: str
    expects: str
    read: Callable[[object], object]
    schema: Mapping[str, object]
    description: str


@dataclass(frozen=True, slots=True)
class RequestOptions:
    """Everything a caller chose for one request."""

    detect: DetectOptions = DetectOptions()  # noqa: RUF009 - frozen
    output: Output = "json"


def _number(value: object) -> float | None:
    if isinstance(value, str):
        return float(value) if _NUMBER.fullmatch(value) else None
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _integer(value: object) -> int | None:
    if isinstance(value, str):
        return int(value) if _INTEGER.fullmatch(value) else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _boolean(value: object) -> bool | None:
    return _BOOLEANS.get(value) if isinstance(value, str) else value if isinstance(value, bool) else None


def _choice(choices: tuple[str, ...]) -> Callable[[object], str | None]:
    return lambda value: value if isinstance(value, str) and value in choices else None


def _choice_option(name: str, choices: tuple[str, ...], default: str | None, description: str) -> Option:
    schema = {"type": "string", "enum": list(choices)} | ({"default": default} if default else {})
    return Option(name, f"one of {', '.join(choices)}", _choice(choices), schema, description)


def _boolean_option(name: str, description: str) -> Option:
    return Option(name, "true or false", _boolean, {"type": "boolean", "default": False}, description)


def _ratio_option(name: str, default: float | None, description: str) -> Option:
    schema = {"type": "number", "minimum": 0, "maximum": 1} | ({"default": default} if default else {})
    return Option(name, "a number between 0 and 1", _number, schema, description)


_DEFAULTS = DetectOptions()
OPTIONS: dict[str, Option] = {
    option.name: option
    for option in (
        _choice_option("scene", SCENES, None, "Take the model's own score threshold for this kind of image."),
        _ratio_option("score_threshold", None, "Least score of a region; the model's own where left out."),
        _ratio_option(
            "iou_threshold",
            _DEFAULTS.iou_threshold,
            "A region is dropped when it overlaps a better one by more than this.",
        ),
        _choice_option("fit", FITS, _DEFAULTS.fit, "How the image meets the model's input."),
        Option(
            "max_regions",
            f"a whole number between 1 and {MAX_REGIONS_LIMIT}",
            _integer,
            {"type": "integer", "minimum": 1, "maximum": MAX_REGIONS_LIMIT, "default": _DEFAULTS.max_regions},
            "Most regions in the answer; the highest scores win.",
        ),
        _boolean_option("polygons", "Also give the outline of each region, for curved text."),
        _choice_option(
            "coordinates",
            FRAMES,
            _DEFAULTS.coordinates,
            "Frame of all points: as a person sees the image, or as the file stores its pixels.",
        ),
        _boolean_option("normalized", "Divide points by the width and height of the image."),
        _choice_option(
            "output",
            OUTPUTS,
            "json",
            "JSON, the image with its regions drawn, or the older cv_resnet18 JSON.",
        ),
    )
}


def collect_pairs(pairs: Iterable[tuple[str, object]]) -> dict[str, object]:
    """The raw options of one source, known by name and each given once.

    Raises:
        InvalidParameter: A name is unknown or comes twice.
    """
    given: dict[str, object] = {}
    for name, value in pairs:
        if name not in OPTIONS:
            raise InvalidParameter(_unknown_sentence(name), field=name[:64], allowed=list(OPTIONS))
        if name in given:
            raise InvalidParameter(f"{name} is given more than once; give it once.", field=name)
        given[name] = value
    return given


def read_options(*sources: Mapping[str, object]) -> RequestOptions:
    """The options of one request.

    Args:
        *sources: Raw options by name, as `collect_pairs` returns them; later sources win.

    Returns:
        Checked values; a JSON null means the default.

    Raises:
        InvalidParameter: A value is of the wrong kind or outside its range.
    """
    values: dict[str, object] = {}
    for name, raw in {name: raw for source in sources for name, raw in source.items()}.items():
        if raw is None:
            continue
        option = OPTIONS[name]
        value = option.read(raw)
        if value is None:
            raise InvalidParameter(
                f"{name} must be {option.expects}; {str(raw)[:40]!r} is not.",
                field=name,
                **_range_facts(option),
            )
        values[name] = value
    output = values.pop("output", "json")
    return RequestOptions(dataclasses.replace(_DEFAULTS, **values), output)  # type: ignore[arg-type]


def _range_facts(option: Option) -> dict[str, float | list[str]]:
    names = {"minimum": "minimum", "maximum": "maximum", "enum": "allowed"}
    return {fact: option.schema[name] for name, fact in names.items() if name in option.schema}  # type: ignore[misc]


def _unknown_sentence(name: str) -> str:
    close = difflib.get_close_matches(name[:64], OPTIONS, n=1)
    hint = f"did you mean {close[0]}?" if close else f"the options are {', '.join(OPTIONS)}."
    return f"{name[:64]!r} is no option; {hint}"
