"""Service level objectives, as `p99 < 500 ms`: read from text and held against a measurement."""

from __future__ import annotations

import operator
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ocrdet.errors import InvalidParameter
from ocrdet.lab.measurement import PERCENTILES, needed_samples, percentile

if TYPE_CHECKING:
    from ocrdet.lab.measurement import Measurement

_NAMES = (*PERCENTILES, "max", "errors", "rate")
EXPECTED = f"one of {', '.join(_NAMES)} with its bound, like p99<500ms, errors<1% or rate>20"
_TEXT = re.compile(
    rf"({'|'.join(map(re.escape, _NAMES))}) *([<>]=?) *([0-9]+(?:\.[0-9]+)?) *(ms|s|%|/s|)", re.ASCII
)
_COMPARE = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
# The side of a bound that is good, and the units it may have: of times (None), and of the two others.
_SIDES = {None: ("<", {"ms", "s"}), "errors": ("<", {"%"}), "rate": (">", {"", "/s"})}
_UNITS = {None: "ms", "errors": "%", "rate": "/s"}
_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Verdict:
    """One objective held against a measurement.

    Attributes:
        objective: As text.
        passed: Whether it was met.
        measured: The figure in the unit of the objective; None where it cannot be told, which is no pass.
        told: The same for people, with the reason where it cannot be told.
    """

    objective: str
    passed: bool
    measured: float | None
    told: str


@dataclass(frozen=True, slots=True)
class Objective:
    """What a service is to keep.

    Attributes:
        name: A percentile, `max`, `errors` or `rate`.
        compare: <, <=, > or >=.
        bound: Milliseconds, percent, or answers a second.
    """

    name: str
    compare: str
    bound: float

    @classmethod
    def read(cls, text: str) -> Objective:
        """The objective that a text states.

        Raises:
            InvalidParameter: It states none.
        """
        found = _TEXT.fullmatch(text.strip())
        if found is not None:
            name, compare, number, unit = found.groups()
            side, units = _SIDES[_kind(name)]
            if compare.startswith(side) and unit in units:
                return cls(name, compare, float(number) * (1000 if unit == "s" else 1))
        raise InvalidParameter(
            f"--slo must be {EXPECTED}; {text!r} is not. In a shell it needs quotes.", allowed=list(_NAMES)
        )

    def judge(self, measured: Measurement) -> Verdict:
        """Hold it against what was measured; what cannot be told has failed."""
        unit = _UNITS[_kind(self.name)]
        text = f"{self.name} {self.compare} {self.bound:g}{unit if unit == '/s' else ' ' + unit}"
        figure = self._figure(measured)
        if figure is None:
            return Verdict(text, False, None, self._missing(measured))
        told = f"{figure:.{_DIGITS}g}{unit if unit == '/s' else ' ' + unit}"
        return Verdict(text, _COMPARE[self.compare](figure, self.bound), figure, told)

    def _figure(self, measured: Measurement) -> float | None:
        if self.name == "rate":
            return measured.rate() if measured.seconds else None
        if self.name == "errors":
            return 100 * measured.failed / measured.ended if measured.ended else None
        latencies_s = measured.latencies_s
        if self.name == "max":
            return latencies_s[-1] * 1e3 if latencies_s else None
        latency_s = percentile(latencies_s, self.name)
        return None if latency_s is None else latency_s * 1e3

    def _missing(self, measured: Measurement) -> str:
        if self.name not in PERCENTILES:
            return "nothing was measured"
        samples = len(measured.latencies_s)
        return f"cannot be told: it takes {needed_samples(self.name)} answers, there are {samples}"


def _kind(name: str) -> str | None:
    return name if name in {"errors", "rate"} else None
