"""What each execution provider is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import onnxruntime as ort
import pytest

from ocrdet.engine.providers import (
    ACCELERATORS,
    EXTRAS,
    PROVIDERS,
    SessionPlan,
    provider_list,
    provider_options,
)
from ocrdet.settings import Settings


def test_every_device_of_the_settings_has_a_provider_and_an_extra() -> None:
    """And each of them is one that ONNX Runtime knows by this name."""
    devices = set(Settings.model_fields["device"].annotation.__args__) - {"auto"}  # type: ignore[union-attr]
    assert set(PROVIDERS) == set(EXTRAS) == devices
    assert set(PROVIDERS.values()) <= set(ort.get_all_providers())
    assert set(ACCELERATORS) < devices


def test_the_cpu_needs_no_options() -> None:
    """Its threads are the session's."""
    assert provider_options(SessionPlan("cpu", threads=4, gpu_mem_limit_bytes=1, cuda_graphs=True)) == {}


def test_cuda_keeps_its_memory_small_and_chooses_algorithms_quickly() -> None:
    """What is left out is ONNX Runtime's own: no fuse, no capturing."""
    options = provider_options(SessionPlan("cuda"))
    assert options["cudnn_conv_algo_search"] == "HEURISTIC"
    assert not {"gpu_mem_limit", "enable_cuda_graph"} & options.keys()


def test_cuda_has_a_fuse_and_captures_if_asked() -> None:
    """Numbers are text in options."""
    options = provider_options(SessionPlan("cuda", gpu_mem_limit_bytes=1 << 30, cuda_graphs=True))
    assert options["gpu_mem_limit"] == "1073741824"
    assert options["enable_cuda_graph"] == "1"


@pytest.mark.parametrize(("precision", "expected"), [("fp32", "0"), ("fp16", "1")])
def test_tensorrt_computes_in_the_precision_asked_for(precision: Any, expected: str) -> None:  # noqa: ANN401 - a Literal
    """It converts by itself; CUDA is given another graph instead, and no option."""
    assert provider_options(SessionPlan("tensorrt", precision=precision)) == {"trt_fp16_enable": expected}
    assert provider_options(SessionPlan("cuda", precision=precision)) == provider_options(SessionPlan("cuda"))


def test_tensorrt_keeps_what_it_has_compiled_if_there_is_a_folder() -> None:
    """Engines, and the timings by which it chose."""
    options = provider_options(SessionPlan("tensorrt", engine_cache=Path("/cache/tensorrt")))
    for what in ("engine", "timing"):
        assert options[f"trt_{what}_cache_enable"] == "1"
        assert options[f"trt_{what}_cache_path"] == "/cache/tensorrt"


@pytest.mark.parametrize(("precision", "hint"), [("fp32", "f32"), ("bf16", "bf16"), ("fp16", "f16")])
def test_openvino_is_told_precision_threads_and_lanes_beforehand(precision: Any, hint: str) -> None:  # noqa: ANN401 - a Literal
    """Left alone it computes in bf16 wherever it can; with one stream the lanes would wait for each other."""
    options = provider_options(SessionPlan("openvino", threads=4, lanes=3, precision=precision))
    assert options["device_type"] == "CPU"
    settings = json.loads(options["load_config"])["CPU"]
    assert settings == {"INFERENCE_PRECISION_HINT": hint, "INFERENCE_NUM_THREADS": "12", "NUM_STREAMS": "3"}
    assert "reshape_input" not in options


def test_openvino_compiles_for_the_shape_it_is_told() -> None:
    """In its own words for it."""
    options = provider_options(SessionPlan("openvino", input_shape="x[1,3,64,32]"))
    assert options["reshape_input"] == "x[1,3,64,32]"


def test_what_tensorrt_cannot_do_is_done_by_cuda() -> None:
    """And not by the CPU, which ONNX Runtime puts last by itself; every other device stands alone."""
    plan = SessionPlan("tensorrt", gpu_mem_limit_bytes=123)
    (first, own), (second, behind) = provider_list(plan)
    assert (first, second) == (PROVIDERS["tensorrt"], PROVIDERS["cuda"])
    assert own == provider_options(plan)
    assert behind["gpu_mem_limit"] == "123"
    for device in ("cpu", "cuda", "openvino"):
        assert provider_list(SessionPlan(device)) == [
            (PROVIDERS[device], provider_options(SessionPlan(device)))
        ]


def test_fp32_on_cuda_is_fp32() -> None:
    """Not the ten bits that the card would take for convolutions by itself."""
    assert provider_options(SessionPlan("cuda"))["use_tf32"] == "0"
