"""Fuzz the service: bodies by the thousand, guided by coverage, from a corpus drawn at the start.

python -m tests.fuzz.run [--bodies N] [--model-bodies N] [--seed N] [--jobs N]

Inputs that break a promise are kept in build/fuzz/findings with what was raised; the figures are in
build/fuzz/summary.json.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.fuzz.corpus import write_corpus

ATHERIS = "atheris==3.0.0"
OUTPUT = Path("build/fuzz")
# What of all bodies with a stand-in for the model each target gets, percent.
SHARES = {"image": 80, "body": 15, "app": 5}
# atheris itself takes some five KiB more for each body, so no process gets more of them than this.
MOST_BODIES = 50_000
# A process that ended before its bodies did is followed by another, but not for ever.
MOST_DEATHS = 20
PROGRESS_S = 10.0


@dataclass(frozen=True, slots=True)
class Job:
    """One target's bodies, or a part of them."""

    target: str
    bodies: int
    seed: int


def plan_jobs(bodies: int, model_bodies: int, seed: int, parts: int) -> list[Job]:
    """The work in parts of about the same length, each with a seed of its own."""
    jobs = []
    for target, share in SHARES.items():
        for part in range(parts):
            total = bodies * share // 100
            jobs.append((target, total // parts + (part < total % parts)))
    jobs.append(("model", model_bodies))
    return [Job(target, count, seed + 1000 * index) for index, (target, count) in enumerate(jobs) if count]


def run_job(job: Job, corpus: Path, folder: Path) -> list[dict[str, Any]]:
    """What the processes of one job tell, one after the other until all of its bodies are through."""
    told: list[dict[str, Any]] = []
    left = job.bodies
    deaths = 0
    grown = folder / f"{job.target}-{job.seed}.grown"
    grown.mkdir()
    while left > 0 and deaths < MOST_DEATHS:
        start = len(told)
        report = folder / f"{job.target}-{job.seed}-{start}.json"
        numbers = [str(min(left, MOST_BODIES)), str(job.seed + start)]
        command = [sys.executable, "-m", "tests.fuzz.worker", job.target, *numbers]
        with report.with_suffix(".log").open("wb") as log:
            process = subprocess.run(  # noqa: PLW1510 - how it ended is what is looked at
                [*command, str(corpus), str(grown), str(report), str(OUTPUT / "findings")],
                stdout=log,
                stderr=log,
            )
        facts: dict[str, Any] = {"bodies": 0, "findings": 0, "ends": {}}
        if report.exists():
            facts = json.loads(report.read_text(encoding="utf-8"))
        if process.returncode != 0:
            words = report.with_suffix(".log").read_bytes()[-4000:].decode("utf-8", "replace")
            text = f"{job} ended with {process.returncode}\n{words}"
            (OUTPUT / "findings" / f"end-{report.stem}.txt").write_text(text, encoding="utf-8")
            facts["findings"] += 1
            deaths += 1
        told.append({"target": job.target, "seed": job.seed + start} | facts)
        left -= facts["bodies"]
    return told


def sum_up(told: list[dict[str, Any]], seconds: float) -> dict[str, Any]:
    """All processes together, by target."""
    targets: dict[str, Any] = {}
    for facts in told:
        total = targets.setdefault(facts["target"], {"bodies": 0, "findings": 0, "seconds": 0.0, "ends": {}})
        for name in ("bodies", "findings", "seconds"):
            total[name] = round(total[name] + facts.get(name, 0), 1)
        for name in ("slowest_s", "peak_mib"):
            total[name] = max(total.get(name, 0), facts.get(name, 0))
        grown = facts.get("last_mib", 0) - facts.get("settled_mib", 0)
        total["most_growth_mib"] = max(total.get("most_growth_mib", 0), grown)
        for end, count in facts["ends"].items():
            total["ends"][end] = total["ends"].get(end, 0) + count
    kinds = sorted(path.stem for path in (OUTPUT / "findings").glob("*.txt"))
    return {"seconds": round(seconds), "targets": targets, "kinds_of_findings": kinds}


def show_progress(folder: Path) -> None:
    """One line of how far all processes are."""
    reports = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]
    bodies, findings = (sum(report[name] for report in reports) for name in ("bodies", "findings"))
    slowest = max((report["slowest_s"] for report in reports), default=0.0)
    print(f"{bodies:9} bodies, {findings} findings, slowest {slowest:.2f} s", flush=True)  # noqa: T201


def main() -> int:
    """The exit code: 0 where every promise was kept."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--bodies", type=int, default=20_000, help="with a stand-in for the model")
    parser.add_argument("--model-bodies", type=int, default=300, help="on the real model")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2, help="processes at a time")
    parser.add_argument("--parts", type=int, default=1, help="processes that share the bodies of one target")
    args = parser.parse_args()
    if find_spec("atheris") is None:
        why = "in no lock, because it is there for Linux on x86 alone"
        print(f"Fuzzing needs atheris, which is {why}: {sys.executable} -m pip install {ATHERIS}")  # noqa: T201
        return 1
    shutil.rmtree(OUTPUT, ignore_errors=True)
    (OUTPUT / "findings").mkdir(parents=True)
    began = time.perf_counter()
    folder = OUTPUT / "work"
    with ThreadPoolExecutor(args.jobs) as pool:
        corpora = {bodies: folder / f"corpus-{bodies}" for bodies in (False, True)}
        for bodies, corpus in corpora.items():
            corpus.mkdir(parents=True)
            print(f"drew {write_corpus(corpus, bodies=bodies)} inputs")  # noqa: T201
        jobs = plan_jobs(args.bodies, args.model_bodies, args.seed, args.parts)
        running = [pool.submit(run_job, job, corpora[job.target in {"body", "app"}], folder) for job in jobs]
        while not all(one.done() for one in running):
            time.sleep(min(PROGRESS_S, 1 + (time.perf_counter() - began) / 10))
            show_progress(folder)
        summary = sum_up([facts for one in running for facts in one.result()], time.perf_counter() - began)
    (OUTPUT / "summary.json").write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(summary, indent=1))  # noqa: T201
    return 1 if summary["kinds_of_findings"] else 0


if __name__ == "__main__":
    sys.exit(main())
