"""Sessions of ONNX Runtime: providers, unreadable files, and outputs of every rank and type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime as ort
import pytest

from ocrdet.engine.manifest import complete_manifest
from ocrdet.engine.providers import PROVIDERS, SessionPlan
from ocrdet.engine.session import OrtSession, default_device, runtime_facts
from ocrdet.errors import (
    ConfigurationError,
    DeviceLost,
    InferenceFailed,
    ManifestInvalid,
    OutOfDeviceMemory,
)
from tests.graphs import BIAS, WEIGHTS, detector_graph

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from ocrdet.engine.manifest import Manifest

RNG = np.random.default_rng(7)


def make_manifest(**parts: object) -> Manifest:
    """A manifest with these parts beside its preset."""
    return complete_manifest({"name": "tiny", "version": "1", "preset": "ppocr-det", **parts})


def make_session(path: Path, plan: SessionPlan | None = None, **parts: object) -> OrtSession:
    """A session over a tiny graph."""
    return OrtSession(path, make_manifest(**parts), plan or SessionPlan())


def expected(batch: NDArray[np.generic], axis: int = 1) -> NDArray[np.float64]:
    """The maps of a batch whose channels lie on this axis."""
    logits = np.moveaxis(batch.astype(np.float64), axis, -1) @ WEIGHTS + BIAS
    return np.asarray(1 / (1 + np.exp(-logits)))


def make_batch(size: int = 1, *, shape: tuple[int, ...] = (3, 64, 32)) -> NDArray[np.float32]:
    """Images of noise."""
    return RNG.standard_normal((size, *shape)).astype(np.float32)


@pytest.mark.parametrize(
    "graph",
    [
        {"rank": 4},
        {"rank": 3},
        {"rank": 2, "dims": (1, "height", "width")},
        {"channels": 3},
        {"logits": True},
        {"dims": ("batch", 64, 32)},
    ],
    ids=str,
)
def test_maps_of_every_rank_become_one_map_per_image(tmp_path: Path, graph: dict[str, Any]) -> None:
    """Rank 2 to 4, several channels, logits: always (N, H, W) float32 of probabilities."""
    size = 1 if graph.get("rank") == 2 else 2
    activation = "logits" if graph.get("logits") else "probability"
    session = make_session(detector_graph(tmp_path / "tiny.onnx", **graph), output={"activation": activation})
    batch = make_batch(size)
    maps = session.run(batch)
    assert maps.shape == (size, 64, 32)
    assert maps.dtype == np.float32
    np.testing.assert_allclose(maps, expected(batch), atol=1e-6)


@pytest.mark.parametrize("output_layout", ["NHWC", "NCHW"])
def test_channels_may_come_last(tmp_path: Path, output_layout: Any) -> None:  # noqa: ANN401 - a Literal
    """TensorFlow's axis order, with the map in either order."""
    path = detector_graph(tmp_path / "tiny.onnx", layout="NHWC", output_layout=output_layout)
    batch = make_batch(shape=(64, 32, 3))
    session = make_session(path)
    assert session.graph.layout == "NHWC"
    np.testing.assert_allclose(session.run(batch), expected(batch, axis=3), atol=1e-6)


def test_a_graph_in_half_precision_is_fed_and_read_as_such(tmp_path: Path) -> None:
    """The maps are float32 again, to three digits."""
    session = make_session(detector_graph(tmp_path / "tiny.onnx", half=True))
    assert session.graph.input.dtype is np.float16
    batch = make_batch().astype(np.float16)
    maps = session.run(batch)
    assert maps.dtype == np.float32
    np.testing.assert_allclose(maps, expected(batch), atol=2e-3)


def test_a_graph_of_one_fixed_batch_size_is_filled_up(tmp_path: Path) -> None:
    """Fewer images than it wants get fewer maps, and right ones."""
    session = make_session(detector_graph(tmp_path / "tiny.onnx", dims=(4, "height", "width")))
    assert session.graph.static_batch == 4
    for size in (1, 3, 4):
        batch = make_batch(size)
        np.testing.assert_allclose(session.run(batch), expected(batch), atol=1e-6)


def test_a_channel_that_the_output_has_not_is_refused(tmp_path: Path) -> None:
    """Only a run shows it where the axis is dynamic."""
    session = make_session(detector_graph(tmp_path / "tiny.onnx"), output={"channel": 1})
    with pytest.raises(ManifestInvalid, match="takes channel 1 of map, which has only 1"):
        session.run(make_batch())


def test_another_channel_than_the_first_can_be_the_map(tmp_path: Path) -> None:
    """The tiny graph's others are a constant."""
    session = make_session(detector_graph(tmp_path / "tiny.onnx", channels=2), output={"channel": 1})
    np.testing.assert_allclose(session.run(make_batch()), 1 / (1 + np.exp(-5)), rtol=1e-5)


@pytest.mark.parametrize(("value", "probability"), [(1e4, 1.0), (-1e4, 0.0)])
def test_large_logits_saturate_without_overflow(tmp_path: Path, value: float, probability: float) -> None:
    """A network that is very sure is not a warning."""
    path = detector_graph(tmp_path / "tiny.onnx", logits=True)
    batch = np.zeros((1, 3, 64, 32), np.float32)
    batch[:, 0] = value
    assert (make_session(path, output={"activation": "logits"}).run(batch) == probability).all()


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_infinite_logits_are_not_taken_for_certainty(tmp_path: Path, value: float) -> None:
    """They stay visible to whoever asks whether the map is finite."""
    path = detector_graph(tmp_path / "tiny.onnx", logits=True)
    batch = np.zeros((1, 3, 64, 32), np.float32)
    batch[0, 0, 5, 6] = value
    maps = make_session(path, output={"activation": "logits"}).run(batch)
    assert np.isnan(maps[0, 5, 6])
    assert np.isfinite(maps).sum() == maps.size - 1


def test_a_run_that_fails_says_so_in_one_line(tmp_path: Path) -> None:
    """An input of the wrong shape is ONNX Runtime's to refuse."""
    session = make_session(detector_graph(tmp_path / "tiny.onnx", dims=(1, 64, 32)))
    with pytest.raises(
        InferenceFailed, match=r"ONNX Runtime could not run the model: .*dimensions"
    ) as caught:
        session.run(make_batch(shape=(3, 64, 64)))
    assert "\n" not in caught.value.detail


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("CUDA failure 2: out of memory ; GPU=0", OutOfDeviceMemory),
        ("Failed to allocate memory for requested buffer of size 1073741824", OutOfDeviceMemory),
        ("CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED", OutOfDeviceMemory),
        ("CUDA failure 700: an illegal memory access was encountered", DeviceLost),
        ("CUDA failure 719: unspecified launch failure", DeviceLost),
        ("CUDA failure 214: uncorrectable ECC error encountered", DeviceLost),
        ("Non-zero status code returned while running Conv node", InferenceFailed),
        ("", InferenceFailed),
    ],
)
def test_the_cause_of_a_failure_is_known_by_the_words_of_onnx_runtime(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str, error: type[InferenceFailed]
) -> None:
    """Out of memory is retried, a lost device is not."""

    def fail(*_: object) -> None:
        raise RuntimeError(words)

    session = make_session(detector_graph(tmp_path / "tiny.onnx"))
    monkeypatch.setattr(session, "_session", type("Broken", (), {"run": fail})())
    with pytest.raises(InferenceFailed) as caught:
        session.run(make_batch())
    assert type(caught.value) is error


@pytest.mark.parametrize("content", [b"", b"a text file\n", None], ids=["empty", "text", "truncated"])
def test_a_file_that_is_no_graph_is_refused_with_the_reason(tmp_path: Path, content: bytes | None) -> None:
    """ONNX Runtime's exception becomes one sentence that names the file."""
    path = detector_graph(tmp_path / "broken.onnx")
    path.write_bytes(path.read_bytes()[:150] if content is None else content)
    with pytest.raises(ManifestInvalid, match=r"broken\.onnx cannot be loaded by ONNX Runtime") as caught:
        make_session(path)
    assert "\n" not in caught.value.detail


@pytest.mark.parametrize(
    ("device", "extra"), [("cuda", "gpu"), ("tensorrt", "gpu"), ("openvino", "openvino")]
)
def test_a_device_that_is_not_installed_is_refused_with_the_extra_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: str, extra: str
) -> None:
    """Nothing falls back to the CPU by itself."""
    monkeypatch.setattr(ort, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(ConfigurationError, match=rf"OCRDET_DEVICE={device} .*Install ocrdet\[{extra}\]"):
        make_session(detector_graph(tmp_path / "tiny.onnx"), SessionPlan(device))


def test_a_device_from_which_onnx_runtime_fell_back_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rule 9: the wheel is for CUDA and the driver is missing, so ONNX Runtime took the CPU quietly."""
    real = ort.InferenceSession
    asked = []

    def fall_back(
        path: str, options: object, *, providers: list[tuple[str, dict[str, str]]], enable_fallback: int
    ) -> object:
        assert enable_fallback == 0  # nor may it do so later, in the middle of serving
        asked.extend(providers)
        return real(path, options, providers=["CPUExecutionProvider"])

    everything = list(PROVIDERS.values())
    monkeypatch.setattr(ort, "get_available_providers", lambda: everything)
    monkeypatch.setattr(ort, "preload_dlls", lambda: None)
    monkeypatch.setattr(ort, "InferenceSession", fall_back)
    plan = SessionPlan("cuda", gpu_mem_limit_bytes=1 << 30)
    with pytest.raises(ConfigurationError, match="fell back to CPUExecutionProvider"):
        make_session(detector_graph(tmp_path / "tiny.onnx"), plan)
    (provider, options), *_ = asked
    assert provider == "CUDAExecutionProvider"
    assert options["gpu_mem_limit"] == str(1 << 30)


def test_a_device_that_breaks_while_a_graph_is_loaded_is_named_and_not_the_graph(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The graph was opened on the CPU before."""

    def fail(*_: object, **__: object) -> object:
        raise RuntimeError("CUDA failure 999: unknown error")

    monkeypatch.setattr(ort, "get_available_providers", lambda: list(PROVIDERS.values()))
    monkeypatch.setattr(ort, "preload_dlls", lambda: None)
    monkeypatch.setattr(ort, "InferenceSession", fail)
    with pytest.raises(
        ConfigurationError, match=r"OCRDET_DEVICE=cuda cannot run tiny\.onnx: CUDA failure 999"
    ):
        make_session(detector_graph(tmp_path / "tiny.onnx"), SessionPlan("cuda"))


@pytest.mark.parametrize(
    ("installed", "device"),
    [
        (["CPUExecutionProvider"], "cpu"),
        (["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"], "cuda"),
        (["OpenVINOExecutionProvider", "CPUExecutionProvider"], "openvino"),
    ],
)
def test_auto_means_the_device_that_onnx_runtime_was_built_for(
    monkeypatch: pytest.MonkeyPatch, installed: list[str], device: str
) -> None:
    """Whoever installed the variant has chosen; TensorRT is taken by name alone."""
    monkeypatch.setattr(ort, "get_available_providers", lambda: installed)
    assert default_device() == device
    assert runtime_facts()["providers"] == installed


def test_a_session_on_the_cpu_names_its_provider(tmp_path: Path) -> None:
    """What the answer says of itself."""
    session = make_session(detector_graph(tmp_path / "tiny.onnx"))
    assert session.provider == "CPUExecutionProvider"
    session.close()


@pytest.mark.parametrize("half", [False, True])
def test_memory_for_a_batch_is_of_the_type_that_the_graph_takes(tmp_path: Path, half: bool) -> None:
    """What is put together in it runs as it is."""
    session = make_session(detector_graph(tmp_path / "tiny.onnx", half=half))
    batch = session.new_batch((2, 3, 64, 32))
    assert batch.shape == (2, 3, 64, 32)
    assert batch.dtype == (np.float16 if half else np.float32)
    batch[...] = 0
    assert session.run(batch).shape == (2, 64, 32)
