"""CPUs and memory that this process may really use, and the threads that follow."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")
# Readiness says no above this share of the cgroup's memory limit.
MEMORY_MARK = 0.92
# Threads of one lane of OpenVINO.
OPENVINO_THREADS = 4
OWN_GROUPS = Path("/proc/self/cgroup")


@dataclass(frozen=True, slots=True)
class ThreadPlan:
    """How the CPUs are shared out.

    Attributes:
        lanes: Runs at one time on the CPU.
        threads: Threads of each of them.
        wide_threads: Threads of the session that serves a lone request; 1 means there is none.
        workers: Threads that decode, fit and find regions.
    """

    lanes: int
    threads: int
    wide_threads: int
    workers: int


def plan_threads(cpus: int, device: str) -> ThreadPlan:
    """Share out the CPUs.

    On the CPU each worker carries its image through one lane, so workers and lanes are one per CPU. OpenVINO
    loses nothing to threads, and each lane keeps memory of its own per shape: it has one for four to seven.
    On an accelerator workers wait for the device most of the time, so there are more of them than CPUs.
    """
    if device == "cpu":
        return ThreadPlan(lanes=cpus, threads=1, wide_threads=cpus, workers=cpus)
    if device == "openvino":
        lanes = max(1, cpus // OPENVINO_THREADS)
        return ThreadPlan(lanes=lanes, threads=cpus // lanes, wide_threads=1, workers=max(cpus, lanes + 1))
    return ThreadPlan(lanes=1, threads=1, wide_threads=1, workers=max(4, 2 * cpus))


def available_cpus(cgroup: Path = CGROUP) -> int:
    """CPUs that affinity and the cgroup quota allow, at least 1."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cpu_quota(cgroup)
    # Rounded up: half a CPU more is better used than left, the kernel throttles the rest.
    return max(1, affinity if quota is None else min(affinity, math.ceil(quota)))


def cpu_quota(cgroup: Path = CGROUP) -> float | None:
    """CPUs that the cgroup allows (v2 `cpu.max`, v1 `cpu.cfs_*`); None without a limit."""
    quotas = []
    for folder in _cgroup_folders(cgroup, "cpu"):
        quota, _, period = _read(folder / "cpu.max").partition(" ")
        quota = quota or _read(folder / "cpu.cfs_quota_us")
        period = period or _read(folder / "cpu.cfs_period_us")
        if quota not in {"", "max"} and int(quota) > 0 and period:
            quotas.append(int(quota) / int(period))
    return min(quotas, default=None)


def memory_limit_bytes(cgroup: Path = CGROUP) -> int | None:
    """Memory that the cgroup allows (v2 `memory.max`, v1 `memory.limit_in_bytes`); None without a limit."""
    limits = []
    for folder in _cgroup_folders(cgroup, "memory"):
        for name in ("memory.max", "memory.limit_in_bytes"):
            text = _read(folder / name)
            # v1 writes "no limit" as the largest page-aligned integer.
            if text not in {"", "max"} and int(text) < 1 << 60:
                limits.append(int(text))
    return min(limits, default=None)


def resident_bytes() -> int:
    """Resident memory of this process; 0 where the system does not tell."""
    fields = _read(Path("/proc/self/statm")).split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE") if len(fields) > 1 else 0


def memory_trouble() -> str | None:
    """Why no more memory should be taken, or None: the cgroup would end the process before long."""
    limit, used = memory_limit_bytes(), resident_bytes()
    if limit is not None and used > MEMORY_MARK * limit:
        return f"{used} of {limit} bytes are used"
    return None


def _cgroup_folders(root: Path, controller: str) -> list[Path]:
    """The process's own cgroup folder and its parents: the tightest of their limits holds."""
    folders: list[Path] = []
    for line in _read(OWN_GROUPS).splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            mount = root
        elif controller in controllers.split(","):
            mount = root / controller
        else:
            continue
        own = mount / path.lstrip("/")
        while own not in (mount, own.parent):
            folders.append(own)
            own = own.parent
        folders.append(mount)
    # Inside a container the path of the host does not exist, and the mount itself is the own group.
    return [*folders, root, root / controller]


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
