"""From a model file to a warm scheduler."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ocrdet.engine import launch, prepared
from ocrdet.engine.lanes import LaneScheduler
from ocrdet.engine.launch import Engine, LaunchPlan, launch_engine
from ocrdet.engine.providers import SessionPlan
from ocrdet.engine.session import OrtSession
from ocrdet.engine.store import ModelFiles
from ocrdet.engine.ticket import Ticket
from ocrdet.errors import ConfigurationError, ManifestInvalid
from tests.graphs import detector_graph, recogniser_graph, rewrite_here
from tests.unit.engine.pixels import make_manifest
from tests.unit.engine.sessions import FakeSession

if TYPE_CHECKING:
    from pathlib import Path

    from ocrdet.engine.manifest import Manifest
    from ocrdet.engine.recipe import Recipe

SHAPES = [[64, 64], [64, 32]]


def make_files(path: Path, **parts: object) -> ModelFiles:
    """The model in this file."""
    return ModelFiles(make_manifest(shapes=SHAPES, **parts), path, "0" * 64)


def launch_tiny(path: Path, plan: LaunchPlan, **parts: object) -> Engine:
    """An engine for the model in this file; nobody else is in the house."""
    return launch_engine(make_files(path, **parts), plan, alone=lambda: True)


@pytest.fixture(autouse=True)
def recipes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Recipe]:
    """What graphs were rewritten by, in this process and into a cache of the test's own."""
    asked: list[Recipe] = []

    def run(source: Path, target: Path, recipe: Recipe) -> dict[str, Any]:
        asked.append(recipe)
        return rewrite_here(source, target, recipe)

    monkeypatch.setattr(prepared, "_run", run)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    return asked


def test_on_the_cpu_a_model_runs_in_lanes_at_the_shapes_of_its_manifest(tmp_path: Path) -> None:
    """One image per run, on as many lanes as there are CPUs."""
    engine = launch_tiny(detector_graph(tmp_path / "tiny.onnx"), LaunchPlan("cpu", cpus=2))
    assert isinstance(engine.scheduler, LaneScheduler)
    assert engine.shapes == ((64, 64), (64, 32))
    assert engine.batch_sizes == (1,)
    result = engine.scheduler.infer([np.zeros((1, 3, 64, 32), np.float32)], Ticket())
    assert result.maps[0].shape == (64, 32)
    described = engine.describe()
    assert described["threads"] == {"lanes": 2, "threads": 1, "wide_threads": 2, "workers": 2}
    assert described["provider"] == "CPUExecutionProvider"
    assert described["precision"] == "fp32"
    engine.scheduler.close()


@pytest.mark.parametrize(("cpus", "made"), [(1, [1]), (4, [1, 4])])
def test_a_wide_session_is_made_where_there_is_more_than_one_cpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cpus: int, made: list[int]
) -> None:
    """The narrow one has one thread, the wide one all of them; both load the graph once it is clean."""
    path, threads, paths = detector_graph(tmp_path / "tiny.onnx", swish=True), [], set()

    def make(path: Path, _: Manifest, plan: SessionPlan) -> FakeSession:
        assert path.is_file()
        paths.add(path)
        threads.append(plan.threads)
        return FakeSession()

    monkeypatch.setattr(launch, "OrtSession", make)
    launch_tiny(path, LaunchPlan("cpu", cpus=cpus, cache_dir=tmp_path / "cache"))
    assert threads == made
    (loaded,) = paths
    assert loaded.parent == tmp_path / "cache" / "graphs"


def test_a_model_runs_the_same_once_its_graph_is_clean(tmp_path: Path, recipes: list[Recipe]) -> None:
    """The second start finds it made."""
    path = detector_graph(tmp_path / "tiny.onnx", swish=True)
    tensor = np.random.default_rng(4).standard_normal((1, 3, 64, 32)).astype(np.float32)
    expected = OrtSession(path, make_manifest(), SessionPlan()).run(tensor)[0]
    for _ in range(2):
        engine = launch_tiny(path, LaunchPlan("cpu", cpus=1))
        np.testing.assert_allclose(engine.scheduler.infer([tensor], Ticket()).maps[0], expected, atol=1e-6)
        engine.scheduler.close()
    assert len(recipes) == 1
    assert list((tmp_path / "user" / "ocrdet" / "graphs").glob("*.onnx"))


def test_a_static_model_runs_at_its_own_shape_and_batch(tmp_path: Path) -> None:
    """One image at a time all the same: the session fills the batch up."""
    path = detector_graph(tmp_path / "tiny.onnx", dims=(2, 96, 32))
    engine = launch_tiny(path, LaunchPlan("cpu", cpus=1))
    assert (engine.shapes, engine.batch_sizes) == (((96, 32),), (2,))
    result = engine.scheduler.infer([np.zeros((1, 3, 96, 32), np.float32)], Ticket())
    assert result.maps[0].shape == (96, 32)
    engine.scheduler.close()


def test_a_recogniser_whose_axes_tell_nothing_is_found_out_by_running_it(tmp_path: Path) -> None:
    """Its steps by characters are no map of the image."""
    with pytest.raises(ManifestInvalid, match="a recogniser, a classifier or another kind of detector"):
        launch_tiny(recogniser_graph(tmp_path / "tiny.onnx", "height"), LaunchPlan("cpu", cpus=1))


def test_a_device_that_is_not_there_is_an_error_and_never_the_cpu(tmp_path: Path) -> None:
    """Rule 9, from the outside: these tests run on the CPU variant."""
    with pytest.raises(ConfigurationError, match=r"OCRDET_DEVICE=cuda .*ocrdet\[gpu\]"):
        launch_tiny(detector_graph(tmp_path / "tiny.onnx"), LaunchPlan("cuda"))


def test_a_precision_that_may_not_be_served_is_refused_before_anything_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the device that is meant, also where that is automatic."""
    monkeypatch.setattr(launch, "default_device", lambda: "cuda")
    for name, meant in (("cpu", "cpu"), ("auto", "cuda")):
        message = f"OCRDET_PRECISION=bf16 works with OCRDET_DEVICE=openvino; the device is {meant}"
        with pytest.raises(ConfigurationError, match=message):
            launch_tiny(tmp_path / "missing.onnx", LaunchPlan(name, precision="bf16"))
