"""What `make bench-gpu` says where there is no card, and what it makes of failures and of `nvidia-smi`."""

from __future__ import annotations

import json
import math
import os
import sys
import time
from typing import TYPE_CHECKING, Any

import onnxruntime as ort
import pytest

from bench import gpu
from bench.gpu_card import Busy, describe_card, process_mib
from bench.gpu_document import write_document
from bench.gpu_plan import Plan, last_words

if TYPE_CHECKING:
    from pathlib import Path

BATCH = {"p50_ms": 2.5, "p99_ms": 3.0, "memory_mib": 1200.0}
SESSION: dict[str, Any] = {
    "model": "resnet18-800",
    "precision": "fp32",
    "way": "bound",
    "start_s": 3.1,
    "largest_difference": 0.00012,
    "memory_by": "process",
    "batches": {"1": BATCH},
}


def make_plan(folder: Path, ends_at: float = math.inf) -> Plan:
    """A plan without models."""
    return Plan("cpu", quick=True, models={}, shapes={}, scratch=folder, data=None, ends_at=ends_at)


@pytest.fixture
def fake_smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program in place of `nvidia-smi`, which answers what the files beside it say."""
    program = tmp_path / "nvidia-smi"
    program.write_text(f'#!/bin/sh\ncase "$1" in *=*) cat "{tmp_path}/${{1%%=*}}";; esac\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


def test_without_cuda_nothing_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The exit status is 2 and the sentence says what is missing and what to do; no file is written."""
    monkeypatch.setattr(ort, "get_available_providers", lambda: ["CPUExecutionProvider"])
    monkeypatch.setattr(sys, "argv", ["bench.gpu", "--out", str(tmp_path)])
    assert gpu.main() == 2
    said = capsys.readouterr().err
    assert "offers CPUExecutionProvider, but not CUDAExecutionProvider" in said
    assert "make bench-gpu" in said
    assert not list(tmp_path.iterdir())


def test_a_failure_is_a_row_with_its_reason(tmp_path: Path) -> None:
    """Whatever a measurement raises, the next one has its turn."""

    def fail() -> dict[str, Any]:
        raise RuntimeError("the card is on fire")

    plan = make_plan(tmp_path)
    assert plan.attempt({"model": "a"}, fail) == {"model": "a", "reason": "the card is on fire"}
    assert plan.attempt({"model": "b"}, lambda: {"ms": 1}) == {"model": "b", "ms": 1}


def test_what_there_is_no_time_for_is_left_out_and_said(tmp_path: Path) -> None:
    """Nothing is begun once the time is over."""
    plan = make_plan(tmp_path, ends_at=time.monotonic() - 1)
    row = plan.attempt({"model": "a"}, lambda: pytest.fail("it was begun"))
    assert "--only" in row["reason"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Traceback ...\nocrdet.errors.ConfigurationError: No card.\n", "No card."),
        ("error: OCRDET_DEVICE=cuda: no.\n", "OCRDET_DEVICE=cuda: no."),
        ("No card: install one.", "No card: install one."),
        ("", ""),
    ],
)
def test_last_words_are_the_sentence_without_the_name_of_the_exception(text: str, words: str) -> None:
    """As an operator would be told it."""
    assert last_words(text) == words


@pytest.mark.parametrize(("taken", "verdict"), [(1700.0, "met"), (1720.0, "missed")])
def test_the_document_judges_the_memory_of_resnet18(taken: float, verdict: str) -> None:
    """1.8 GB are 1717 MiB."""
    row = SESSION | {"batches": {"1": BATCH | {"memory_mib": taken}}}
    assert f"**{verdict}**" in write_document({"machine": "a card", "sessions": [row]})


def test_the_document_lists_what_failed_beside_what_was_measured() -> None:
    """A table of the one, and the reasons of the other."""
    failed = {"model": "resnet18-640", "precision": "fp16", "way": "bound", "reason": "out of memory"}
    text = write_document({"machine": "a card", "sessions": [SESSION, failed]})
    assert "| resnet18-800 | fp32 | bound | 1 | 2.5 | 3 | 1200 | 3.1 | 0.00012 |" in text
    assert "- resnet18-640, fp16, bound: out of memory" in text
    assert "## Server" not in text


def test_memory_is_that_of_the_process_where_the_card_tells_it(fake_smi: Path) -> None:
    """By its process id."""
    (fake_smi / "--query-compute-apps").write_text("17, 300\n42, 1234\n")
    assert process_mib(42, 100.0) == (1234.0, "process")


@pytest.mark.parametrize("told", ["", "7, 300\n", "42, [N/A]\n"])
def test_memory_is_the_growth_of_the_card_where_processes_are_hidden(fake_smi: Path, told: str) -> None:
    """As in most containers."""
    (fake_smi / "--query-compute-apps").write_text(told)
    (fake_smi / "--query-gpu").write_text("900\n")
    assert process_mib(42, 100.0) == (800.0, "growth of the card")


def test_busy_is_the_mean_of_the_samples_but_for_the_first(fake_smi: Path) -> None:
    """The first two are of the time before the load."""
    (fake_smi / "--query-gpu").write_text("0\n0\n80\n90\n")
    with Busy() as busy:
        assert busy.percent is None
        assert busy._sampler is not None
        busy._sampler.wait(20)  # it writes and ends by itself
    assert busy.percent == 85.0


def test_without_nvidia_smi_nothing_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """And nothing fails."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert describe_card() == "no card"
    assert process_mib(42, None)[0] is None
    with Busy() as busy:
        pass
    assert busy.percent is None


def test_parts_of_another_machine_are_not_mixed_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts that are measured one by one add up, on one machine."""
    monkeypatch.setattr(
        gpu, "PARTS", {name: lambda _, told=name: [{"told": told, "reason": "-"}] for name in "ab"}
    )
    monkeypatch.setattr(gpu, "write_document", lambda _: "")
    monkeypatch.setattr(gpu, "_machine", lambda _: "one")
    for only in ("a", "b"):
        gpu._measure(make_plan(tmp_path), (only,), tmp_path)
    results = tmp_path / "bench" / "results-gpu.json"
    assert json.loads(results.read_text()).keys() == {"form", "machine", "a", "b"}
    monkeypatch.setattr(gpu, "_machine", lambda _: "another")
    gpu._measure(make_plan(tmp_path), ("a",), tmp_path)
    assert json.loads(results.read_text()).keys() == {"form", "machine", "a"}
