"""Judged images as a table for people and as JSON for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ocrdet.lab.summary import Summary, half_of, summarize

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ocrdet.lab.evaluation import JudgedImage
    from ocrdet.lab.measures import Tally

HEADS = (
    ("", "", "", "", "IoU 0.5", "", "", "tolerant", "", "", "average", "median"),
    ("set", "images", "failed", "labels", *("precision", "recall", "hmean") * 2, "precision", "ms"),
)
DIGITS = 4


def write_table(judged_of: Mapping[str, Sequence[JudgedImage]]) -> str:
    """Returns aligned lines: a row for each set, and the plain mean of the rows where there are several."""
    summaries = {name: summarize(judged) for name, judged in judged_of.items()}
    rows = [*HEADS, *(_row(name, summary) for name, summary in summaries.items())]
    if len(summaries) > 1:
        rows.append(_mean_row(list(summaries.values())))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (
        "  ".join(
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)


def report_dict(
    judged_of: Mapping[str, Sequence[JudgedImage]], left_out: Mapping[str, Sequence[str]]
) -> list[dict[str, Any]]:
    """Returns each set with its measures and those of every image, as plain values.

    Args:
        judged_of: The judged images by the names of their sets.
        left_out: What was not judged, by the names of the sets.
    """
    return [
        {
            "set": name,
            **_summary_dict(summarize(judged)),
            "left_out": list(left_out.get(name, ())),
            "per_image": [_image_dict(each) for each in judged],
        }
        for name, judged in judged_of.items()
    ]


def _image_dict(judged: JudgedImage) -> dict[str, Any]:
    labels, name = judged.image.labels.regions, judged.image.path.name
    measures = _summary_dict(summarize([judged]))
    for of_a_set in ("images", "failed", "median_ms"):
        del measures[of_a_set]
    return {
        "image": name,
        "half": half_of(name),
        "problem": judged.prediction.problem,
        "ms": judged.prediction.ms,
        "ignored_labels": sum(label.ignored for label in labels),
        "regions": len(judged.prediction.outlines),
        "ignored_regions": len(judged.prediction.outlines) - len(judged.score.kept),
        **measures,
    }


def _summary_dict(summary: Summary) -> dict[str, Any]:
    return {
        "images": summary.images,
        "failed": summary.failed,
        "labels": summary.labels,
        **{measure: _tally_dict(tally) for measure, tally in summary.tallies.items()},
        "average_precision": round(summary.average_precision, DIGITS),
        "median_ms": None if summary.median_ms is None else round(summary.median_ms, 1),
    }


def _tally_dict(tally: Tally) -> dict[str, float]:
    names = ("precision", "recall", "hmean")
    return {name: round(ratio, DIGITS) for name, ratio in zip(names, tally.ratios, strict=True)}


def _ratios(summary: Summary) -> tuple[float, ...]:
    """The columns that are ratios."""
    tallies = summary.tallies
    return (*tallies["iou"].ratios, *tallies["tolerant"].ratios, summary.average_precision)


def _row(name: str, summary: Summary) -> tuple[str, ...]:
    counts = map(str, (summary.images, summary.failed, summary.labels))
    ms = "-" if summary.median_ms is None else f"{summary.median_ms:.0f}"
    return (name, *counts, *(f"{ratio:.3f}" for ratio in _ratios(summary)), ms)


def _mean_row(summaries: Sequence[Summary]) -> tuple[str, ...]:
    totals = (sum(each.images for each in summaries), sum(each.failed for each in summaries))
    labels = sum(each.labels for each in summaries)
    means = (sum(column) / len(summaries) for column in zip(*map(_ratios, summaries), strict=True))
    return ("mean", *map(str, (*totals, labels)), *(f"{mean:.3f}" for mean in means), "")
