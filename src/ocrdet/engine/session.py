"""One ONNX Runtime session: provider verified, graph checked."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import onnxruntime as ort

from ocrdet.engine.inspection import IMAGE_AXES, MAP_AXES, GraphSpec, TensorSpec, check_graph
from ocrdet.engine.presets import propose_presets
from ocrdet.errors import (
    ConfigurationError,
    DeviceLost,
    InferenceFailed,
    ManifestInvalid,
    OutOfDeviceMemory,
)

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from ocrdet.engine.manifest import Manifest

PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
}
EXTRAS = {"cpu": "cpu", "cuda": "gpu", "tensorrt": "gpu", "openvino": "openvino"}
ACCELERATORS = ("cuda", "tensorrt")
OUT_OF_MEMORY = ("out of memory", "failed to allocate memory", "bad_alloc", "status_alloc_failed")
DEVICE_LOST = ("illegal memory access", "launch failure", "device lost", "uncorrectable ecc")


class Session(Protocol):
    """Runs batches; the only thing that knows the device."""

    provider: str
    graph: GraphSpec

    def run(self, batch: NDArray[np.generic]) -> NDArray[np.float32]:
        """Probability maps (N, H, W) float32 in [0, 1] of a batch (N, 3, H, W) or (N, H, W, 3).

        Raises:
            InferenceFailed: The run raised (or one of its subclasses, where the cause is known).
        """
        ...

    def close(self) -> None:
        """Free the device's memory."""
        ...


@dataclass(frozen=True, slots=True)
class SessionPlan:
    """How a session is made.

    Attributes:
        device: cpu, cuda, tensorrt or openvino.
        threads: Threads inside one run on the CPU.
        lanes: Runs at one time that the session is made for; only OpenVINO wants to know beforehand.
        gpu_mem_limit_bytes: Fuse for the CUDA arena; 0 sets none.
    """

    device: str = "cpu"
    threads: int = 1
    lanes: int = 1
    gpu_mem_limit_bytes: int = 0


class OrtSession:
    """A session of ONNX Runtime whose provider is the one asked for."""

    def __init__(self, path: Path, manifest: Manifest, plan: SessionPlan) -> None:
        """Load a graph onto a device and check that both are what they should be.

        Raises:
            ConfigurationError: The device is not there.
            ManifestInvalid: The graph is no detector of this kind, or is not readable.
        """
        self._session = _open(path, plan)
        self.provider = self._session.get_providers()[0]
        if self.provider != PROVIDERS[plan.device]:
            raise ConfigurationError(
                f"OCRDET_DEVICE={plan.device} asked for {PROVIDERS[plan.device]}, but ONNX Runtime fell back "
                f"to {self.provider}. Its driver or libraries are missing; see `ocrdet doctor`."
            )
        self.graph = check_graph(
            [_tensor_spec(node) for node in self._session.get_inputs()],
            [_tensor_spec(node) for node in self._session.get_outputs()],
            manifest,
        )
        self._channel = manifest.output.channel
        self._logits = manifest.output.activation == "logits"

    def run(self, batch: NDArray[np.generic]) -> NDArray[np.float32]:
        """See `Session.run`; a graph of one fixed batch size is filled up with copies of the first image.

        Raises:
            InferenceFailed: The run raised.
        """
        count = len(batch)
        missing = (self.graph.static_batch or count) - count
        if missing > 0:
            batch = np.concatenate([batch, np.repeat(batch[:1], missing, axis=0)])
        try:
            raw = self._session.run([self.graph.output.name], {self.graph.input.name: batch})[0]
        except Exception as error:
            kind, detail = _translate(error)
            raise kind(detail) from error
        return self._as_maps(np.asarray(raw))[:count]

    def close(self) -> None:
        """See `Session.close`."""
        del self._session

    def _as_maps(self, raw: NDArray[Any]) -> NDArray[np.float32]:
        maps = raw
        if maps.ndim == IMAGE_AXES:
            channels_last = self.graph.layout == "NHWC" and maps.shape[3] < maps.shape[1]
            planes = np.moveaxis(maps, 3, 1) if channels_last else maps
            if self._channel >= planes.shape[1]:
                raise ManifestInvalid(
                    f"The manifest takes channel {self._channel} of {self.graph.output.name}, which has only "
                    f"{planes.shape[1]}; they are counted from 0."
                )
            maps = planes[:, self._channel]
        elif maps.ndim == MAP_AXES[0]:
            maps = maps[None]
        values = np.ascontiguousarray(maps, dtype=np.float32)
        return _sigmoid(values) if self._logits else values


def default_device() -> str:
    """The best device that the installed ONNX Runtime was built for: what `auto` means."""
    built_for = ort.get_available_providers()
    for device in ("cuda", "openvino"):
        if PROVIDERS[device] in built_for:
            return device
    return "cpu"


def runtime_facts() -> dict[str, object]:
    """Version and providers of the installed ONNX Runtime, and the CUDA it was built with, if any."""
    return {
        "version": ort.__version__,
        "providers": ort.get_available_providers(),
        "cuda": getattr(ort, "cuda_version", None) or None,
    }


def propose_for_file(path: Path) -> list[str]:
    """Presets that the names in a graph suggest; empty where they say nothing.

    Raises:
        ManifestInvalid: The file is no readable ONNX graph.
    """
    session = _open(path, SessionPlan())
    inputs, outputs = session.get_inputs(), session.get_outputs()
    return propose_presets(inputs[0].name, outputs[0].name) if len(inputs) == len(outputs) == 1 else []


def _sigmoid(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    # tanh cannot overflow as exp does; and an infinite logit is a failure, not a plausible 0 or 1.
    values = 0.5 + 0.5 * np.tanh(0.5 * logits)
    return np.where(np.isfinite(logits), values, np.float32(np.nan))


def _open(path: Path, plan: SessionPlan) -> ort.InferenceSession:
    wanted = PROVIDERS[plan.device]
    if wanted not in ort.get_available_providers():
        raise ConfigurationError(
            f"OCRDET_DEVICE={plan.device} needs {wanted}, which the installed ONNX Runtime has not. Install "
            f"ocrdet[{EXTRAS[plan.device]}] into an environment of its own: the extras cpu, gpu and openvino "
            f"exclude each other."
        )
    if plan.device in ACCELERATORS:
        # The CUDA and cuDNN wheels lie where the loader does not look by itself.
        ort.preload_dlls()
    options = ort.SessionOptions()
    options.intra_op_num_threads = plan.threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # A spinning pool disturbs the other session and burns a CPU while idle.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # The sessions share one arena instead of keeping one each: 335 instead of 549 MB once all shapes are
    # warm, and 3 % faster. (Without memory patterns it would be 213 MB, but 4 % slower.)
    _share_arena()
    options.add_session_config_entry("session.use_env_allocators", "1")
    try:
        return ort.InferenceSession(str(path), options, providers=[(wanted, _provider_options(plan))])
    except Exception as error:
        raise ManifestInvalid(
            f"{path.name} cannot be loaded by ONNX Runtime {ort.__version__}: {_first_line(error)}"
        ) from error


@functools.cache
def _share_arena() -> None:
    """Register the process's one CPU arena; ONNX Runtime refuses a second."""
    memory = ort.OrtMemoryInfo("Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT)
    ort.create_and_register_allocator(memory, ort.OrtArenaCfg(0, -1, -1, -1))


def _provider_options(plan: SessionPlan) -> dict[str, str]:
    if plan.device == "cuda":
        options = {"cudnn_conv_algo_search": "HEURISTIC", "arena_extend_strategy": "kSameAsRequested"}
        if plan.gpu_mem_limit_bytes:
            options["gpu_mem_limit"] = str(plan.gpu_mem_limit_bytes)
        return options
    if plan.device == "openvino":
        # Its threads are those of all streams together, and callers queue up for a stream.
        threads, streams = str(plan.threads * plan.lanes), str(plan.lanes)
        return {
            "device_type": "CPU",
            "precision": "FP32",
            "num_of_threads": threads,
            "num_streams": streams,
        }
    return {}


def _tensor_spec(node: ort.NodeArg) -> TensorSpec:
    dims = tuple(dim if isinstance(dim, int) and dim > 0 else None for dim in node.shape)
    return TensorSpec(node.name, dims, node.type)


def _translate(error: Exception) -> tuple[type[InferenceFailed], str]:
    """Name the cause by ONNX Runtime's words; it has no error classes for these."""
    text = str(error).lower()
    if any(words in text for words in OUT_OF_MEMORY):
        return OutOfDeviceMemory, "The device has not enough memory for this batch."
    if any(words in text for words in DEVICE_LOST):
        return DeviceLost, "The device stopped answering; the process must be restarted."
    return InferenceFailed, f"ONNX Runtime could not run the model: {_first_line(error)}"


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
