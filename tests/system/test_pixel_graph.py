"""The whole way of an accelerator, with the embedded model and the CPU in the device's place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from ocrdet.detector import open_detector
from ocrdet.engine import launch
from ocrdet.engine.bound_session import BoundSession
from ocrdet.engine.providers import SessionPlan
from ocrdet.settings import Settings
from tests.system.images import mixed_files

if TYPE_CHECKING:
    from pathlib import Path

    from ocrdet.engine.manifest import Manifest
    from ocrdet.values import Detection

FILES = mixed_files(12)


def find_all(model: Path, **settings: object) -> list[Detection]:
    """What is found in all files, by a detector that has passed its self-test."""
    with open_detector(str(model), settings=Settings.from_environment({}, **settings)) as detector:
        return [detector.detect(data) for data in FILES]


def test_pixels_in_the_graph_give_the_regions_of_tensors_in_lanes(
    small_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Alone, in tiles, turned, small and large: the same regions in the same order, but for rounding."""
    expected = find_all(small_model, device="cpu", threads=1)

    def open_session(path: Path, manifest: Manifest, _: SessionPlan) -> BoundSession:
        return BoundSession(path, manifest, SessionPlan("cpu"), memory="cpu")

    monkeypatch.setattr(launch, "BoundSession", open_session)
    monkeypatch.setattr(launch, "probe_speed", lambda *_: None)
    found = find_all(small_model, device="cuda", max_micro_batch_images=2)
    assert sum(len(each.regions) for each in expected) > len(FILES)
    for ours, theirs in zip(found, expected, strict=True):
        assert len(ours.regions) == len(theirs.regions)
        for region, other in zip(ours.regions, theirs.regions, strict=True):
            assert region.score == pytest.approx(other.score, abs=1e-3)
            np.testing.assert_allclose(region.quad, other.quad, atol=0.5)
