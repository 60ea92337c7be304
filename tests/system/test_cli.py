"""The commands as people type them, with the real model."""

from __future__ import annotations

import json
import socket
import subprocess
from pathlib import Path

import pytest
from PIL import Image

from tests.system.server import COMMAND, ENVIRONMENT, run_ocrdet

SAMPLE = Path(__file__).resolve().parents[2] / "examples/sample.png"


def test_the_sample_has_its_lines_found_straight_and_turned(tmp_path: Path) -> None:
    """`make demo` shows what the service does: table cells, both scripts, the stamp and the margin."""
    answer = run_ocrdet("detect", SAMPLE, "--draw", tmp_path / "drawn")
    assert answer.returncode == 0, answer.stderr.decode()
    found = json.loads(answer.stdout)
    assert found["path"] == str(SAMPLE)
    regions = found["regions"]
    assert len(regions) > 50
    angles = [region["angle"] for region in regions]
    assert sum(abs(angle) < 1 for angle in angles) > 40
    assert any(-15 < angle < -8 for angle in angles), "the stamp, turned by 11 degrees"
    assert any(5 < angle < 9 for angle in angles), "the sticker, turned by 7 degrees the other way"
    with Image.open(SAMPLE) as sample, Image.open(tmp_path / "drawn/sample.png") as drawn:
        assert drawn.size == sample.size
        assert drawn.convert("RGB").tobytes() != sample.convert("RGB").tobytes()


def test_one_failure_is_told_and_the_rest_is_done(tmp_path: Path) -> None:
    """Folder, missing file and standard input give their lines in order, and the status tells of failures."""
    (tmp_path / "a.png").write_bytes(b"no image")
    Image.new("RGB", (64, 64), "white").save(tmp_path / "b.png")
    answer = run_ocrdet(
        "detect", tmp_path, tmp_path / "none.png", "-", "--score-threshold", "0.3", stdin=SAMPLE.read_bytes()
    )
    assert answer.returncode == 1
    assert answer.stderr == b""
    lines = [json.loads(line) for line in answer.stdout.splitlines()]
    names = [str(tmp_path / name) for name in ("a.png", "b.png", "none.png")]
    assert [line["path"] for line in lines] == [*names, "-"]
    assert [line.get("problem", {}).get("status") for line in lines] == [415, None, 400, None]
    assert lines[1]["regions"] == []
    assert lines[1]["warnings"]
    assert len(lines[3]["regions"]) > 50
    assert lines[3]["thresholds"]["score"] == 0.3


def test_a_reader_that_leaves_ends_the_command_quietly() -> None:
    """`ocrdet detect ... | head -1` is no accident to be told of with a traceback."""
    with subprocess.Popen(
        [*COMMAND, "detect", *[str(SAMPLE)] * 6, "--jobs", "1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
    ) as process:
        assert process.stdout
        assert process.stderr
        assert process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


def test_the_doctor_finds_this_machine_fit() -> None:
    """With defaults and a free port nothing fails, and a real detection was made."""
    answer = run_ocrdet("doctor", "--json", variables={"OCRDET_PORT": "0"})
    report = json.loads(answer.stdout)
    failed = [finding for finding in report["findings"] if finding["status"] == "fail"]
    assert (answer.returncode, failed) == (0, [])
    assert report["findings"][-1]["name"] == "detection"
    assert "ms" in report["findings"][-1]["detail"]


def test_the_doctor_fails_with_what_to_do() -> None:
    """A misspelt variable and a model that is not there are told in one report."""
    answer = run_ocrdet(
        "doctor", variables={"OCRDET_PROT": "1", "OCRDET_PORT": "0", "OCRDET_MODEL": "no-such-model"}
    )
    assert answer.returncode == 1
    lines = answer.stdout.decode().splitlines()
    assert any(line.startswith("fail") and "Did you mean OCRDET_PORT?" in line for line in lines)
    assert any(line.startswith("fail  model") and "ppocrv6-det-small" in line for line in lines)


def test_the_built_in_model_is_there_and_right() -> None:
    """Its file comes with a locked distribution and has the checksum of its manifest."""
    answer = run_ocrdet("models", "list", "--json")
    assert answer.returncode == 0
    assert [(row["name"], row["state"]) for row in json.loads(answer.stdout)] == [("ppocrv6-det-small", "ok")]


@pytest.mark.parametrize("option", [["--scene", "street"], ["--iou-threshold", "2"], ["--max-regions", "0"]])
def test_a_wrong_option_is_refused_before_the_model_is_loaded(option: list[str]) -> None:
    """The sentence is the one that the service gives, with the range."""
    answer = run_ocrdet("detect", SAMPLE, *option)
    assert (answer.returncode, answer.stdout) == (2, b"")
    assert b"must be" in answer.stderr
    assert answer.stderr.count(b"\n") == 1


def test_serve_refuses_a_taken_port_in_one_line() -> None:
    """The most common mistake gets a sentence, not a traceback."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        answer = run_ocrdet("serve", "--port", port)
    assert answer.returncode == 2
    assert port.encode() in answer.stderr
    assert answer.stderr.count(b"\n") == 1
