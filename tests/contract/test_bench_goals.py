"""The benchmark's verdicts are what the figures allow to say."""

from collections.abc import Mapping
from typing import Any

from bench.document import write_document
from bench.goals import judge_goals
from bench.rounds import spread

RATIO = "images/s over a bare session, 8 callers"


def verdict(results: Mapping[str, Any], what: str) -> bool | None:
    """Returns whether a goal is met."""
    return next(each.met for each in judge_goals(results) if each.goal.what == what)


def test_the_interval_of_fifteen_rounds_leaves_three_out_at_either_end() -> None:
    """The median of all lies outside the fourth and the twelfth in 3.5 % of cases, then in 12 %."""
    figures = spread([float(value) for value in range(1, 16)])
    assert (figures["low"], figures["median"], figures["high"]) == (4, 8, 12)


def test_few_rounds_prove_no_more_than_their_worst() -> None:
    """Below six rounds no interval of 95 % exists within the values."""
    figures = spread([1.0, 2.0, 3.0, 4.0, 5.0])
    assert (figures["low"], figures["high"]) == (1, 5)


def test_a_goal_is_not_met_by_its_median_alone() -> None:
    """The end of the interval that is nearer to missing the goal decides."""
    good, doubtful = spread([0.93] * 15), spread([0.90] * 5 + [0.95] * 10)
    assert verdict({"serving": {"busy_over_bare": good}}, RATIO) is True
    assert verdict({"serving": {"busy_over_bare": doubtful}}, RATIO) is False


def test_what_was_not_measured_is_neither_met_nor_missed() -> None:
    """An empty result gives no verdict, and still a document."""
    assert {each.met for each in judge_goals({})} == {None}
    assert "not measured" in write_document({"machine": "a machine"})


def test_every_peer_that_was_measured_has_a_goal() -> None:
    """A peer that could not be installed has none."""
    peers = {
        "mosec": {"busy_ratio": spread([0.9]), "ocrdet_rss_mib": spread([5]), "peer_rss_mib": spread([9])}
    }
    results = {"peers": peers | {"litserve": None}}
    assert verdict(results, "images/s of mosec over ocrdet, 8 callers") is True
    assert not any("litserve" in each.goal.what for each in judge_goals(results))
