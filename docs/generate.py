"""Writes the documents that the code already knows: docs/settings.md, docs/metrics.md, docs/cli.md.

The README's table of settings is written too, between its markers. With --check nothing is written, and what
is stale is named.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args, get_origin

from ocrdet.api.problems import SLUGS
from ocrdet.api.routes import ROUTES
from ocrdet.cli import build_parser
from ocrdet.settings import MIB, Settings, variable_name
from ocrdet.telemetry.metrics import CANCEL_STAGES, STAGES, STATUSES, Metrics

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from prometheus_client import Metric
    from pydantic.fields import FieldInfo

ROOT = Path(__file__).resolve().parent.parent
NOTICE = "<!-- Written by docs/generate.py from the code; `make docs` writes it anew. -->\n"
NOTHING = "none"
BEGIN, END = "<!-- settings:begin -->", "<!-- settings:end -->"

SETTINGS_PAGE = """# Settings

Everything is set by environment variables, validated together before anything starts: a value outside
its limits, or an `OCRDET_` variable that does not exist, ends the start with one sentence (exit status 2).
An empty variable counts as not set. `ocrdet doctor` checks a configuration without serving.

"""
METRICS_PAGE = """# Metrics

`GET /metrics` answers in Prometheus's text format. Labels are bounded sets that exist from the start, so
rates begin at zero; whatever is outside a set counts as `other`. Histograms also have `_bucket`, `_sum`
and `_count`. The standard `process_*` and `python_*` metrics of the Python client are there too.

"""
CLI_PAGE = """# Command line

After `make install` the command is `.venv/bin/ocrdet`.

Exit status of every command: 0 done, 1 failed in part or in whole, 2 wrong usage or configuration, 130
interrupted, 141 the reader of its output has gone.
"""


def main() -> int:
    """Returns 1 where --check finds a stale document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, name what is stale")
    check = parser.parse_args().check
    stale = []
    for path, text in documents():
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(path.relative_to(ROOT))
        if not check:
            path.write_text(text, encoding="utf-8")
    for path in stale:
        print(f"{path} is stale; type: make docs" if check else f"wrote {path}")
    return 1 if check and stale else 0


def documents() -> Iterator[tuple[Path, str]]:
    """Yields every generated file with what it has to hold."""
    docs = ROOT / "docs"
    yield docs / "settings.md", NOTICE + "\n" + SETTINGS_PAGE + settings_table()
    yield docs / "metrics.md", NOTICE + "\n" + METRICS_PAGE + metrics_table()
    yield docs / "cli.md", NOTICE + "\n" + CLI_PAGE + "".join(command_sections(build_parser()))
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8") if readme.is_file() else ""
    if BEGIN in text and END in text:
        head, rest = text.split(BEGIN, 1)
        yield readme, f"{head}{BEGIN}\n{settings_table()}{END}{rest.split(END, 1)[1]}"


def settings_table() -> str:
    """Returns every variable with its default, its limits and its meaning."""
    rows = [
        (f"`{variable_name(name)}`", _default(field), _limits(field), field.description or "")
        for name, field in Settings.model_fields.items()
    ]
    return table(("Variable", "Default", "Value", "Meaning"), rows)


def metrics_table() -> str:
    """Returns every metric of ocrdet with its type, its labels and its meaning."""
    metrics = Metrics(routes=[route.path for route in ROUTES], reasons=SLUGS)
    # Two gauges have label values only in a running process.
    metrics.set_model(name="", version="", sha256="", provider="")
    metrics.watch(memory_bytes={"resident": lambda: 0})
    known = {
        "route": [route.path for route in ROUTES],
        "status": list(map(str, STATUSES)),
        "reason": list(SLUGS),
    }
    stages = {"ocrdet_stage_duration_seconds": STAGES, "ocrdet_cancelled": CANCEL_STAGES}
    rows = []
    used: set[str] = set()
    for metric in sorted(metrics.registry.collect(), key=lambda each: each.name):
        if not metric.name.startswith("ocrdet_"):
            continue
        labels = _labels(metric)
        used.update(labels)
        shown = [
            f"`{label}`" + (f" ({', '.join(stages[metric.name])})" if label == "stage" else "")
            for label in labels
        ]
        name = metric.name + ("_total" if metric.type == "counter" else "")
        rows.append((f"`{name}`", metric.type, ", ".join(shown) or NOTHING, metric.documentation))
    values = [
        f"- `{label}`: {', '.join(f'`{value}`' for value in known[label])}"
        for label in known
        if label in used
    ]
    return (
        table(("Name", "Type", "Labels", "Meaning"), rows)
        + "\nValues of labels:\n\n"
        + "\n".join(values)
        + "\n"
    )


def command_sections(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Yields a section for each command, made from what argparse knows, the same on every Python."""
    children = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    options = [action for action in parser._actions if action not in children and action.dest != "help"]
    positionals = [action for action in options if not action.option_strings]
    usage = [parser.prog, *(["[OPTIONS]"] if len(options) > len(positionals) else [])]
    usage += [
        {"+": f"{action.metavar}...", "*": f"[{action.metavar}...]"}.get(
            str(action.nargs), str(action.metavar)
        )
        for action in positionals
    ]
    usage += [str(action.metavar) + " ..." for action in children]
    yield f"\n## {parser.prog}\n\n    {' '.join(usage)}\n\n{parser.description or ''}\n"
    if options:
        rows = [
            (f"`{' '.join(_spelled(action))}`", (action.help or "").replace("%%", "%")) for action in options
        ]
        yield "\n" + table(("Argument", "Meaning"), rows)
    if parser.prog == "ocrdet serve":
        yield "\nEvery variable of [settings.md](settings.md) is read from the environment.\n"
    elif parser.epilog:
        yield f"\n{parser.epilog}\n"
    for action in children:
        for child in action.choices.values():
            yield from command_sections(child)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Returns a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def _spelled(action: argparse.Action) -> list[str]:
    if not action.option_strings:
        return [str(action.metavar)]
    takes_value = action.nargs != 0
    return [action.option_strings[0], *([action.metavar or action.dest.upper()] if takes_value else [])]  # type: ignore[list-item]


def _default(field: FieldInfo) -> str:
    value = field.default
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    whole_mib = isinstance(value, int) and value and value % MIB == 0
    return f"`{value}` ({value // MIB} MiB)" if whole_mib else f"`{value}`"


def _limits(field: FieldInfo) -> str:
    """The type and the range of a setting, in words."""
    kinds = [kind for kind in (get_args(field.annotation) or (field.annotation,)) if kind is not type(None)]
    if get_origin(field.annotation) is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(field.annotation))
    words = {bool: "true or false", int: "whole number", float: "number", str: "text", Path: "path"}
    low = next((rule.ge for rule in field.metadata if hasattr(rule, "ge")), None)
    high = next((rule.le for rule in field.metadata if hasattr(rule, "le")), None)
    limits = f" {low:,} to {high:,}" if high is not None else f" from {low:,}" if low is not None else ""
    return f"{words[kinds[0]]}{limits}"


def _labels(metric: Metric) -> list[str]:
    """Label names in their order, without those of a histogram's own making."""
    names = [name for sample in metric.samples for name in sample.labels]
    return [name for name in dict.fromkeys(names) if name != "le"]


if __name__ == "__main__":
    sys.exit(main())
