"""From a model file to a warm scheduler on devices that are not here: the CPU does their work."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ocrdet.engine import launch, prepared
from ocrdet.engine.bound_session import BoundSession
from ocrdet.engine.lanes import LaneScheduler
from ocrdet.engine.launch import Engine, LaunchPlan, launch_engine
from ocrdet.engine.microbatch import MicroBatchScheduler
from ocrdet.engine.providers import SessionPlan
from ocrdet.engine.resources import ThreadPlan
from ocrdet.engine.session import OrtSession
from ocrdet.engine.store import ModelFiles
from ocrdet.engine.ticket import Ticket
from ocrdet.errors import ConfigurationError, ManifestInvalid, SelfTestFailed
from tests.graphs import detector_graph, recogniser_graph, rewrite_here
from tests.unit.engine.pixels import make_manifest, make_pixels, normalisation_of, normalise
from tests.unit.engine.sessions import FakeSession

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from ocrdet.engine.manifest import Manifest
    from ocrdet.engine.recipe import Recipe

MANIFEST = make_manifest(shapes=[[64, 64], [64, 32]], agreement={"fp16": 1.0, "bf16": 1.0})


class Device:
    """What a launch makes and asks, with the CPU in place of the device.

    Attributes:
        plan: Of the session on the device.
        path: Of the graph that it loaded.
        recipes: What graphs were rewritten by.
        probed: What was held against what.
        slow: Whether the probe finds the device slow.
        closed: Sessions that were closed.
        threads: On which the device's session was made and ran.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Stand in for the session of an accelerator, the probe and the process that rewrites graphs."""
        self.plan = SessionPlan()
        self.path: Path | None = None
        self.recipes: list[Recipe] = []
        self.probed: list[tuple[str, str, tuple[int, int]]] = []
        self.slow = False
        self.closed: list[str] = []
        self.threads: set[str] = set()
        self.answer: NDArray[np.float32] | None = None
        monkeypatch.setattr(prepared, "_run", self._rewrite)
        monkeypatch.setattr(launch, "probe_speed", self._probe)
        monkeypatch.setattr(launch, "BoundSession", self._open)
        monkeypatch.setattr(OrtSession, "close", lambda _: self.closed.append("reference"))

    def _rewrite(self, source: Path, target: Path, recipe: Recipe) -> dict[str, Any]:
        self.recipes.append(recipe)
        return rewrite_here(source, target, recipe)

    def _open(self, path: Path, manifest: Manifest, plan: SessionPlan) -> BoundSession:
        self.path, self.plan = path, plan
        session = BoundSession(path, manifest, SessionPlan("cpu"), memory="cpu")
        session.provider = plan.device
        run = session.run

        def remember(batch: NDArray[np.generic]) -> NDArray[np.float32]:
            self.threads.add(threading.current_thread().name)
            maps = run(batch)
            return maps if self.answer is None else np.broadcast_to(self.answer, maps.shape)

        monkeypatched: Any = session
        monkeypatched.run = remember
        monkeypatched.close = lambda: self.closed.append("device")
        return session

    def _probe(self, *sessions: Any) -> None:  # noqa: ANN401 - what was given is what is asked
        session, reference, shape = sessions
        self.probed.append((session.provider, reference.provider, shape))
        if self.slow:
            raise ConfigurationError("no faster than the CPU")


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Device:
    """A device of the test's own."""
    return Device(monkeypatch)


def launch_tiny(path: Path, plan: LaunchPlan, **graph: Any) -> Engine:  # noqa: ANN401 - those of the graph
    """An engine for a tiny detector, nobody else in the house."""
    files = ModelFiles(MANIFEST, detector_graph(path / "tiny.onnx", **graph), "0" * 64)
    return launch_engine(files, plan, alone=lambda: True)


ACCELERATORS = pytest.mark.parametrize("name", ["cuda", "tensorrt"])


@ACCELERATORS
def test_an_accelerator_runs_micro_batches_of_pixels_on_a_thread_of_its_own(
    tmp_path: Path, device: Device, name: str
) -> None:
    """Normalisation is in the graph, and the maps are those of the model as it is."""
    engine = launch_tiny(tmp_path, LaunchPlan(name, max_micro_batch_images=4, cache_dir=tmp_path))
    assert isinstance(engine.scheduler, MicroBatchScheduler)
    assert engine.graph.takes_pixels
    assert (engine.provider, engine.precision, engine.batch_sizes) == (name, "fp32", (1, 2, 4))
    assert device.path is not None
    assert device.path.parent == tmp_path / "graphs"
    pixels = make_pixels(1, 64, 32)
    result = engine.scheduler.infer([pixels], Ticket())
    plain = OrtSession(tmp_path / "tiny.onnx", MANIFEST, SessionPlan())
    expected = plain.run(normalise(pixels, normalisation_of(MANIFEST)))
    np.testing.assert_allclose(result.maps[0], expected[0], atol=1e-6)
    assert device.threads == {"ocrdet-device"}
    assert device.closed == ["reference"]
    engine.scheduler.close()
    assert device.closed == ["reference", "device"]


@ACCELERATORS
def test_an_accelerator_is_held_against_the_model_as_it_is_on_the_cpu(
    tmp_path: Path, device: Device, name: str
) -> None:
    """Rule 9; both sessions are freed if it is not clearly faster."""
    device.slow = True
    with pytest.raises(ConfigurationError, match="no faster"):
        launch_tiny(tmp_path, LaunchPlan(name, cache_dir=tmp_path))
    assert device.probed == [(name, "CPUExecutionProvider", (64, 64))]
    assert device.closed == ["device", "reference"]


def test_a_device_that_computes_no_probabilities_is_freed(tmp_path: Path, device: Device) -> None:
    """Its locked memory is not left to chance."""
    device.answer = np.array(np.nan, np.float32)
    with pytest.raises(SelfTestFailed, match="not finite"):
        launch_tiny(tmp_path, LaunchPlan("cuda", cache_dir=tmp_path))
    assert device.closed == ["device", "reference"]


def test_a_recogniser_is_found_out_before_its_graph_is_rewritten(tmp_path: Path, device: Device) -> None:
    """By the graph as it is."""
    files = ModelFiles(MANIFEST, recogniser_graph(tmp_path / "tiny.onnx"), "0" * 64)
    with pytest.raises(ManifestInvalid, match="a text recogniser"):
        launch_engine(files, LaunchPlan("cuda", cache_dir=tmp_path), alone=lambda: True)
    assert not device.recipes


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_pixels_are_put_in_front_of_the_input_as_the_manifest_describes_it(
    tmp_path: Path, device: Device, layout: str
) -> None:
    """Name and axis order from the graph, the rest from the manifest."""
    plan = LaunchPlan("cuda", cache_dir=tmp_path)
    launch_tiny(tmp_path, plan, layout=layout, names=("image", "map")).scheduler.close()
    (recipe,) = device.recipes
    assert recipe.clean
    assert recipe.pixels is not None
    assert (recipe.pixels.name, recipe.pixels.layout, recipe.pixels.color) == ("image", layout, "BGR")
    spec = MANIFEST.normalization
    assert (recipe.pixels.gain, recipe.pixels.offset) == (spec.gain, spec.offset)


@ACCELERATORS
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_half_precision_is_the_graphs_on_cuda_and_the_providers_on_tensorrt(
    tmp_path: Path,
    device: Device,
    name: str,
    precision: Any,  # noqa: ANN401 - a Literal
) -> None:
    """What the engine says of itself is what was asked for."""
    engine = launch_tiny(tmp_path, LaunchPlan(name, precision=precision, cache_dir=tmp_path))
    assert device.plan.precision == engine.describe()["precision"] == precision
    assert [recipe.half for recipe in device.recipes] == [(name, precision) == ("cuda", "fp16")]
    engine.scheduler.close()


def test_only_tensorrt_keeps_what_it_compiles(tmp_path: Path, device: Device) -> None:
    """Beside the graphs; where nothing can be written it compiles at every start."""
    (tmp_path / "file").write_text("in the way")
    for name, cache, expected in (
        ("tensorrt", tmp_path, tmp_path / "tensorrt"),
        ("tensorrt", tmp_path / "file", None),
        ("cuda", tmp_path, None),
    ):
        launch_tiny(tmp_path, LaunchPlan(name, cache_dir=cache)).scheduler.close()
        assert device.plan.engine_cache == expected
    assert (tmp_path / "tensorrt").is_dir()


def test_an_accelerator_is_told_its_fuse_and_only_cuda_captures(tmp_path: Path, device: Device) -> None:
    """TensorRT would not know what to do with it."""
    for name in ("cuda", "tensorrt"):
        plan = LaunchPlan(name, gpu_mem_limit_bytes=123, cuda_graphs=True, cache_dir=tmp_path)
        launch_tiny(tmp_path, plan).scheduler.close()
        assert (device.plan.device, device.plan.gpu_mem_limit_bytes) == (name, 123)
        assert device.plan.cuda_graphs is (name == "cuda")


def test_openvino_runs_in_lanes_of_one_session_that_share_its_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: Device
) -> None:
    """The graph stays as it is: OpenVINO merges for itself. One image per run, no second session."""
    made: list[tuple[Path, SessionPlan]] = []

    def make(path: Path, _: Manifest, plan: SessionPlan) -> FakeSession:
        made.append((path, plan))
        return FakeSession()

    monkeypatch.setattr(launch, "ShapedSession", make)
    monkeypatch.setattr(launch, "default_device", lambda: "openvino")
    engine = launch_tiny(tmp_path, LaunchPlan("auto", cpus=8, cache_dir=tmp_path))
    assert made == [(tmp_path / "tiny.onnx", SessionPlan("openvino", threads=4, lanes=2))]
    assert not device.recipes
    assert isinstance(engine.scheduler, LaneScheduler)
    assert engine.batch_sizes == (1,)
    assert engine.threads == ThreadPlan(lanes=2, threads=4, wide_threads=1, workers=8)
    assert engine.scheduler.infer([np.zeros((1, 3, 64, 32), np.float32)], Ticket()).maps[0].shape == (64, 32)
    engine.scheduler.close()


def test_openvino_computes_in_the_precision_that_the_model_is_good_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it is, is asked first."""
    asked: list[tuple[object, ...]] = []
    plans: list[SessionPlan] = []

    def make(_: Path, __: Manifest, plan: SessionPlan) -> FakeSession:
        plans.append(plan)
        return FakeSession()

    monkeypatch.setattr(launch, "ShapedSession", make)
    monkeypatch.setattr(launch, "require_precision", lambda *question: asked.append(question))
    engine = launch_tiny(tmp_path, LaunchPlan("openvino", cpus=4, precision="bf16"))
    assert asked == [("bf16", "openvino", MANIFEST)]
    assert [plan.precision for plan in plans] == ["bf16"]
    assert engine.describe()["precision"] == "bf16"
    engine.scheduler.close()
