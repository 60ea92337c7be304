"""A load as lines for people and as JSON for programs."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from ocrdet.lab.measurement import OK, PERCENTILES, TIMEOUT, percentile

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ocrdet.lab.load import Load
    from ocrdet.lab.slo import Verdict

# Above this the generator's own lateness shows in the figures.
LAG_LIMIT_MS = 10.0
CLOSED_LOOP = (
    "A closed loop sends the next image only when one was answered: while the server stalls, nothing is\n"
    "sent, and that waiting is in no figure below (coordinated omission). Use --rate for what callers feel.\n"
)
DIGITS = 3
DETAIL_LENGTH = 160


def report_dict(
    load: Load, configuration: Mapping[str, Any], verdicts: Sequence[Verdict], *, whole: bool
) -> dict[str, Any]:
    """Everything that was measured, as plain values.

    Args:
        load: One that has ended.
        configuration: How it was asked for.
        verdicts: The objectives held against it.
        whole: Whether it was neither interrupted nor abandoned.
    """
    measured = load.measurement
    stages, regions, sampled = measured.sample.medians()
    return {
        "configuration": dict(configuration),
        "whole": whole,
        "seconds": round(measured.seconds, DIGITS),
        "requests": {
            "due": measured.sent,
            "offered_per_second": _per_second(measured.sent, measured.seconds),
            "answered_per_second": round(measured.rate(), DIGITS),
            "statuses": dict(sorted(measured.statuses.items())),
            "unfinished": measured.sent - measured.ended,
            "first_problem": {status: _detail(body) for status, body in measured.first_body.items()},
        },
        "latency_ms": _times(measured.latencies_s),
        "refusal_ms": {status: _times(times) for status, times in measured.refusals_s.items() if times},
        "server_ms": {"sampled": sampled, **{stage: round(ms, DIGITS) for stage, ms in stages.items()}},
        "regions_per_image": regions,
        "generator": {
            "lag_ms": _times(measured.lags_s),
            "waited_for_a_connection": load.waited,
            "most_in_flight": load.most_in_flight,
            "cpu_seconds": round(load.cpu_s, DIGITS),
        },
        "slo": [dataclasses.asdict(verdict) for verdict in verdicts],
    }


def write_report(report: Mapping[str, Any]) -> str:
    """Lines for a person to read, made of what `report_dict` returns."""
    return "\n".join(_lines(report))


def _lines(report: Mapping[str, Any]) -> Iterator[str]:
    requests, server, generator = report["requests"], report["server_ms"], report["generator"]
    if report["configuration"]["concurrency"] is not None:
        yield CLOSED_LOOP
    ended = ", ".join(f"{status}: {count}" for status, count in requests["statuses"].items()) or "none ended"
    unfinished = f", unfinished: {requests['unfinished']}" if requests["unfinished"] else ""
    offered, answered = requests["offered_per_second"], requests["answered_per_second"]
    yield _row("requests", f"{requests['due']} in {report['seconds']:.4g} s; {ended}{unfinished}")
    yield _row("rate", f"{offered:.4g}/s offered, {answered:.4g}/s answered")
    yield ""
    yield from _table(
        {"latency ms": report["latency_ms"]}
        | {f"{status} ms": times for status, times in report["refusal_ms"].items()}
        | {"sent late ms": generator["lag_ms"]}
    )
    yield ""
    if server["sampled"]:
        stages = ", ".join(f"{stage} {_ms(ms)}" for stage, ms in server.items() if stage != "sampled")
        yield _row("server ms", stages)
        regions = report["regions_per_image"]
        yield _row("", f"medians of {server['sampled']} answers; regions in an image: {regions:g}")
    yield _row(
        "generator",
        f"{generator['most_in_flight']} in flight at most, {generator['cpu_seconds']:.2f} s of CPU",
    )
    for status, detail in requests["first_problem"].items():
        if detail:
            yield _row(status, detail)
    yield from (f"warning: {warning}" for warning in _warnings(report))
    if report["slo"]:
        yield ""
    width = max((len(verdict["objective"]) for verdict in report["slo"]), default=0)
    for verdict in report["slo"]:
        word = "PASS" if verdict["passed"] else "FAIL"
        yield f"{word}  {verdict['objective']:<{width}}  {verdict['told']}"


def _table(times_of: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    heads = ("n", *PERCENTILES, "max")
    yield _row("", "".join(f"{head:>8}" for head in heads))
    for name, times in times_of.items():
        figures = (str(times["n"]), *(_ms(times.get(head)) for head in heads[1:]))
        yield _row(name, "".join(f"{figure:>8}" for figure in figures))


def _warnings(report: Mapping[str, Any]) -> Iterator[str]:
    """What a reader must know before believing the figures."""
    generator, statuses = report["generator"], Counter[str](report["requests"]["statuses"])
    # The highest percentile that can be told, up to p99: one late moment is no bottleneck.
    lags_ms = [
        lag_ms for name in PERCENTILES if name != "p99.9" and (lag_ms := generator["lag_ms"].get(name))
    ]
    if lags_ms and lags_ms[-1] > LAG_LIMIT_MS:
        yield (
            f"the generator was the bottleneck: it sent {_ms(lags_ms[-1])} ms late, which is part of the\n"
            "  latencies; lower --rate, or run it on another machine than the server."
        )
    if waited := generator["waited_for_a_connection"]:
        yield (
            f"{waited} requests waited while every connection was busy, which is part of the latencies:\n"
            "  the server is too slow for this rate, or --connections is too low."
        )
    if count := statuses[TIMEOUT]:
        yield f"{count} timeouts are among the latencies, with the time that they waited."
    if others := statuses.total() - statuses[OK] - statuses[TIMEOUT]:
        yield f"{others} requests were not answered with 200 and are not among the latencies."
    if not report["whole"]:
        yield "interrupted; these are the figures until then."


def _times(ascending_s: Sequence[float]) -> dict[str, Any]:
    """How many there are, their percentiles as far as they can be told, and the longest, in milliseconds."""
    if not ascending_s:
        return {"n": 0}
    told = {name: percentile(ascending_s, name) for name in PERCENTILES} | {"max": ascending_s[-1]}
    ms = {name: None if seconds is None else round(seconds * 1e3, DIGITS) for name, seconds in told.items()}
    return {"n": len(ascending_s), **ms}


def _ms(ms: float | None) -> str:
    """To the millisecond where it is long, else to three digits."""
    if ms is None:
        return "-"
    return f"{ms:.0f}" if ms >= 100 else f"{ms:.3g}"  # noqa: PLR2004 - where three digits end


def _per_second(count: int, seconds: float) -> float:
    return round(count / seconds, DIGITS) if seconds else 0.0


def _detail(body: bytes) -> str:
    """The reason in a problem, else the beginning of whatever was said, on one line."""
    try:
        text = str(json.loads(body)["detail"])
    except (ValueError, LookupError, TypeError):
        text = body.decode("utf-8", "replace")
    return " ".join(text.split())[:DETAIL_LENGTH]


def _row(head: str, text: str) -> str:
    return f"{head:<13}{text}".rstrip()
