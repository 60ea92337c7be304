"""Which precisions a model may be run in, and where."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ocrdet.errors import ConfigurationError

if TYPE_CHECKING:
    from ocrdet.engine.manifest import Manifest
    from ocrdet.engine.providers import Precision

CPU_FACTS = Path("/proc/cpuinfo")
# Part of the regions of fp32 that a reduced precision must find again before it may be served.
LEAST_AGREEMENT = 0.99
DEVICES = {
    "fp32": ("cpu", "openvino", "cuda", "tensorrt"),
    "bf16": ("openvino",),
    "fp16": ("cuda", "tensorrt"),
}
# What Linux calls the instructions, on x86 and on Arm. Without them bf16 is emulated, slower than fp32.
BF16_FLAGS = frozenset({"avx512_bf16", "amx_bf16", "bf16"})


def require_precision(
    precision: Precision, device: str, manifest: Manifest, cpu_facts: Path = CPU_FACTS
) -> None:
    """Refuse a precision that the device has not, or that is not known to find the same regions.

    Raises:
        ConfigurationError: What is missing, and what to do.
    """
    if precision == "fp32":
        return
    name = f"OCRDET_PRECISION={precision}"
    if device not in DEVICES[precision]:
        raise ConfigurationError(
            f"{name} works with OCRDET_DEVICE={' or '.join(DEVICES[precision])}; the device is {device}."
        )
    if precision == "bf16" and not BF16_FLAGS & cpu_flags(cpu_facts):
        raise ConfigurationError(f"{name} needs a CPU with bf16 instructions (AVX-512 BF16 or AMX on x86).")
    agreement = manifest.agreement.get(precision)
    if agreement is None or agreement < LEAST_AGREEMENT:
        measured = "was never measured" if agreement is None else f"was measured as {agreement:g}"
        raise ConfigurationError(
            f"{name} is refused for {manifest.name}: its agreement with fp32 {measured}, and at least "
            f"{LEAST_AGREEMENT} is needed. Measure it (docs/models.md) and write it into the manifest as "
            f'"agreement": {{"{precision}": ...}}.'
        )


def cpu_flags(facts: Path = CPU_FACTS) -> frozenset[str]:
    """What the CPU can do, in Linux's words; nothing where it does not tell."""
    try:
        lines = facts.read_text("utf-8", "replace").splitlines()
    except OSError:
        return frozenset()
    for line in lines:
        key, _, value = line.partition(":")
        if key.strip() in {"flags", "Features"}:
            return frozenset(value.split())
    return frozenset()
