"""Every way through `make bench-gpu` but the card itself."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.system.server import ENVIRONMENT

ROOT = Path(__file__).resolve().parents[2]
# What has no CPU to run on.
NEED_A_CARD = ("OCRDET_PRECISION=fp16 works with", "not available: this ONNX Runtime", "there are none")


def test_every_part_runs_on_the_cpu_provider(tmp_path: Path) -> None:
    """What fails is only what needs a card; fp32 is the same function in every way, fp16 nearly."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.gpu", "--device", "cpu", "--quick", "--out", tmp_path],
        cwd=ROOT,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "bench" / "results-gpu.json").read_text())
    parts = {name: rows for name, rows in results.items() if name not in {"form", "machine"}}
    assert set(parts) == {
        "sessions", "agreement", "serving", "hosts", "fuse", "options", "tensorrt", "tests"
    }  # fmt: skip
    reasons = [row["reason"] for rows in parts.values() for row in rows if "reason" in row]
    assert all(reason.startswith(NEED_A_CARD) for reason in reasons), reasons
    for row in parts["sessions"]:
        assert row["largest_difference"] < (1e-3 if row["precision"] == "fp32" else 0.1)
    assert parts["agreement"][0]["agreement"] > 0.99
    assert all(load["per_second"] > 0 for load in parts["serving"][0]["loads"].values())
    assert "# Performance on CUDA" in (tmp_path / "docs" / "performance-gpu.md").read_text()
