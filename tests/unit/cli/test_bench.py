"""`ocrdet bench` from its flags to its exit status, against a server of this process."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

from ocrdet import cli
from ocrdet.cli import bench
from ocrdet.vision.header import read_header
from tests.unit.cli.test_progress import Terminal
from tests.unit.lab.answering import answering

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.unit.lab.answering import Answering

SHORT = ("--seconds", "0.3", "--warm-up-seconds", "0.1")


@pytest.fixture
def server() -> Iterator[Answering]:
    """Answers at once."""
    with answering() as server:
        yield server


def test_a_drawn_page_is_sent_at_the_rate(
    server: Answering, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A JPEG, with the options and the key; the report is told, and written with its configuration."""
    report, key = tmp_path / "report.json", tmp_path / "key"
    key.write_text("secret\n")
    flags = ("--rate", "100", *SHORT, "--json", str(report), "--api-key-file", str(key), "--polygons")
    assert cli.main(["bench", server.url, *flags]) == 0
    output = capsys.readouterr()
    assert len(server.requests) == 40
    ((path, authorization, body),) = set(server.requests)
    assert (path, authorization) == ("/detect?polygons=true", "Bearer secret")
    assert body.startswith(b"\xff\xd8")
    assert read_header(body).format == "jpeg"
    head = output.out.splitlines()
    assert head[0] == f"{server.url}: m 2 on CPU"
    assert head[1].startswith("open loop, 100/s constant, 0.3 s after 0.1 s of warm-up; 1 image of ")
    data = json.loads(report.read_text())
    assert data["requests"]["statuses"] == {"200": 30}
    assert data["configuration"].items() >= {"rate": 100, "options": {"polygons": "true"}}.items()
    assert "secret" not in report.read_text() + output.out


def test_images_may_stand_before_and_after_flags(server: Answering, tmp_path: Path) -> None:
    """Files and folders, sent in turn, read before the load."""
    (tmp_path / "folder").mkdir()
    names = ("one.jpg", "folder/two.jpg")
    for name in names:
        (tmp_path / name).write_text(name)
    first, second = str(tmp_path / "one.jpg"), str(tmp_path / "folder")
    assert cli.main(["bench", server.url, "--rate", "50", first, second, *SHORT]) == 0
    assert {body.decode() for _, _, body in server.requests} == set(names)
    server.requests.clear()
    assert cli.main(["bench", server.url, first, "--rate", "50", *SHORT]) == 0
    assert {body.decode() for _, _, body in server.requests} == {"one.jpg"}


def test_poisson_arrivals_are_told_and_sent(server: Answering, capsys: pytest.CaptureFixture[str]) -> None:
    """The same number for the same seed."""
    counts = []
    for _ in range(2):
        assert cli.main(["bench", server.url, "--rate", "100", "--arrivals", "poisson", *SHORT]) == 0
        counts.append(len(server.requests))
        server.requests.clear()
    assert counts[0] == counts[1] != 40
    assert "open loop, 100/s poisson" in capsys.readouterr().out


def test_a_closed_loop_warns_of_what_it_hides(server: Answering, capsys: pytest.CaptureFixture[str]) -> None:
    """Before any figure."""
    assert cli.main(["bench", server.url, "--concurrency", "2", *SHORT]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("closed loop, 2 at one time, 0.3 s")
    assert "coordinated omission" in lines[4]
    assert len(server.clients) == 2


@pytest.mark.parametrize(
    ("slo", "status", "words"),
    [
        (["p90<20s"], 0, ["PASS"]),
        (["p90<20s", "rate>9999"], 1, ["PASS", "FAIL"]),
        (["p99.9<20s"], 1, ["FAIL"]),
    ],
)
def test_the_status_says_whether_every_objective_was_met(
    server: Answering, slo: list[str], status: int, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """What cannot be told has failed."""
    flags = [part for each in slo for part in ("--slo", each)]
    assert cli.main(["bench", server.url, "--rate", "100", *SHORT, *flags]) == status
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[-len(slo) :]] == words


def test_without_an_objective_the_status_says_whether_anything_was_answered(
    server: Answering, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A server that refuses everything is no success."""
    (tmp_path / "image.jpg").write_text("full")
    assert cli.main(["bench", server.url, str(tmp_path), "--rate", "50", *SHORT]) == 1
    assert "All is taken." in capsys.readouterr().out


def test_an_interrupt_ends_with_the_report_and_a_status_of_its_own(
    server: Answering, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Even where the objectives are met so far: nobody takes it for the whole."""

    def interrupted(*_: object) -> Iterator[float]:
        yield 0.0
        yield 0.1
        raise KeyboardInterrupt

    monkeypatch.setattr(bench, "_arrivals", interrupted)
    flags = ("--rate", "10", "--warm-up-seconds", "0", "--slo", "max<20s")
    assert cli.main(["bench", server.url, *flags]) == 130
    lines = capsys.readouterr().out.splitlines()
    assert "warning: interrupted; these are the figures until then." in lines
    assert lines[-1].startswith("PASS")


def test_a_terminal_shows_how_it_goes(server: Answering, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line, written again and again."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(bench, "REFRESH_SECONDS", 0.02)
    assert cli.main(["bench", server.url, "--rate", "50", *SHORT]) == 0
    states = [line.strip() for line in terminal.getvalue().split("\r")]
    assert any(state.startswith("warm-up, 0 s left: ") for state in states)
    assert any(state.startswith("0 s left: ") for state in states)
    assert states[-1].startswith("done: 15 sent, 15 ok, 0 in flight, ")
    assert max(map(len, states)) < 80
    assert terminal.getvalue().count("\n") == 1


def test_where_nobody_watches_one_line_is_written(
    server: Answering, capsys: pytest.CaptureFixture[str]
) -> None:
    """At the end."""
    assert cli.main(["bench", server.url, "--rate", "50", *SHORT]) == 0
    error = capsys.readouterr().err
    assert error.startswith("done: 15 sent")
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--slo", "p99"], "p99<500ms"),
        (["--score-threshold", "2"], "score_threshold"),
        (["--json", "/nowhere/at/all.json"], "--json"),
        (["--api-key-file", "/nowhere"], "/nowhere"),
        (["/nowhere.jpg"], "/nowhere.jpg: The file cannot be read"),
        ([], "No ocrdet answers at http://127.0.0.1:9"),
    ],
)
def test_what_cannot_work_is_one_sentence_and_status_two(
    flags: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is sent."""
    assert cli.main(["bench", "http://127.0.0.1:9", "--rate", "5", *flags]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert told in output.err
    assert output.err.count("\n") == 1


@pytest.mark.parametrize(
    "flags",
    [
        [],
        ["--rate", "5", "--concurrency", "5"],
        *(["--rate", rate] for rate in ("0", "-1", "nan", "inf", "x")),
        ["--concurrency", "0"],
        ["--rate", "5", "--seconds", "0"],
        ["--rate", "5", "--warm-up-seconds", "-1"],
        ["--rate", "5", "--arrivals", "even"],
        ["--rate", "5", "--model", "x"],
    ],
)
def test_a_wrong_flag_is_refused(flags: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """By the parser, with its usage; the model is the server's."""
    with pytest.raises(SystemExit) as exit_:
        cli.main(["bench", "http://127.0.0.1:9", *flags])
    assert exit_.value.code == 2
    assert "usage: " in capsys.readouterr().err
