"""What a process and all its descendants use together: CPU seconds, resident and proportional memory."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from bench import processes

if TYPE_CHECKING:
    from collections.abc import Callable

MIB = 1024 * 1024
PARENT = 1  # of the fields of /proc/PID/stat behind the name


def cpu_seconds(pid: int) -> float:
    """CPU time that the living processes of the tree have taken."""
    return _sum(processes.cpu_seconds, pid)


def resident_mib(pid: int) -> float:
    """Resident memory; what processes share is counted for each of them."""
    return _sum(processes.resident_bytes, pid) / MIB


def proportional_mib(pid: int) -> float:
    """Resident memory; what processes share is counted once."""
    return _sum(processes.proportional_bytes, pid) / MIB


def _sum(measure: Callable[[int], float], pid: int) -> float:
    total = 0.0
    for each in _find_tree(pid):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            total += measure(each)
    return total


def _find_tree(pid: int) -> list[int]:
    """The process and its descendants."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parent = int(stat.read_text().rpartition(")")[2].split()[PARENT])
            children.setdefault(parent, []).append(int(stat.parent.name))
    found = [pid]
    for each in found:
        found += children.get(each, [])
    return found
