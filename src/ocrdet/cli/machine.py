"""What `ocrdet doctor` looks at outside ocrdet: CPUs, memory, disk, port, device."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from ocrdet.api.listener import Listener
from ocrdet.cli.finding import Finding
from ocrdet.cli.temporary import check_temporary_folder
from ocrdet.engine.resources import available_cpus, cpu_quota, memory_limit_bytes, plan_threads
from ocrdet.errors import ConfigurationError

if TYPE_CHECKING:
    from ocrdet.settings import Settings

MIB = 1024 * 1024
# Measured with the embedded model: the process with its sessions, and what each run holds beside it.
PROCESS_BYTES = 400 * MIB
LANE_BYTES = 100 * MIB
# Three channels, and once more for the upright copy or a format that is not RGB.
BYTES_PER_PIXEL = 3 * 2
# The CUDA 13 wheels of the extra `gpu` run on this NVIDIA driver and every later one.
OLDEST_DRIVER = "580.65.06"
ANSWER_TIMEOUT_S = 3
MOST_ANSWER_BYTES = 10_000
ANY_ADDRESS = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - looked up, not bound


def check_cpu(settings: Settings) -> Finding:
    """CPUs that affinity and quota leave, and how they are shared out."""
    cpus, quota = available_cpus(), cpu_quota()
    plan = plan_threads(settings.threads or cpus, "cpu")
    found = f"{cpus} of {os.cpu_count()} CPUs usable, quota {'none' if quota is None else f'{quota:g}'}"
    if settings.threads > cpus:
        return Finding(
            "cpu",
            "warn",
            f"{found}: OCRDET_THREADS={settings.threads} is more. Leave it at 0 to take what there is.",
        )
    return Finding("cpu", "ok", f"{found}: {plan.lanes} lanes on the CPU provider")


def worst_case_bytes(settings: Settings) -> int:
    """Memory that this process may take at the limits of its settings.

    process + lanes x run + admitted bytes + pixels in work x 6, where the pixels in work are bounded by
    OCRDET_MAX_INFLIGHT_PIXELS and by one largest image per thread; one image alone always passes.
    """
    lanes = plan_threads(settings.threads or available_cpus(), "cpu").lanes
    pixels = min(settings.max_inflight_pixels, lanes * settings.max_image_pixels)
    pixels = max(pixels, settings.max_image_pixels)
    return PROCESS_BYTES + lanes * LANE_BYTES + settings.max_inflight_bytes + pixels * BYTES_PER_PIXEL


def check_memory(settings: Settings) -> Finding:
    """The memory limit held against the worst case."""
    limit = memory_limit_bytes()
    owner = "the cgroup allows" if limit else "the machine has"
    memory = limit or os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    worst = worst_case_bytes(settings)
    found = f"{owner} {memory // MIB} MiB, at most {worst // MIB} MiB are needed at the limits that are set"
    if worst > memory:
        return Finding(
            "memory",
            "warn",
            f"{found}. Give it more, or lower OCRDET_MAX_INFLIGHT_BYTES, OCRDET_MAX_INFLIGHT_PIXELS and "
            f"OCRDET_MAX_IMAGE_PIXELS.",
        )
    return Finding("memory", "ok", found)


def check_temporary(settings: Settings) -> Finding:
    """The folder for temporary files."""
    try:
        folder = settings.tmp_dir or Path(tempfile.gettempdir())
        free = check_temporary_folder(folder)
    except (ConfigurationError, FileNotFoundError) as error:
        # Where no folder was named, nothing on the ordinary path needs one.
        return Finding("temporary", "fail" if settings.tmp_dir else "warn", str(error))
    return Finding("temporary", "ok", f"{folder}, {free // MIB} MiB free")


def check_port(settings: Settings) -> Finding:
    """Whether the address can be listened on, and who does already."""
    try:
        with Listener.open(settings.host, settings.port, settings.uds) as listener:
            return Finding("port", "ok", f"{listener.url} can be listened on")
    except ConfigurationError as error:
        serving = _running_ocrdet(settings)
        if serving is None:
            return Finding("port", "fail", error.detail)
        return Finding(
            "port", "warn", f"ocrdet serves there already ({serving}). A second one needs its own."
        )


def check_device(settings: Settings) -> Finding:
    """Where the model will run, and whether the driver for it is there."""
    from ocrdet.engine.providers import ACCELERATORS, PROVIDERS
    from ocrdet.engine.session import default_device, runtime_facts

    device = default_device() if settings.device == "auto" else settings.device
    built_for = runtime_facts()["providers"]
    gpu = nvidia_gpu()
    if isinstance(built_for, list) and PROVIDERS[device] not in built_for:
        return Finding(
            "device",
            "fail",
            f"OCRDET_DEVICE={device} needs {PROVIDERS[device]}, which the installed ONNX Runtime has not. "
            f"Install the extra for it (cpu, gpu or openvino) in place of the one there is.",
        )
    if device not in ACCELERATORS:
        if gpu is not None and settings.device == "auto":
            return Finding(
                "device", "warn", f"{device}, but there is a GPU ({gpu[0]}): the extra gpu would use it."
            )
        return Finding("device", "ok", device)
    if gpu is None:
        return Finding(
            "device",
            "fail",
            f"{device}: nvidia-smi does not answer. Install NVIDIA driver {OLDEST_DRIVER} or later "
            f"(a container: start it with the GPU), or set OCRDET_DEVICE=cpu.",
        )
    name, driver = gpu
    if _numbers(driver) < _numbers(OLDEST_DRIVER):
        return Finding(
            "device",
            "fail",
            f"{name} has driver {driver}, older than {OLDEST_DRIVER}. Renew it, or set OCRDET_DEVICE=cpu.",
        )
    return Finding("device", "ok", f"{device} on {name}, driver {driver}")


def nvidia_gpu() -> tuple[str, str] | None:
    """Name and driver version of the first NVIDIA GPU; None where nvidia-smi does not answer with one."""
    query = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=20, check=True)  # noqa: S603 - fixed words
    except (OSError, subprocess.SubprocessError):
        return None
    name, separator, driver = (answer.stdout.splitlines() or [""])[0].rpartition(", ")
    return (name, driver) if separator and driver[:1].isdigit() else None


def _running_ocrdet(settings: Settings) -> str | None:
    """How the ocrdet at the address says it is; None where nothing, or something else, answers."""
    connection = http.client.HTTPConnection(
        ANY_ADDRESS.get(settings.host, settings.host), settings.port, timeout=ANSWER_TIMEOUT_S
    )
    try:
        if settings.uds is not None:
            connection.sock = socket.socket(socket.AF_UNIX)
            connection.sock.settimeout(ANSWER_TIMEOUT_S)
            connection.sock.connect(str(settings.uds))
        connection.request("GET", "/healthz")
        health = json.loads(connection.getresponse().read(MOST_ANSWER_BYTES))
        return f"status {health['status']}, model {health.get('model', 'not ready')}"
    except (OSError, http.client.HTTPException, ValueError, LookupError, TypeError, AttributeError):
        return None
    finally:
        connection.close()


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".") if part.isdigit()]
