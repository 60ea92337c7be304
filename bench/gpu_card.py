"""What `nvidia-smi` tells of the first card; nothing where there is none."""

from __future__ import annotations

import contextlib
import subprocess
from statistics import mean
from typing import Self

PROGRAM = "nvidia-smi"
FORMAT = "--format=csv,noheader,nounits"
EVERY_MS = 100
TIMEOUT_S = 20.0


def describe_card() -> str:
    """Name, memory and driver."""
    rows = _query("gpu", "name", "memory.total", "driver_version")
    return "{}, {} MiB, driver {}".format(*rows[0]) if rows else "no card"


def used_mib() -> float | None:
    """Memory that is taken on the card, by whomever."""
    return _number(_query("gpu", "memory.used"))


def process_mib(pid: int, before_mib: float | None) -> tuple[float | None, str]:
    """Memory that a process has taken on the card, and by which count.

    Args:
        pid: Of the process.
        before_mib: What was taken on the card before it started: a container hides which process takes what,
            and then the whole card's growth is told instead.
    """
    own = [row[1:] for row in _query("compute-apps", "pid", "used_memory") if row[0] == str(pid)]
    if (told := _number(own)) is not None:
        return told, "process"
    now_mib = used_mib()
    return (None if now_mib is None or before_mib is None else now_mib - before_mib), "growth of the card"


class Busy:
    """Samples how busy the card is while a block runs.

    Attributes:
        percent: Mean share of time in which a kernel ran, once the block has ended; None where nobody tells.
    """

    def __init__(self) -> None:
        """Sample from the beginning of the block on."""
        self.percent: float | None = None
        self._sampler: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        """Start to sample."""
        command = [PROGRAM, "--query-gpu=utilization.gpu", FORMAT, "--id=0", f"--loop-ms={EVERY_MS}"]
        with contextlib.suppress(OSError):  # there is no such program
            self._sampler = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
            )
        return self

    def __exit__(self, *_: object) -> None:
        """Stop, and sum up."""
        if self._sampler is None:
            return
        self._sampler.terminate()
        lines = self._sampler.communicate(timeout=TIMEOUT_S)[0].split()
        # The first ones are of the time before the load.
        told = [int(line) for line in lines[2:] if line.isdigit()]
        self.percent = round(mean(told), 1) if told else None


def _query(what: str, *fields: str) -> list[list[str]]:
    command = [PROGRAM, f"--query-{what}={','.join(fields)}", FORMAT, "--id=0"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return [[field.strip() for field in line.split(",")] for line in done.stdout.splitlines() if line.strip()]


def _number(rows: list[list[str]]) -> float | None:
    try:
        return float(rows[0][0])
    except (IndexError, ValueError):
        return None
