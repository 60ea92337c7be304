"""CPUs and memory that a process may use, read from groups that the test writes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ocrdet.engine import resources
from ocrdet.engine.resources import (
    ThreadPlan,
    available_cpus,
    cpu_quota,
    memory_limit_bytes,
    plan_threads,
    resident_bytes,
)

NO_LIMIT_V1 = "9223372036854771712"


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The mount point of empty groups; the process is in no group until the test says so."""
    monkeypatch.setattr(resources, "OWN_GROUPS", tmp_path / "own")
    return tmp_path


def write(root: Path, files: dict[str, str]) -> None:
    """Write what the kernel would show."""
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text + "\n")


def test_without_groups_there_is_no_limit(groups: Path) -> None:
    """A plain machine."""
    assert cpu_quota(groups) is None
    assert memory_limit_bytes(groups) is None


@pytest.mark.parametrize(
    ("files", "quota", "memory"),
    [
        ({"cpu.max": "150000 100000", "memory.max": "1073741824"}, 1.5, 1 << 30),
        ({"cpu.max": "max 100000", "memory.max": "max"}, None, None),
        (
            {
                "cpu/cpu.cfs_quota_us": "50000",
                "cpu/cpu.cfs_period_us": "100000",
                "memory/memory.limit_in_bytes": "2048",
            },
            0.5,
            2048,
        ),
        (
            {
                "cpu/cpu.cfs_quota_us": "-1",
                "cpu/cpu.cfs_period_us": "100000",
                "memory/memory.limit_in_bytes": NO_LIMIT_V1,
            },
            None,
            None,
        ),
    ],
    ids=["v2", "v2 without limits", "v1", "v1 without limits"],
)
def test_inside_a_container_the_mount_is_the_own_group(
    groups: Path, files: dict[str, str], quota: float | None, memory: int | None
) -> None:
    """Both versions, with and without a limit; the path of the host is not there."""
    write(groups, {"own": "4:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n0::/docker/abc", **files})
    assert cpu_quota(groups) == quota
    assert memory_limit_bytes(groups) == memory


def test_the_tightest_group_on_the_way_up_holds(groups: Path) -> None:
    """A slice may be narrower than the service in it, and the other way round."""
    write(
        groups,
        {
            "own": "0::/outer.slice/inner.service",
            "outer.slice/cpu.max": "100000 100000",
            "outer.slice/memory.max": "4096",
            "outer.slice/inner.service/cpu.max": "400000 100000",
            "outer.slice/inner.service/memory.max": "1024",
        },
    )
    assert cpu_quota(groups) == 1.0
    assert memory_limit_bytes(groups) == 1024


@pytest.mark.parametrize(("quota", "cpus"), [("50000", 1), ("100000", 1), ("150000", 2), ("6400000", 3)])
def test_the_cpus_are_the_quota_rounded_up_within_the_affinity(
    groups: Path, monkeypatch: pytest.MonkeyPatch, quota: str, cpus: int
) -> None:
    """Half a CPU is one thread, and no quota makes more CPUs than there are."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2}, raising=False)
    write(groups, {"own": "0::/", "cpu.max": f"{quota} 100000"})
    assert available_cpus(groups) == cpus


def test_without_a_quota_the_affinity_decides(groups: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And where the system knows no affinity, the number of CPUs does."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 5}, raising=False)
    assert available_cpus(groups) == 2
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert available_cpus(groups) == 1


def test_on_the_cpu_workers_and_lanes_are_one_per_cpu() -> None:
    """A single CPU has no use for a wide session beside the narrow one."""
    assert plan_threads(4, "cpu") == ThreadPlan(lanes=4, threads=1, wide_threads=4, workers=4)
    assert plan_threads(1, "cpu") == ThreadPlan(lanes=1, threads=1, wide_threads=1, workers=1)


@pytest.mark.parametrize(
    ("cpus", "lanes", "threads"), [(1, 1, 1), (2, 1, 2), (4, 1, 4), (6, 1, 6), (8, 2, 4), (16, 4, 4)]
)
def test_openvino_has_a_lane_for_four_to_seven_cpus_and_a_worker_to_prepare_the_next_image(
    cpus: int, lanes: int, threads: int
) -> None:
    """No session is wide: each lane is already, and each keeps memory of its own."""
    plan = plan_threads(cpus, "openvino")
    assert plan == ThreadPlan(lanes, threads, wide_threads=1, workers=max(cpus, 2))
    assert plan.workers > plan.lanes


@pytest.mark.parametrize("device", ["cpu", "openvino"])
@pytest.mark.parametrize("cpus", range(1, 40))
def test_no_more_threads_than_cpus_compute_at_one_time(cpus: int, device: str) -> None:
    """And hardly fewer."""
    plan = plan_threads(cpus, device)
    assert cpus - plan.lanes < plan.lanes * plan.threads <= cpus


@pytest.mark.parametrize("device", ["cuda", "tensorrt"])
def test_an_accelerator_has_one_lane_and_more_workers_than_cpus(device: str) -> None:
    """The workers decode and find regions while the device runs."""
    assert plan_threads(1, device) == ThreadPlan(lanes=1, threads=1, wide_threads=1, workers=4)
    assert plan_threads(8, device).workers == 16


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the system does not tell")
def test_resident_memory_is_that_of_a_python_process() -> None:
    """More than a megabyte, less than a terabyte."""
    assert 1 << 20 < resident_bytes() < 1 << 40
