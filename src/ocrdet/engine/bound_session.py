"""A session on an accelerator whose input and output lie where they always lie.

Each batch shape has its own buffers for good: one that the host fills, part of a block whose pages are locked
so that the device fetches them by itself; one on the device; and the maps. Nothing is allocated while it
serves, and a run can be captured once as a CUDA graph and replayed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime as ort

from ocrdet.engine.inspection import pixel_graph
from ocrdet.engine.page_lock import PageLock
from ocrdet.engine.session import (
    fill_up,
    open_session,
    read_maps,
    tensor_specs,
    translate_failure,
    verified_provider,
)

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import DTypeLike, NDArray

    from ocrdet.engine.manifest import Manifest
    from ocrdet.engine.providers import SessionPlan

# Names the captured graph of each batch shape; this one says that a run is not to be captured.
GRAPH_KEY = "gpu_graph_id"
UNCAPTURED = "-1"


@dataclass(slots=True)
class _Binding:
    """The buffers of one batch shape.

    Attributes:
        host: What the host fills.
        device: The same on the device.
        binding: Both ends of a run, by address.
        options: Says which captured graph a run is.
        maps: What the run writes: on the device if runs are captured, else on the host.
        host_maps: The same on the host.
    """

    host: NDArray[np.generic]
    device: ort.OrtValue
    binding: ort.IOBinding
    options: ort.RunOptions
    maps: ort.OrtValue
    host_maps: ort.OrtValue


class BoundSession:
    """A session for one thread alone: its owner, which also made it."""

    def __init__(self, path: Path, manifest: Manifest, plan: SessionPlan, *, memory: str = "cuda") -> None:
        """Load a graph onto a device; buffers are made as batch shapes are first met, in the warm-up.

        Args:
            path: The graph, rewritten to take pixels.
            manifest: Of the model.
            plan: The device.
            memory: ONNX Runtime's name of the device's memory.

        Raises:
            ConfigurationError: The device is not there.
            ManifestInvalid: The graph is not readable.
        """
        self._session = open_session(path, plan)
        self.provider = verified_provider(self._session, plan.device)
        self.graph = pixel_graph(*tensor_specs(self._session), manifest)
        self._output = manifest.output
        self._captures = plan.cuda_graphs
        self._memory = memory
        self._lock = PageLock()
        self._bindings: dict[tuple[int, ...], _Binding] = {}
        # One batch is filled, run and read before the next: all shapes share the host's memory.
        self._host = self._host_maps = np.empty(0, np.uint8)

    def run(self, batch: NDArray[np.generic]) -> NDArray[np.float32]:
        """See `Session.run`; the maps are overwritten by the next run.

        Raises:
            InferenceFailed: The run raised.
        """
        count = len(batch)
        batch = fill_up(batch, self.graph)
        try:
            buffers = self._buffers(batch.shape)
            if batch is not buffers.host:
                np.copyto(buffers.host, batch)
            buffers.device.update_inplace(buffers.host)
            self._session.run_with_iobinding(buffers.binding, buffers.options)
            if self._captures:  # a captured run may not copy to the host
                buffers.host_maps.update_inplace(buffers.maps)
            raw = buffers.host_maps.numpy()
        except Exception as error:
            kind, detail = translate_failure(error)
            raise kind(detail) from error
        return read_maps(raw, self.graph, self._output)[:count]

    def new_batch(self, shape: tuple[int, ...]) -> NDArray[np.generic]:
        """See `Session.new_batch`: the locked memory of this batch shape.

        Raises:
            InferenceFailed: There is no memory for its buffers.
        """
        if self.graph.static_batch not in {None, shape[0]}:
            return np.empty(shape, self.graph.input.dtype)  # to be filled up
        try:
            return self._buffers(shape).host
        except Exception as error:
            kind, detail = translate_failure(error)
            raise kind(detail) from error

    def close(self) -> None:
        """See `Session.close`."""
        self._bindings.clear()
        self._lock.release()
        del self._session

    def _buffers(self, shape: tuple[int, ...]) -> _Binding:
        found = self._bindings.get(shape)
        if found is None:
            found = self._bindings[shape] = self._bind(shape)
        return found

    def _bind(self, shape: tuple[int, ...]) -> _Binding:
        dtype = self.graph.input.dtype
        self._host = self._at_least(self._host, shape, dtype)
        host = _viewed(self._host, shape, dtype)
        host[...] = 0
        device = ort.OrtValue.ortvalue_from_shape_and_type(shape, dtype, self._memory, 0)
        device.update_inplace(host)
        binding = self._session.io_binding()
        binding.bind_ortvalue_input(self.graph.input.name, device)
        # The first run is for its output's shape, which not every graph tells.
        binding.bind_output(self.graph.output.name, "cpu")
        options = ort.RunOptions()
        options.add_run_config_entry(GRAPH_KEY, UNCAPTURED)
        self._session.run_with_iobinding(binding, options)
        like = binding.get_outputs()[0].numpy()
        self._host_maps = self._at_least(self._host_maps, like.shape, like.dtype)
        host_maps = maps = ort.OrtValue.ortvalue_from_numpy(
            _viewed(self._host_maps, like.shape, like.dtype), "cpu"
        )
        if self._captures:
            maps = ort.OrtValue.ortvalue_from_shape_and_type(like.shape, like.dtype, self._memory, 0)
            options = ort.RunOptions()
            options.add_run_config_entry(GRAPH_KEY, str(len(self._bindings) + 1))
        binding.clear_binding_outputs()
        binding.bind_ortvalue_output(self.graph.output.name, maps)
        return _Binding(host, device, binding, options, maps, host_maps)

    def _at_least(
        self, memory: NDArray[np.uint8], shape: tuple[int, ...], dtype: DTypeLike
    ) -> NDArray[np.uint8]:
        """Locked memory that holds such an array: the same, or more where it is too small."""
        size = math.prod(shape) * np.dtype(dtype).itemsize
        return memory if memory.nbytes >= size else self._lock.allocate((size,), np.uint8)


def _viewed(memory: NDArray[np.uint8], shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    return memory[: math.prod(shape) * np.dtype(dtype).itemsize].view(dtype).reshape(shape)
