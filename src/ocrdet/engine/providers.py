"""ONNX Runtime's execution providers: their names, where they come from, and how each is set up."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pathlib import Path

PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
}
EXTRAS = {"cpu": "cpu", "cuda": "gpu", "tensorrt": "gpu", "openvino": "openvino"}
ACCELERATORS = ("cuda", "tensorrt")
Precision = Literal["fp32", "bf16", "fp16"]


@dataclass(frozen=True, slots=True)
class SessionPlan:
    """How a session is made.

    Attributes:
        device: cpu, cuda, tensorrt or openvino.
        threads: Threads inside one run on the CPU.
        lanes: Runs at one time that the session is made for; only OpenVINO wants to know beforehand.
        precision: What the device computes in; fp16 on CUDA is a matter of the graph instead.
        input_shape: Name and shape of the image input that OpenVINO is to compile for; "" for any shape.
        gpu_mem_limit_bytes: Fuse for the CUDA arena; 0 sets none.
        cuda_graphs: Whether runs are captured once and replayed.
        engine_cache: Folder where TensorRT keeps what it has compiled; None keeps nothing.
    """

    device: str = "cpu"
    threads: int = 1
    lanes: int = 1
    precision: Precision = "fp32"
    input_shape: str = ""
    gpu_mem_limit_bytes: int = 0
    cuda_graphs: bool = False
    engine_cache: Path | None = None


def provider_list(plan: SessionPlan) -> list[tuple[str, dict[str, str]]]:
    """The providers of a plan with their options, as ONNX Runtime wants them, the most wanted first.

    What TensorRT has no operator for runs on CUDA, not on the CPU.
    """
    behind = [(PROVIDERS["cuda"], _cuda(plan))] if plan.device == "tensorrt" else []
    return [(PROVIDERS[plan.device], provider_options(plan)), *behind]


def provider_options(plan: SessionPlan) -> dict[str, str]:
    """The options of the plan's own provider."""
    if plan.device == "cuda":
        return _cuda(plan)
    if plan.device == "tensorrt":
        return _tensorrt(plan)
    return _openvino(plan) if plan.device == "openvino" else {}


def _cuda(plan: SessionPlan) -> dict[str, str]:
    options = {
        # Trying every algorithm takes minutes over all shapes, and its largest workspace stays allocated.
        "cudnn_conv_algo_search": "HEURISTIC",
        "cudnn_conv_use_max_workspace": "0",
        "arena_extend_strategy": "kSameAsRequested",
        # Its 10 bits would be no fp32.
        "use_tf32": "0",
    }
    if plan.gpu_mem_limit_bytes:
        options["gpu_mem_limit"] = str(plan.gpu_mem_limit_bytes)
    if plan.cuda_graphs:
        options["enable_cuda_graph"] = "1"
    return options


def _tensorrt(plan: SessionPlan) -> dict[str, str]:
    options = {"trt_fp16_enable": "1" if plan.precision == "fp16" else "0"}
    if plan.engine_cache is not None:
        # Compiling takes minutes; what was compiled is good for the same graph, card and version.
        folder = str(plan.engine_cache)
        options |= {"trt_engine_cache_enable": "1", "trt_engine_cache_path": folder}
        options |= {"trt_timing_cache_enable": "1", "trt_timing_cache_path": folder}
    return options


def _openvino(plan: SessionPlan) -> dict[str, str]:
    settings = {
        "INFERENCE_PRECISION_HINT": {"fp32": "f32", "bf16": "bf16", "fp16": "f16"}[plan.precision],
        # The threads of all streams together; callers queue up for a stream.
        "INFERENCE_NUM_THREADS": str(plan.threads * plan.lanes),
        "NUM_STREAMS": str(plan.lanes),
    }
    options = {"device_type": "CPU", "load_config": json.dumps({"CPU": settings})}
    if plan.input_shape:
        options["reshape_input"] = plan.input_shape
    return options
