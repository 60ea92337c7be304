"""A caller's options, from query strings, form fields and JSON keys: named, typed, checked, never guessed."""

from __future__ import annotations

import dataclasses
import difflib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from ocrdet.errors import InvalidParameter
from ocrdet.options import FITS, FRAMES, MAX_REGIONS_LIMIT, SCENES, DetectOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

Output = Literal["json", "image", "webui"]
OUTPUTS: tuple[str, ...] = get_args(Output)


# By type: what a text may look like, what it is worth, and what JSON may hold instead.
_KINDS: dict[str, tuple[str, Callable[[Any], Any], tuple[type, ...]]] = {
    "number": (r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?", float, (int, float)),
    "integer": (r"[+-]?[0-9]{1,9}", int, (int,)),
    "boolean": ("true|false|1|0", lambda value: value in {"true", "1", True}, (bool,)),
    "string": (r"\w*", str, ()),
}


@dataclass(frozen=True, slots=True)
class Option:
    """One option.

    Attributes:
        name: The same in every way in.
        schema: JSON Schema of the value: its type, its range, its default.
        description: One line for the API documents.
    """

    name: str
    schema: Mapping[str, object]
    description: str

    @property
    def expects(self) -> str:
        """The end of "NAME must be ..."."""
        low, high = self.schema.get("minimum"), self.schema.get("maximum")
        return {
            "number": f"a number between {low} and {high}",
            "integer": f"a whole number between {low} and {high}",
            "boolean": "true or false",
            "string": f"one of {', '.join(self.facts.get('allowed', []))}"
            if "enum" in self.schema
            else f"like {self.schema.get('example')}",
        }[str(self.schema["type"])]

    @property
    def facts(self) -> dict[str, Any]:
        """Its range, as the facts of an error."""
        names = {"minimum": "minimum", "maximum": "maximum", "enum": "allowed"}
        return {fact: self.schema[name] for name, fact in names.items() if name in self.schema}

    def read(self, raw: object) -> object:
        """The value of a text or of a JSON value.

        Raises:
            InvalidParameter: It is of the wrong kind or outside its range.
        """
        pattern, make, types = _KINDS[str(self.schema["type"])]
        pattern = str(self.schema.get("pattern", pattern))
        said = re.fullmatch(pattern, raw) is not None if isinstance(raw, str) else type(raw) in types
        # A whole number of JSON may be too large for a float: its range comes first.
        if said and (isinstance(raw, str) or self._allows(raw)) and self._allows(value := make(raw)):
            return value
        given = repr(str(raw)[:40]) if isinstance(raw, str | int | float) else "a list or an object"
        raise InvalidParameter(
            f"{self.name} must be {self.expects}; {given} is not.", field=self.name, **self.facts
        )

    def _allows(self, value: Any) -> bool:  # noqa: ANN401 - of the option's own type
        facts = self.facts
        return value in facts.get("allowed", [value]) and (
            "minimum" not in facts or facts["minimum"] <= value <= facts["maximum"]
        )


@dataclass(frozen=True, slots=True)
class RequestOptions:
    """Everything a caller chose for one request."""

    detect: DetectOptions = DetectOptions()  # noqa: RUF009 - frozen
    output: Output = "json"


def _choice(name: str, choices: tuple[str, ...], default: str | None, description: str) -> Option:
    schema = {"type": "string", "enum": list(choices)} | ({"default": default} if default else {})
    return Option(name, schema, description)


_DEFAULTS = DetectOptions()
_RATIO = {"type": "number", "minimum": 0, "maximum": 1}
_FLAG = {"type": "boolean", "default": False}
_COUNT = {"type": "integer", "minimum": 1, "maximum": MAX_REGIONS_LIMIT, "default": _DEFAULTS.max_regions}
OPTIONS: dict[str, Option] = {
    option.name: option
    for option in (
        _choice("scene", SCENES, None, "Take the model's own score threshold for this kind of image."),
        Option("score_threshold", _RATIO, "Least score of a region; the model's own where left out."),
        Option(
            "iou_threshold",
            _RATIO | {"default": _DEFAULTS.iou_threshold},
            "A region is dropped when it overlaps a better one by more than this.",
        ),
        _choice("fit", FITS, _DEFAULTS.fit, "How the image meets the model's input."),
        Option("max_regions", _COUNT, "Most regions in the answer; the highest scores win."),
        Option("polygons", _FLAG, "Also give the outline of each region, for curved text."),
        _choice(
            "coordinates",
            FRAMES,
            _DEFAULTS.coordinates,
            "Frame of all points: as a person sees the image, or as the file stores its pixels.",
        ),
        Option("normalized", _FLAG, "Divide points by the width and height of the image."),
        Option("allow_truncated", _FLAG, "Of a file that ends early read the part that is there."),
        _choice(
            "output",
            OUTPUTS,
            "json",
            "JSON, the image with its regions drawn, or the older cv_resnet18 JSON.",
        ),
    )
}


def collect_pairs(
    pairs: Iterable[tuple[str, object]], known: Mapping[str, Option] = OPTIONS
) -> dict[str, object]:
    """The raw options of one source, known by name and each given once.

    Args:
        pairs: Names and values as they came.
        known: The options that there are.

    Raises:
        InvalidParameter: A name is unknown or comes twice.
    """
    given: dict[str, object] = {}
    for name, value in pairs:
        if name not in known:
            close = difflib.get_close_matches(name[:64], known, n=1)
            hint = f"did you mean {close[0]}?" if close else f"the options are {', '.join(known)}."
            raise InvalidParameter(
                f"{name[:64]!r} is no option; {hint}", field=name[:64], allowed=list(known)
            )
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
    given = {name: raw for source in sources for name, raw in source.items()}
    values = {name: OPTIONS[name].read(raw) for name, raw in given.items() if raw is not None}
    output = values.pop("output", "json")
    return RequestOptions(dataclasses.replace(_DEFAULTS, **values), output)  # type: ignore[arg-type]
