"""Presets: the numbers of each family, and what names suggest."""

from __future__ import annotations

import pytest

from ocrdet.engine.manifest import complete_manifest
from ocrdet.engine.presets import PRESETS, propose_presets


@pytest.mark.parametrize(
    ("preset", "color", "white", "black", "activation", "thresholds"),
    [
        ("modelscope-db", "BGR", 131.32 / 255, -123.68 / 255, "probability", (0.2, 0.2, 1.5)),
        ("webui", "BGR", 131.32 / 255, -123.68 / 255, "probability", (0.2, 0.2, 1.5)),
        ("webui-div255", "BGR", 1.0, 0.0, "probability", (0.2, 0.2, 1.5)),
        ("db-mhliao", "BGR", 132.321 / 255, -122.679 / 255, "probability", (0.3, 0.5, 1.5)),
        ("ppocr-det", "BGR", 0.515 / 0.229, -0.485 / 0.229, "probability", (0.3, 0.6, 1.5)),
        ("mmocr", "RGB", 131.325 / 58.395, -123.675 / 58.395, "probability", (0.3, 0.3, 1.5)),
        ("doctr", "RGB", 0.202 / 0.264, -0.798 / 0.264, "logits", (0.3, 0.1, 1.5)),
    ],
)
def test_a_preset_holds_the_numbers_of_its_family(
    preset: str,
    color: str,
    white: float,
    black: float,
    activation: str,
    thresholds: tuple[float, float, float],
) -> None:
    """What a white and a black pixel become in the model's first channel, worked out by hand."""
    manifest = complete_manifest({"name": "tiny", "version": "1", "preset": preset})
    spec = manifest.normalization
    assert manifest.input.color == color
    assert (255 * spec.scale - spec.mean[0]) / spec.std[0] == pytest.approx(white, abs=1e-5)
    assert -spec.mean[0] / spec.std[0] == pytest.approx(black, abs=1e-5)
    assert manifest.output.activation == activation
    given = manifest.thresholds
    assert (given.binary, given.score, given.unclip_ratio) == thresholds


@pytest.mark.parametrize(
    ("names", "proposed"),
    [
        (("images", "pred"), ["modelscope-db", "webui", "webui-div255"]),
        (("x", "sigmoid_0.tmp_0"), ["ppocr-det"]),
        (("x", "fetch_name_0"), ["ppocr-det"]),
        (("input", "logits"), ["doctr"]),
        (("input", "output"), ["mmocr", "db-mhliao"]),
        (("data", "prob"), []),
    ],
)
def test_names_propose_presets_that_exist(names: tuple[str, str], proposed: list[str]) -> None:
    """More than one where a pair of names is used by several families, none where it is unknown."""
    assert propose_presets(*names) == proposed
    assert set(proposed) <= set(PRESETS)
