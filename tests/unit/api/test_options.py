"""Options from every source."""

from __future__ import annotations

import pytest

from ocrdet.api.options import OPTIONS, collect_pairs, read_options
from ocrdet.errors import InvalidParameter
from ocrdet.options import DetectOptions


def test_no_options_are_the_documented_defaults() -> None:
    """What a plain `curl --data-binary` gets."""
    options = read_options({})
    assert options.detect == DetectOptions()
    assert options.output == "json"


def test_texts_and_json_values_mean_the_same() -> None:
    """A query string and a JSON body are two ways to say one thing."""
    texts = {
        "scene": "document",
        "score_threshold": "0.25",
        "iou_threshold": "1e-1",
        "fit": "stretch",
        "max_regions": "10",
        "polygons": "true",
        "coordinates": "stored",
        "normalized": "1",
        "allow_truncated": "false",
        "output": "webui",
    }
    values = texts | {
        "score_threshold": 0.25,
        "iou_threshold": 0.1,
        "max_regions": 10,
        "polygons": True,
        "normalized": True,
        "allow_truncated": False,
    }
    assert set(texts) == set(OPTIONS)
    assert read_options(texts) == read_options(values)
    assert read_options(texts).detect.score_threshold == 0.25


def test_a_later_source_wins() -> None:
    """The body knows better than the URL."""
    assert read_options({"max_regions": "5"}, {"max_regions": 7}).detect.max_regions == 7


def test_null_means_the_default() -> None:
    """An answer's own `scene: null` can be sent back."""
    assert read_options({"scene": None}).detect.scene is None


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("score_threshold", "1.01", "between 0 and 1"),
        ("score_threshold", "-0.1", "between 0 and 1"),
        ("score_threshold", "nan", "between 0 and 1"),
        ("score_threshold", "inf", "between 0 and 1"),
        ("score_threshold", "0,5", "between 0 and 1"),
        ("score_threshold", " 0.5", "between 0 and 1"),
        ("score_threshold", "1_0", "between 0 and 1"),
        ("score_threshold", "", "between 0 and 1"),
        ("score_threshold", True, "between 0 and 1"),
        ("score_threshold", [0.5], "between 0 and 1"),
        ("score_threshold", 10**400, "between 0 and 1"),
        ("score_threshold", float("nan"), "between 0 and 1"),
        ("max_regions", 10**400, "between 1 and 10000"),
        ("iou_threshold", "\u0660.\u0665", "between 0 and 1"),
        ("max_regions", "0", "between 1 and 10000"),
        ("max_regions", "1.5", "between 1 and 10000"),
        ("max_regions", 1.0, "between 1 and 10000"),
        ("max_regions", "9" * 30, "between 1 and 10000"),
        ("polygons", "yes", "true or false"),
        ("polygons", 1, "true or false"),
        ("scene", "Document", "document, screenshot, industrial"),
        ("scene", {}, "document, screenshot, industrial"),
        ("fit", "crop", "auto, letterbox, stretch, tile"),
        ("coordinates", "model", "displayed, stored"),
        ("output", "xml", "json, image, webui"),
    ],
)
def test_a_wrong_value_is_refused_with_field_and_range(name: str, value: object, allowed: str) -> None:
    """The sentence alone tells the caller what to send instead."""
    with pytest.raises(InvalidParameter) as caught:
        read_options({name: value})
    assert caught.value.facts["field"] == name
    assert caught.value.detail.startswith(name)
    assert allowed in caught.value.detail


def test_an_unknown_name_is_refused_with_a_suggestion() -> None:
    """A misspelt option must not be ignored in silence."""
    with pytest.raises(InvalidParameter, match="did you mean score_threshold"):
        collect_pairs([("score_treshold", "0.5")])
    with pytest.raises(InvalidParameter, match="the options are scene,"):
        collect_pairs([("zzz", "1")])


def test_a_name_given_twice_is_refused() -> None:
    """Nobody can tell which of the two was meant."""
    with pytest.raises(InvalidParameter, match="more than once"):
        collect_pairs([("fit", "auto"), ("fit", "tile")])


def test_a_long_value_is_not_echoed_whole() -> None:
    """An answer stays small whatever was sent."""
    with pytest.raises(InvalidParameter) as caught:
        read_options({"fit": "x" * 10_000})
    assert len(caught.value.detail) < 200


def test_a_deep_value_is_not_echoed() -> None:
    """Writing it out could fail where reading it did not."""
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(InvalidParameter, match="a list or an object is not"):
        read_options({"fit": deep})
