"""`ocrdet bench` against the real server."""

from __future__ import annotations

import json
import signal
import subprocess
from typing import TYPE_CHECKING

from tests.system.server import COMMAND, ENVIRONMENT, PATIENCE_S, run_ocrdet, wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from tests.system.server import ServerProcess

STAGES = {"decode", "queue", "preprocess", "inference", "postprocess", "total"}


def test_the_real_server_is_measured_and_judged(server: ServerProcess, tmp_path: Path) -> None:
    """Every image of a gentle load is answered, and text is found in the drawn page."""
    report = tmp_path / "report.json"
    flags = ("--rate", "2", "--seconds", "3", "--warm-up-seconds", "0.5", "--json", report)
    before = server.metric("ocrdet_requests_total", route="/detect")
    answer = run_ocrdet("bench", server.url, *flags, "--slo", "errors<=0%", "--slo", "p50<30s")
    assert answer.returncode == 0, answer.stdout.decode()
    assert answer.stdout.count(b"\nPASS  ") == 2
    assert answer.stderr.startswith(b"done: 6 sent, 6 ok, 0 in flight")
    data = json.loads(report.read_text())
    assert data["requests"]["statuses"] == {"200": 6}
    assert data["regions_per_image"] >= 6
    assert data["server_ms"].keys() == STAGES | {"sampled"}
    assert data["server_ms"]["total"] <= data["latency_ms"]["max"]
    assert data["configuration"]["model"]["provider"] == "CPUExecutionProvider"
    assert server.metric("ocrdet_requests_total", route="/detect") == before + 7


def test_an_objective_that_is_missed_fails(server: ServerProcess) -> None:
    """For scripts, by the exit status alone."""
    flags = ("--concurrency", "1", "--seconds", "0.5", "--warm-up-seconds", "0", "--slo", "max<0.01ms")
    assert run_ocrdet("bench", server.url, *flags).returncode == 1


def test_ctrl_c_ends_with_the_report_of_what_was_measured(server: ServerProcess, tmp_path: Path) -> None:
    """At once, without a traceback, with everything that was sent answered."""
    told = tmp_path / "stderr"
    flags = ("--rate", "4", "--seconds", "600", "--warm-up-seconds", "0")
    before = server.metric("ocrdet_requests_total", route="/detect")
    with told.open("wb") as stderr:
        process = subprocess.Popen(
            [*COMMAND, "bench", server.url, *flags], stdout=subprocess.PIPE, stderr=stderr, env=ENVIRONMENT
        )
    try:
        wait_for(lambda: server.metric("ocrdet_requests_total", route="/detect") >= before + 2, "two answers")
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=PATIENCE_S)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130
    assert b"latency ms" in output
    assert b"interrupted" in output
    assert b"unfinished" not in output
    assert told.read_text().count("\n") == 1
