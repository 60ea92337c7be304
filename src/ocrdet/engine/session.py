"""One ONNX Runtime session: provider verified, graph checked."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import onnxruntime as ort

from ocrdet.engine.inspection import IMAGE_AXES, MAP_AXES, GraphSpec, TensorSpec, check_graph
from ocrdet.engine.presets import propose_presets
from ocrdet.engine.providers import ACCELERATORS, EXTRAS, PROVIDERS, SessionPlan, provider_list
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

    from ocrdet.engine.manifest import Manifest, OutputSpec

OUT_OF_MEMORY = (
    "out of memory",
    "failed to allocate memory",
    "bad_alloc",
    "status_alloc_failed",
    "is smaller than requested bytes",  # the arena, at gpu_mem_limit
)
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

    def new_batch(self, shape: tuple[int, ...]) -> NDArray[np.generic]:
        """Memory for a batch, the number of images first; its values are yet to be written.

        It may be the same memory each time: one batch is filled and run before the next is asked for.
        """
        ...

    def close(self) -> None:
        """Free the device's memory."""
        ...


class OrtSession:
    """A session of ONNX Runtime whose provider is the one asked for."""

    def __init__(self, path: Path, manifest: Manifest, plan: SessionPlan) -> None:
        """Load a graph onto a device and check that both are what they should be.

        Raises:
            ConfigurationError: The device is not there.
            ManifestInvalid: The graph is no detector of this kind, or is not readable.
        """
        self._session = open_session(path, plan)
        self.provider = verified_provider(self._session, plan.device)
        self.graph = check_graph(*tensor_specs(self._session), manifest)
        self._output = manifest.output

    def run(self, batch: NDArray[np.generic]) -> NDArray[np.float32]:
        """See `Session.run`; a graph of one fixed batch size is filled up with copies of the first image.

        Raises:
            InferenceFailed: The run raised.
        """
        count = len(batch)
        batch = fill_up(batch, self.graph)
        try:
            raw = self._session.run([self.graph.output.name], {self.graph.input.name: batch})[0]
        except Exception as error:
            kind, detail = translate_failure(error)
            raise kind(detail) from error
        return read_maps(np.asarray(raw), self.graph, self._output)[:count]

    def new_batch(self, shape: tuple[int, ...]) -> NDArray[np.generic]:
        """See `Session.new_batch`."""
        return np.empty(shape, self.graph.input.dtype)

    def close(self) -> None:
        """See `Session.close`."""
        del self._session


def fill_up(batch: NDArray[np.generic], graph: GraphSpec) -> NDArray[np.generic]:
    """A batch of the one size that a graph takes, filled up with copies of its first image; else itself."""
    missing = (graph.static_batch or len(batch)) - len(batch)
    return np.concatenate([batch, np.repeat(batch[:1], missing, axis=0)]) if missing > 0 else batch


def read_maps(raw: NDArray[Any], graph: GraphSpec, output: OutputSpec) -> NDArray[np.float32]:
    """The probability maps (N, H, W) float32 in what a graph gives.

    Args:
        raw: (N, C, H, W), (N, H, W, C), (N, H, W) or (H, W).
        graph: The graph that gave it.
        output: Which channel to take, and whether it needs a sigmoid.

    Raises:
        ManifestInvalid: There is no such channel as the manifest says.
    """
    maps = raw
    if maps.ndim == IMAGE_AXES:
        channels_last = graph.layout == "NHWC" and maps.shape[3] < maps.shape[1]
        planes = np.moveaxis(maps, 3, 1) if channels_last else maps
        if output.channel >= planes.shape[1]:
            raise ManifestInvalid(
                f"The manifest takes channel {output.channel} of {graph.output.name}, which has only "
                f"{planes.shape[1]}; they are counted from 0."
            )
        maps = planes[:, output.channel]
    elif maps.ndim == MAP_AXES[0]:
        maps = maps[None]
    values = np.ascontiguousarray(maps, dtype=np.float32)
    return _sigmoid(values) if output.activation == "logits" else values


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
    session = open_session(path, SessionPlan())
    inputs, outputs = session.get_inputs(), session.get_outputs()
    return propose_presets(inputs[0].name, outputs[0].name) if len(inputs) == len(outputs) == 1 else []


def _sigmoid(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    # tanh cannot overflow as exp does; and an infinite logit is a failure, not a plausible 0 or 1.
    values = 0.5 + 0.5 * np.tanh(0.5 * logits)
    return np.where(np.isfinite(logits), values, np.float32(np.nan))


def open_session(path: Path, plan: SessionPlan) -> ort.InferenceSession:
    """A session on the device of the plan, its provider not yet verified.

    Raises:
        ConfigurationError: The installed ONNX Runtime was not built for the device, or this cannot be used.
        ManifestInvalid: The file is no readable ONNX graph.
    """
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
        # Without the fall-back that would start anew on the CPU, in the middle of serving.
        return ort.InferenceSession(str(path), options, providers=provider_list(plan), enable_fallback=0)
    except Exception as error:
        if plan.device != "cpu":  # where the graph was opened before, so that it is not to blame
            raise ConfigurationError(
                f"OCRDET_DEVICE={plan.device} cannot run {path.name}: {_first_line(error)}"
            ) from error
        raise ManifestInvalid(
            f"{path.name} cannot be loaded by ONNX Runtime {ort.__version__}: {_first_line(error)}"
        ) from error


def verified_provider(session: ort.InferenceSession, device: str) -> str:
    """The provider that a session runs on.

    Raises:
        ConfigurationError: It is not the one asked for: ONNX Runtime falls back to the CPU by itself.
    """
    provider: str = session.get_providers()[0]
    if provider != PROVIDERS[device]:
        raise ConfigurationError(
            f"OCRDET_DEVICE={device} asked for {PROVIDERS[device]}, but ONNX Runtime fell back "
            f"to {provider}. Its driver or libraries are missing; see `ocrdet doctor`."
        )
    return provider


def tensor_specs(session: ort.InferenceSession) -> tuple[list[TensorSpec], list[TensorSpec]]:
    """The inputs and the outputs of a session."""
    inputs, outputs = session.get_inputs(), session.get_outputs()
    return [_tensor_spec(node) for node in inputs], [_tensor_spec(node) for node in outputs]


@functools.cache
def _share_arena() -> None:
    """Register the process's one CPU arena; ONNX Runtime refuses a second."""
    memory = ort.OrtMemoryInfo("Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT)
    ort.create_and_register_allocator(memory, ort.OrtArenaCfg(0, -1, -1, -1))


def _tensor_spec(node: ort.NodeArg) -> TensorSpec:
    dims = tuple(dim if isinstance(dim, int) and dim > 0 else None for dim in node.shape)
    return TensorSpec(node.name, dims, node.type)


def translate_failure(error: Exception) -> tuple[type[InferenceFailed], str]:
    """The kind of error by ONNX Runtime's words, for it has no classes of these, and what to say of it."""
    text = str(error).lower()
    if any(words in text for words in OUT_OF_MEMORY):
        return OutOfDeviceMemory, "The device has not enough memory for this batch."
    if any(words in text for words in DEVICE_LOST):
        return DeviceLost, "The device stopped answering; the process must be restarted."
    return InferenceFailed, f"ONNX Runtime could not run the model: {_first_line(error)}"


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
