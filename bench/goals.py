"""What the measured figures have to be, and whether they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SERVING, DENSE = ("serving",), ("stages", "1600x1200 JPEG, 300 regions", "ours")
RAPIDOCR = ("peers", "rapidocr onnxruntime")
# Peers that serve from several processes, each with a model of its own.
MULTI_PROCESS = ("litserve", "mosec")


@dataclass(frozen=True, slots=True)
class Goal:
    """A bound on one figure.

    Attributes:
        what: In words.
        limit: The bound.
        at_least: Whether the figure may not be below it; else it may not be above.
        figure: Where it stands in the results.
        source: The part of the results that it comes from.
    """

    what: str
    limit: float
    at_least: bool
    figure: tuple[str, ...]

    @property
    def source(self) -> str:
        """The part of the results that the figure comes from."""
        return self.figure[0]


@dataclass(frozen=True, slots=True)
class Verdict:
    """A goal and what was measured.

    Attributes:
        goal: The goal.
        measured: The median of the rounds, or the one value that was measured; None where there is none.
        bound: Of its 95 % interval the end that is nearer to missing the goal; None without rounds.
    """

    goal: Goal
    measured: float | None
    bound: float | None = None

    @property
    def met(self) -> bool | None:
        """Whether even the bound keeps to the limit; None where nothing was measured."""
        decisive = self.measured if self.bound is None else self.bound
        if decisive is None:
            return None
        return decisive >= self.goal.limit if self.goal.at_least else decisive <= self.goal.limit


def judge_goals(results: Mapping[str, Any]) -> list[Verdict]:
    """Every goal, held against the results."""
    return [_judge(goal, results) for goal in (*GOALS, *_peer_goals(results))] + list(_memory(results))


GOALS = (
    Goal(
        "images/s over the pipeline without HTTP, 8 callers",
        0.97,
        True,
        (*SERVING, "busy_over_pipeline"),
    ),
    Goal("images/s over a bare session, 8 callers", 0.92, True, (*SERVING, "busy_over_bare")),
    Goal("images/s over a bare session, 32 callers", 0.88, True, (*SERVING, "full_over_bare")),
    Goal("p50 alone, without decoding, over a bare session", 1.15, False, (*SERVING, "alone_over_bare")),
    Goal("p99 at 32 callers over 32 / (images/s)", 1.1, False, (*SERVING, "full_p99_over_fair")),
    Goal("HTTP and JSON of 300 regions, ms", 0.6, False, (*SERVING, "dense_beside_stages_ms")),
    Goal("regions of a page of 300, ms", 3.0, False, (*DENSE, "regions")),
    Goal(
        "OpenVINO in fp32 over ONNX Runtime, images/s", 1.25, True, ("engines", "openvino fp32", "over_ort")
    ),
    Goal("OpenVINO in bf16 over ONNX Runtime, images/s", 2.2, True, ("engines", "openvino bf16", "over_ort")),
    Goal("regions in bf16 as in fp32", 0.99, True, ("engines", "openvino bf16", "agreement")),
    Goal("resident MB, two images in flight", 520.0, False, ("memory", "resident_2_mb")),
    Goal("CPU of the idle server, percent of one", 1.0, False, ("idle", "cpu_percent")),
    Goal("page to tensor, RapidOCR's time over ours", 4.0, True, (*RAPIDOCR, "tensor_ratio")),
    Goal("regions of 300 lines, RapidOCR's time over ours", 8.0, True, (*RAPIDOCR, "regions_ratio")),
)


def _peer_goals(results: Mapping[str, Any]) -> Iterator[Goal]:
    for name, peer in results.get("peers", {}).items():
        if peer is not None:
            limit = 0.9 if name.startswith("rapidocr") else 0.95
            yield Goal(
                f"images/s of {name} over ocrdet, 8 callers", limit, False, ("peers", name, "busy_ratio")
            )


def _memory(results: Mapping[str, Any]) -> Iterator[Verdict]:
    """Memory beside the best peer of several processes, of the medians: no ratio within rounds is needed."""
    peers = results.get("peers", {})
    goal = Goal("resident memory over the best multi-process peer", 0.6, False, ("peers",))
    measured = [
        peer["ocrdet_rss_mib"]["median"] / peer["peer_rss_mib"]["median"]
        for name in MULTI_PROCESS
        if (peer := peers.get(name)) is not None
    ]
    yield Verdict(goal, max(measured, default=None))


def _judge(goal: Goal, results: Mapping[str, Any]) -> Verdict:
    found: Any = results
    for key in goal.figure:
        found = found.get(key) if isinstance(found, dict) else None
    if isinstance(found, dict):
        return Verdict(goal, found["median"], found["low" if goal.at_least else "high"])
    return Verdict(goal, found)
