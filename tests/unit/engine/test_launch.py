"""From a model file to a warm scheduler."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ocrdet.engine import launch
from ocrdet.engine.lanes import LaneScheduler
from ocrdet.engine.launch import Engine, LaunchPlan, launch_engine
from ocrdet.engine.manifest import complete_manifest
from ocrdet.engine.microbatch import MicroBatchScheduler
from ocrdet.engine.session import SessionPlan
from ocrdet.engine.store import ModelFiles
from ocrdet.engine.ticket import Ticket
from ocrdet.errors import ConfigurationError, ManifestInvalid
from tests.graphs import detector_graph, recogniser_graph
from tests.unit.engine.sessions import FakeSession

if TYPE_CHECKING:
    from pathlib import Path

SHAPES = [[64, 64], [64, 32]]


def make_files(path: Path) -> ModelFiles:
    """The model in this file."""
    manifest = complete_manifest({"name": "tiny", "version": "1", "preset": "ppocr-det", "shapes": SHAPES})
    return ModelFiles(manifest, path, "0" * 64)


def launch_tiny(path: Path, plan: LaunchPlan, *, alone: bool = True) -> Engine:
    """An engine for the model in this file."""
    return launch_engine(make_files(path), plan, alone=lambda: alone)


def test_on_the_cpu_a_model_runs_in_lanes_at_the_shapes_of_its_manifest(tmp_path: Path) -> None:
    """One image per run, on as many lanes as there are CPUs."""
    engine = launch_tiny(detector_graph(tmp_path / "tiny.onnx"), LaunchPlan("cpu", cpus=2))
    assert isinstance(engine.scheduler, LaneScheduler)
    assert engine.shapes == ((64, 64), (64, 32))
    assert engine.batch_sizes == (1,)
    result = engine.scheduler.infer([np.zeros((1, 3, 64, 32), np.float32)], Ticket())
    assert result.maps[0].shape == (64, 32)
    described = engine.describe()
    assert described["threads"] == {"lanes": 2, "wide_threads": 2, "workers": 2}
    assert described["provider"] == "CPUExecutionProvider"
    engine.scheduler.close()


@pytest.mark.parametrize(("cpus", "made"), [(1, [1]), (4, [1, 4])])
def test_a_wide_session_is_made_where_there_is_more_than_one_cpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cpus: int, made: list[int]
) -> None:
    """The narrow one has one thread, the wide one all of them."""
    threads = []

    def make(_: object, __: object, plan: SessionPlan) -> FakeSession:
        threads.append(plan.threads)
        return FakeSession()

    monkeypatch.setattr(launch, "OrtSession", make)
    launch_tiny(tmp_path / "tiny.onnx", LaunchPlan("cpu", cpus=cpus))
    assert threads == made


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


class Accelerator:
    """What a launch on an accelerator makes, with fakes in place of sessions."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, fast: bool) -> None:
        """Stand in for the sessions and the probe."""
        self.session, self.reference = FakeSession(), FakeSession()
        self.threads: list[str] = []
        self.session.script = lambda _: self.threads.append(threading.current_thread().name)
        self.plans: list[SessionPlan] = []
        monkeypatch.setattr(launch, "OrtSession", self.make)
        monkeypatch.setattr(launch, "probe_speed", self.probe)
        self._fast = fast

    def make(self, _: object, __: object, plan: SessionPlan) -> FakeSession:
        """A session for this device."""
        self.plans.append(plan)
        return self.reference if plan.device == "cpu" else self.session

    def probe(self, *sessions: Any) -> None:  # noqa: ANN401 - what was given is what is asked
        """Say what the test wants, of the right sessions."""
        assert sessions == (self.session, self.reference, (64, 64))
        if not self._fast:
            raise ConfigurationError("no faster than the CPU")


def test_on_an_accelerator_a_model_runs_in_micro_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every shape is warmed with every batch size on the device's own thread, and the probe is freed."""
    made = Accelerator(monkeypatch, fast=True)
    plan = LaunchPlan("cuda", max_micro_batch_images=4, gpu_mem_limit_bytes=123)
    engine = launch_tiny(tmp_path / "tiny.onnx", plan)
    assert isinstance(engine.scheduler, MicroBatchScheduler)
    assert engine.batch_sizes == (1, 2, 4)
    assert len(set(made.session.shapes)) == 6
    assert made.plans[0] == SessionPlan("cuda", gpu_mem_limit_bytes=123)
    assert made.reference.closed == 1
    assert set(made.threads) == {"ocrdet-device"}
    engine.scheduler.close()
    assert made.session.closed == 1


def test_an_accelerator_that_is_not_really_used_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The session of the probe is freed again."""
    made = Accelerator(monkeypatch, fast=False)
    with pytest.raises(ConfigurationError, match="no faster"):
        launch_tiny(tmp_path / "tiny.onnx", LaunchPlan("cuda"))
    assert made.reference.closed == 1
