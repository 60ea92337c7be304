"""One process of fuzzing; `run.py` starts it, and reads what it writes."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import sys
import time
import traceback
from collections import Counter
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

HANG_S = 10.0
MAX_INPUT_BYTES = 16_384
# Beyond what the first bodies made it take, a process that forgets nothing would grow on and on.
MAX_GROWTH_MIB, SETTLED_AFTER = 400, 5_000
REPORT_EVERY = 500


class Watched:
    """Puts each input through a target, and remembers what came of it.

    Attributes:
        facts: What `run.py` is told.
    """

    def __init__(self, target: Callable[[bytes], str], report: Path, findings: Path, bodies: int) -> None:
        """Take so many inputs, then end the process."""
        self._target, self._report, self._findings, self._bodies = target, report, findings, bodies
        self._began = time.perf_counter()
        self._ends: Counter[str] = Counter()
        self._seen: set[str] = set()
        self._settled_mib = 0.0
        self.facts: dict[str, Any] = {"bodies": 0, "slowest_s": 0.0, "slowest": "", "findings": 0}

    def __call__(self, data: bytes) -> None:
        """One input."""
        began = time.perf_counter()
        try:
            end = self._target(data)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a finding, and the next input follows
            end = f"FINDING {type(error).__name__}"
            self._keep(data, _place(error), traceback.format_exc())
        took_s = time.perf_counter() - began
        self._ends[end] += 1
        facts = self.facts
        facts["bodies"] += 1
        if took_s > facts["slowest_s"]:
            facts["slowest_s"] = round(took_s, 3)
            facts["slowest"] = f"{end}, {len(data)} bytes"
            (self._findings / f"slowest-{os.getpid()}").write_bytes(data)
        if took_s > HANG_S:
            self._keep(data, "hang", f"took {took_s:.1f} s")
        if facts["bodies"] % REPORT_EVERY == 0 or facts["bodies"] >= self._bodies:
            self._tell(data)
        if facts["bodies"] >= self._bodies:
            # libFuzzer has no end of its own that lets Python's threads go.
            os._exit(0)

    def _keep(self, data: bytes, place: str, words: str) -> None:
        """One input for each place where something went wrong."""
        self.facts["findings"] += 1
        name = hashlib.sha256(place.encode()).hexdigest()[:12]
        if name not in self._seen:
            self._seen.add(name)
            (self._findings / name).write_bytes(data)
            (self._findings / f"{name}.txt").write_text(f"{place}\n{words}", encoding="utf-8")

    def _tell(self, data: bytes) -> None:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        now_mib = pages * resource.getpagesize() / 2**20
        peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        self._settled_mib = self._settled_mib if self.facts["bodies"] > SETTLED_AFTER else now_mib
        if now_mib - self._settled_mib > MAX_GROWTH_MIB:
            self._keep(data, "memory", f"grew from {self._settled_mib:.0f} to {now_mib:.0f} MiB")
        self.facts |= {
            "ends": dict(self._ends.most_common()),
            "seconds": round(time.perf_counter() - self._began, 1),
            "settled_mib": round(self._settled_mib),
            "last_mib": round(now_mib),
            "peak_mib": round(peak_mib),
        }
        self._report.with_suffix(".new").write_text(json.dumps(self.facts), encoding="utf-8")
        self._report.with_suffix(".new").replace(self._report)


def _place(error: BaseException) -> str:
    """Which error, and the last places in the project's own code and below it."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames if "ocrdet" in frame.filename]
    words = str(error).split(":")[0] if isinstance(error, AssertionError) else ""
    return f"{type(error).__name__} {words} {' '.join(own[-2:])} {frames[-1].name if frames else ''}"


def main() -> None:
    """Fuzz one target: name, bodies, seed, folders of both corpora, report, folder of the findings."""
    name, bodies, seed, corpus, grown, report, findings = sys.argv[1:]
    atheris = import_module("atheris")
    with atheris.instrument_imports(include=["ocrdet", "python_multipart"]):
        targets = import_module("tests.fuzz.targets")
    mutator = import_module("tests.fuzz.mutator")
    files = [path.read_bytes()[12:] for path in sorted(Path(corpus).iterdir())]
    watched = Watched(targets.TARGETS[name](), Path(report), Path(findings), int(bodies))
    flags = [
        f"-seed={seed}",
        f"-max_len={MAX_INPUT_BYTES}",
        f"-timeout={int(HANG_S * 2)}",
        f"-artifact_prefix={findings}/",
        "-rss_limit_mb=4096",
        "-verbosity=0",
        "-len_control=0",
        "-mutate_depth=2",  # more at one time, and nearly nothing is an image any more
        "-reload=0",
    ]
    # Two folders: what libFuzzer finds goes to the first, for the process that follows this one.
    # Looked up at each call: `Setup` puts another in its place.
    mutate = mutator.Mutator(lambda *how: atheris.Mutate(*how), files)  # noqa: PLW0108
    atheris.Setup([sys.argv[0], *flags, grown, corpus], watched, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
