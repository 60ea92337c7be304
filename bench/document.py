"""docs/performance.md, written from the results."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

from bench.goals import judge_goals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from bench.goals import Verdict
    from bench.rounds import Figures

LINE_LENGTH = 110
STAGES = ("decode", "fit", "normalise", "to tensor", "inference", "regions", "serialise", "total")
INTRODUCTION = """\
Absolute times belong to that machine; ratios carry over. What is compared runs in processes of its own, one
after the other within a round, and rests while the other is measured; every other round runs backwards. A
ratio is taken within its round. Told are medians of the rounds with quartiles in brackets; pages are drawn
1600x1200 JPEGs of about 400 kB. `make bench` measures all of it anew, `bench/results.json` has every figure.
"""
GOALS = """\
A ratio counts by the end of its 95 % interval that is nearer to missing the goal (sign test over the rounds),
so that luck does not decide.
"""
SERVING = """\
`bare` is a loop over plain `session.run` of the same model file at the same input shape: one caller per CPU
of a one-thread session, which gives the most images per second. `pipeline` is the detector without HTTP, from
the bytes of a page to the bytes of its answer. Callers post on kept connections and ask again once answered;
alone, the yardstick is a bare session with all threads, and the ratio leaves out decoding.
"""
ARRIVALS = """\
Requests are due at a fixed rate, a part of the capacity found just before, and times count from the moment
one was due, so that waiting cannot hide (coordinated omission). The server admits {admitted} images at a time
here instead of 64, so that it is soon full; what comes on top is refused with 429 at once.
"""
STAGES_TEXT = """\
Milliseconds of CPU time on one thread, stage by stage. Behind the stroke is the obvious way to do the same:
`cv2.imdecode` of every pixel, one `cv2.resize`, NumPy in float32, `json.dumps`.
"""
REGIONS = """\
CPU time from an 800x800 probability map to regions in reading order, one thread, drawn maps.
"""
RESNET = """\
The architecture of ModelScope's cv_resnet18_ocr-detection (12.18 million parameters) with random weights:
speed without accuracy. A JPEG page is decoded, letterboxed into the square input and searched for regions.
"""
ENGINES = """\
The server with OpenVINO beside the server with ONNX Runtime, both on all CPUs. Agreement is the share of
regions that both find (one to one, IoU at least 0.7) over drawn pages.
"""
PEERS = """\
Other servers around a plain pipeline with the same model file at the same input shape, and RapidOCR in
process, detection alone. The ratio is theirs over ocrdet's in images per second, so less than 1 is slower.
"""
MEMORY = """\
Peak memory of a fresh server with 1600x1200 pages in flight; proportional memory counts what processes share
in parts. The second table is of {requests:.0f} mixed requests: eight sizes from 340x76 to 2480x3508 as JPEG,
PNG and WebP, four at a time.
"""
IDLE = """\
CPU time of a ready server that nobody asks, over {seconds:.0f} s after it has worked: {cpu_percent:.2g} % of
one CPU.
"""


def write_document(results: Mapping[str, Any]) -> str:
    """The document; what was not measured is left out of it."""
    lines = [
        "<!-- Written by bench/run.py; `make bench` measures and writes it anew. -->",
        "",
        "# Performance",
        "",
        _wrapped(f"Measured on {results['machine']}. {INTRODUCTION}"),
        "",
        "## Goals",
        "",
        _wrapped(GOALS),
        "",
        *_goals(judge_goals(results)),
    ]
    for name, section in SECTIONS.items():
        if results.get(name) is not None:
            lines += ["", *section(results[name])]
    return "\n".join(lines) + "\n"


def _goals(verdicts: Iterable[Verdict]) -> list[str]:
    words = {True: "met", False: "**not met**", None: "not measured"}
    rows = []
    for verdict in verdicts:
        limit = f"{'at least' if verdict.goal.at_least else 'at most'} {verdict.goal.limit:g}"
        bound = "" if verdict.bound is None else _number(verdict.bound)
        measured = "" if verdict.measured is None else _number(verdict.measured)
        rows.append((verdict.goal.what, limit, measured, bound, words[verdict.met]))
    return _table(("what", "goal", "measured", "bound", ""), rows)


def _serving(serving: Mapping[str, Figures]) -> Iterator[str]:
    yield from ("## Against a bare session", "", _wrapped(SERVING), "")
    rows = [
        (
            f"server, {callers}",
            *(_told(serving[f"{name}_{figure}"]) for figure in ("per_second", "p50_ms", "p99_ms")),
            _told(serving[f"{name}_cpu_ms_per_image"]),
        )
        for name, callers in (("alone", "alone"), ("busy", "8 callers"), ("full", "32 callers"))
    ]
    rows += [
        ("pipeline", _told(serving["pipeline_per_second"]), "", "", ""),
        ("bare, one thread each", _told(serving["bare_per_second"]), "", "", ""),
        ("bare, all threads", "", _told(serving["bare_wide_p50_ms"]), "", ""),
    ]
    yield from _table(("", "images/s", "p50 ms", "p99 ms", "CPU ms per image"), rows)
    ratios = {
        "server over pipeline, 8 callers": "busy_over_pipeline",
        "server over bare, 8 callers": "busy_over_bare",
        "server over bare, 32 callers": "full_over_bare",
        "pipeline over bare": "pipeline_over_bare",
        "p50 alone without decoding, over bare with all threads": "alone_over_bare",
        "p99 at 32 callers over 32 / (images/s)": "full_p99_over_fair",
    }
    yield ""
    yield from _table(
        ("ratio", "", "95 % interval"),
        ((what, f"**{_told(serving[key])}**", _interval(serving[key])) for what, key in ratios.items()),
    )
    yield ""
    yield _wrapped(
        f"Beside its stages a lone page of {serving['dense_regions']['median']:.0f} regions takes "
        f"{_told(serving['dense_beside_stages_ms'])} ms: HTTP, hand-overs and JSON on both ends. "
        f"The load itself takes {_number(serving['full_load_cpu_percent']['median'])} % of one CPU "
        "at 32 callers, which the server lacks."
    )


def _arrivals(arrivals: Mapping[str, Any]) -> Iterator[str]:
    yield from ("## Requests at a fixed rate", "", _wrapped(ARRIVALS, arrivals), "")
    yield from _table(
        ("of capacity", "offered/s", "answered/s", "requests", "refused", "p50 ms", "p99 ms"),
        (
            (
                f"{row['share']:.0%}",
                *(_number(row[key]) for key in ("offered_per_second", "answered_per_second")),
                *(f"{row[key]}" for key in ("due", "refused")),
                *("" if row[key] is None else _number(row[key]) for key in ("p50_ms", "p99_ms")),
            )
            for row in arrivals["rates"]
        ),
    )


def _stages(stages: Mapping[str, Any]) -> Iterator[str]:
    yield from ("## Stages", "", _wrapped(STAGES_TEXT), "")

    def cell(image: Mapping[str, Any], stage: str) -> str:
        plain = f" / {_number(image['plain'][stage]['median'])}" if stage in image["plain"] else ""
        return _number(image["ours"][stage]["median"]) + plain

    yield from _table(
        ("stage", *stages), ((stage, *(cell(image, stage) for image in stages.values())) for stage in STAGES)
    )


def _regions(regions: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    yield from ("## Post-processing", "", _wrapped(REGIONS), "")
    yield from _table(
        ("map", "regions", "ms"),
        (
            (name, f"{each['regions']}", "{} ({}-{})".format(each["ms"], *each["quartiles"]))
            for name, each in regions.items()
        ),
    )


def _resnet18(sides: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    yield from ("## ResNet-18", "", _wrapped(RESNET), "")
    keys = ("bare_per_second", "busy_per_second", "busy_over_bare")
    keys_alone = ("bare_wide_p50_ms", "alone_p50_ms", "alone_over_bare")
    yield from _table(
        ("input", "GMAC", "bare/s", "server/s, 8 callers", "ratio"),
        (
            (f"{side}x{side}", f"{each['gmacs']}", *(_told(each[key]) for key in keys))
            for side, each in sides.items()
        ),
    )
    yield ""
    yield from _table(
        ("input", "bare with all threads, ms", "server alone, p50 ms", "ratio without decoding"),
        ((f"{side}x{side}", *(_told(each[key]) for key in keys_alone)) for side, each in sides.items()),
    )


def _engines(engines: Mapping[str, Mapping[str, Any] | None]) -> Iterator[str]:
    yield from ("## Engines", "", _wrapped(ENGINES), "")
    yield from _table(
        ("", "images/s", "ONNX Runtime's", "ratio", "p50 alone, ms", "agreement", "RSS, MB"),
        (
            (
                name,
                *(_told(each[key]) for key in ("other_per_second", "ort_per_second", "over_ort")),
                _told(each["other_alone_p50_ms"]),
                f"{each['agreement']}",
                f"{each['other_mb']:.0f} ({each['ort_mb']:.0f})",
            )
            for name, each in engines.items()
            if each is not None
        ),
    )


def _peers(peers: Mapping[str, Mapping[str, Any] | None]) -> Iterator[str]:
    yield from ("## Peers", "", _wrapped(PEERS), "")

    def cell(peer: Mapping[str, Any], key: str) -> str:
        return _told(peer[key]) if key in peer else ""

    keys = ("peer_busy_per_second", "busy_ratio", "full_ratio", "peer_rss_mib", "peer_pss_mib")
    yield from _table(
        ("", "images/s, 8 callers", "ratio", "ratio, 32 callers", "RSS, MiB", "PSS, MiB"),
        (
            (name, *(cell(peer, key) for key in keys)) if peer else (name, "not installed", *[""] * 4)
            for name, peer in peers.items()
        ),
    )


def _memory(memory: Mapping[str, float]) -> Iterator[str]:
    yield from ("## Memory", "", _wrapped(MEMORY, memory), "")
    yield from _table(
        ("in flight", "resident MB", "proportional MB"),
        (
            (f"{count}", *(f"{memory[f'{kind}_{count}_mb']:.0f}" for kind in ("resident", "proportional")))
            for count in (2, 32)
        ),
    )
    yield ""
    keys = ("start_mib", "quarter_mib", "end_mib", "peak_mib")
    yield from _table(
        ("ready", "after a quarter", "at the end", "peak", "growth after the first quarter"),
        [(*(f"{memory[key]:.0f} MiB" for key in keys), f"**{memory['growth_percent']:.1f} %**")],
    )


def _idle(idle: Mapping[str, float]) -> Iterator[str]:
    yield from ("## Idle", "", _wrapped(IDLE, idle))


SECTIONS: dict[str, Callable[[Any], Iterator[str]]] = {
    "serving": _serving,
    "peers": _peers,
    "engines": _engines,
    "resnet18": _resnet18,
    "arrivals": _arrivals,
    "stages": _stages,
    "regions": _regions,
    "memory": _memory,
    "idle": _idle,
}


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    names = list(head)
    return [f"| {' | '.join(cells)} |" for cells in (names, ["---"] * len(names), *map(list, rows))]


def _wrapped(text: str, values: Mapping[str, Any] | None = None) -> str:
    filled = text if values is None else text.format_map(values)
    return textwrap.fill(" ".join(filled.split()), LINE_LENGTH)


def _told(figure: Figures) -> str:
    return f"{_number(figure['median'])} ({_number(figure['q1'])}-{_number(figure['q3'])})"


def _interval(figure: Figures) -> str:
    return f"{_number(figure['low'])} to {_number(figure['high'])}"


def _number(value: float) -> str:
    """Three digits, never an exponent."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
