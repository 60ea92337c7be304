"""Reduced precision: only where the device has it and the model is known to find the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ocrdet.engine.precision import DEVICES, LEAST_AGREEMENT, require_precision
from ocrdet.engine.providers import PROVIDERS
from ocrdet.errors import ConfigurationError
from ocrdet.settings import Settings
from tests.unit.engine.pixels import make_manifest

if TYPE_CHECKING:
    from pathlib import Path

GOOD = make_manifest(agreement={"bf16": 0.995, "fp16": LEAST_AGREEMENT})
UNMEASURED = make_manifest()
X86 = "processor\t: 0\nflags\t\t: fpu sse avx512f {}amx_tile\nbugs\t\t: none\n"
ARM = "processor\t: 0\nFeatures\t: fp asimd {}sve\n"


@pytest.fixture
def cpu(tmp_path: Path) -> Path:
    """What Linux says of a CPU with bf16."""
    return write_cpu(tmp_path, X86.format("avx512_bf16 "))


def write_cpu(folder: Path, text: str) -> Path:
    """A file with these facts."""
    (folder / "cpuinfo").write_text(text)
    return folder / "cpuinfo"


def test_every_precision_of_the_settings_has_its_devices() -> None:
    """And they are the ones that there are."""
    assert set(DEVICES) == set(Settings.model_fields["precision"].annotation.__args__)  # type: ignore[union-attr]
    assert set(DEVICES["fp32"]) == set(PROVIDERS)
    assert set().union(*DEVICES.values()) == set(PROVIDERS)


@pytest.mark.parametrize("device", PROVIDERS)
def test_full_precision_is_everywhere(device: str, tmp_path: Path) -> None:
    """Nobody needs to have measured it."""
    require_precision("fp32", device, UNMEASURED, tmp_path / "missing")


@pytest.mark.parametrize(
    ("precision", "device"), [("bf16", "openvino"), ("fp16", "cuda"), ("fp16", "tensorrt")]
)
def test_a_precision_that_finds_the_same_regions_is_served(precision: Any, device: str, cpu: Path) -> None:  # noqa: ANN401 - a Literal
    """At the least agreement, and above; a GPU asks nothing of the CPU."""
    require_precision(precision, device, GOOD, cpu if device == "openvino" else cpu.with_name("missing"))


@pytest.mark.parametrize(
    ("precision", "device", "right"),
    [
        ("bf16", "cpu", "openvino"),
        ("bf16", "cuda", "openvino"),
        ("bf16", "tensorrt", "openvino"),
        ("fp16", "cpu", "cuda or tensorrt"),
        ("fp16", "openvino", "cuda or tensorrt"),
    ],
)
def test_a_device_without_the_precision_is_refused_with_those_that_have_it(
    precision: Any,  # noqa: ANN401 - a Literal
    device: str,
    right: str,
    cpu: Path,
) -> None:
    """In words that can be typed."""
    message = rf"OCRDET_PRECISION={precision} works with OCRDET_DEVICE={right}; the device is {device}\."
    with pytest.raises(ConfigurationError, match=message):
        require_precision(precision, device, GOOD, cpu)


@pytest.mark.parametrize("text", [X86, ARM], ids=["x86", "Arm"])
def test_a_cpu_without_bf16_is_refused(tmp_path: Path, text: str) -> None:
    """It would emulate it, slower than full precision."""
    with pytest.raises(ConfigurationError, match="needs a CPU with bf16 instructions"):
        require_precision("bf16", "openvino", GOOD, write_cpu(tmp_path, text.format("")))


@pytest.mark.parametrize(
    "text",
    [X86.format("avx512_bf16 "), X86.format("amx_bf16 "), ARM.format("bf16 ")],
    ids=["AVX-512", "AMX", "Arm"],
)
def test_a_cpu_with_bf16_in_any_of_its_forms_will_do(tmp_path: Path, text: str) -> None:
    """By Linux's names for them."""
    require_precision("bf16", "openvino", GOOD, write_cpu(tmp_path, text))


def test_a_system_that_does_not_tell_has_no_bf16(tmp_path: Path) -> None:
    """Neither without the file nor with another one."""
    for facts in (tmp_path / "missing", write_cpu(tmp_path, "nothing: known\n")):
        with pytest.raises(ConfigurationError, match="needs a CPU with bf16"):
            require_precision("bf16", "openvino", GOOD, facts)


@pytest.mark.parametrize(
    ("agreement", "measured"),
    [
        ({}, "was never measured"),
        ({"fp16": 1.0}, "was never measured"),
        ({"bf16": 0.98}, "was measured as 0.98"),
    ],
    ids=str,
)
def test_a_model_that_is_not_known_to_find_the_same_is_refused_with_what_to_measure(
    agreement: dict[str, float], measured: str, cpu: Path
) -> None:
    """What was measured of another precision does not count."""
    with pytest.raises(
        ConfigurationError, match=f"refused for tiny: its agreement with fp32 {measured}"
    ) as caught:
        require_precision("bf16", "openvino", make_manifest(agreement=agreement), cpu)
    assert '"agreement": {"bf16": ...}' in caught.value.detail
