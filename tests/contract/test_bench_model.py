"""The model of the benchmark is the one that it stands for."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from bench.resnet18 import SIDES, build_resnet18, count_macs, count_parameters


def test_it_has_the_parameters_of_the_original() -> None:
    """ResNet-18, neck and probability head together have 12.18 million."""
    assert count_parameters(build_resnet18(64)) == 12_176_513


@pytest.mark.parametrize(("side", "gmacs"), list(zip(SIDES, (24.8, 38.8, 63.6), strict=True)))
def test_it_takes_the_work_of_the_original(side: int, gmacs: float) -> None:
    """Multiplications at the three input sizes that people export."""
    assert count_macs(build_resnet18(side)) / 1e9 == pytest.approx(gmacs, abs=0.05)


def test_its_map_is_calm_and_without_text() -> None:
    """Random weights give probabilities that differ from pixel to pixel, all below the binary threshold."""
    model = build_resnet18(96)
    onnx.checker.check_model(model, full_check=True)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    image = np.random.default_rng(0).uniform(-0.5, 0.5, (1, 3, 96, 96)).astype(np.float32)
    (values,) = session.run(["pred"], {"images": image})
    assert values.shape == (1, 96, 96)
    assert 0.0 < values.min() < values.max() < 0.2
