"""`ocrdet doctor` says what is wrong and what to do, and goes on whatever happens."""

from __future__ import annotations

import http.server
import json
import socket
import threading
from typing import TYPE_CHECKING

import pytest
from typing_extensions import override

from ocrdet import cli
from ocrdet.cli import checks, machine
from ocrdet.cli.finding import Finding
from ocrdet.settings import Settings
from requirements import install

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def settings(**fields: object) -> Settings:
    """Settings with these fields, the rest being defaults."""
    return Settings.from_environment({}, **fields)


def test_unknown_variables_and_bad_values_are_told_apart() -> None:
    """A misspelt name gets a suggestion, a bad value its limits; the defaults serve for the rest."""
    environ = {"OCRDET_THREAD": "2", "OCRDET_PORT": "70000", "PATH": "/bin"}
    used, findings = checks.check_settings(environ)
    assert [(finding.name, finding.status) for finding in findings] == [
        ("variable", "fail"),
        ("settings", "fail"),
    ]
    assert "OCRDET_THREADS" in findings[0].detail
    assert "OCRDET_PORT" in findings[1].detail
    assert used == settings()


def test_valid_settings_are_named() -> None:
    """An operator sees which variables have arrived."""
    used, (finding,) = checks.check_settings({"OCRDET_PORT": "8001"})
    assert (used.port, finding.status) == (8001, "ok")
    assert "port" in finding.detail


def test_a_check_that_fails_in_an_unforeseen_way_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    """The doctor's report is never cut short by a traceback."""

    def broken(_: Settings) -> Finding:
        raise ZeroDivisionError("odd")

    for check in ("check_cpu", "check_memory", "check_temporary", "check_port", "check_device"):
        monkeypatch.setattr(machine, check, broken)
    monkeypatch.setattr(checks, "check_model", broken)
    monkeypatch.setattr(checks, "check_detection", broken)
    findings = {finding.name: finding for finding in checks.examine({})}
    for name in ("cpu", "memory", "temporary", "port", "model", "device", "detection"):
        assert (findings[name].status, findings[name].detail) == ("fail", "ZeroDivisionError: odd")


def test_the_status_says_whether_it_will_serve(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A warning alone is status 0, a fail is 1; --json carries the same findings."""
    findings = [Finding("a", "ok", "fine"), Finding("b", "warn", "hm")]
    monkeypatch.setattr(checks, "examine", lambda: findings)
    assert cli.main(["doctor"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split() == ["warn", "b", "hm"]
    findings.append(Finding("c", "fail", "no"))
    assert cli.main(["doctor", "--json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert answer["ok"] is False
    assert answer["findings"][2] == {"name": "c", "status": "fail", "detail": "no"}


def test_memory_below_the_worst_case_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worst case grows with the limits, and a cgroup below it is told which limits to lower."""
    small = settings(max_inflight_bytes=1024, max_inflight_pixels=1, max_image_pixels=1)
    assert machine.worst_case_bytes(settings()) > machine.worst_case_bytes(small)
    monkeypatch.setattr(machine, "memory_limit_bytes", lambda: 512 * machine.MIB)
    finding = machine.check_memory(settings())
    assert finding.status == "warn"
    assert "OCRDET_MAX_INFLIGHT_PIXELS" in finding.detail
    monkeypatch.setattr(machine, "memory_limit_bytes", lambda: 1 << 40)
    assert machine.check_memory(settings()).status == "ok"


def test_more_threads_than_cpus_is_a_warning() -> None:
    """More threads than CPUs only wait for each other."""
    assert machine.check_cpu(settings(threads=256)).status == "warn"
    assert machine.check_cpu(settings()).status == "ok"


def test_a_folder_for_temporary_files_that_is_named_must_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Missing or nearly full is a fail, a usable one shows its free space."""
    assert machine.check_temporary(settings(tmp_dir=tmp_path / "none")).status == "fail"
    assert machine.check_temporary(settings(tmp_dir=tmp_path)).status == "ok"
    monkeypatch.setattr("ocrdet.cli.temporary.LEAST_FREE_BYTES", 1 << 60)
    full = machine.check_temporary(settings(tmp_dir=tmp_path))
    assert full.status == "fail"
    assert "Free some space" in full.detail


@pytest.fixture
def health_server(request: pytest.FixtureRequest) -> Iterator[int]:
    """The port of a server that answers everything with the JSON given as parameter."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(request.param).encode())

        @override
        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("health_server", "status"),
    [({"status": "ok", "model": "m"}, "warn"), ({"hello": 1}, "fail"), ([], "fail")],
    indirect=["health_server"],
)
def test_a_taken_port_is_told_by_who_has_it(health_server: int, status: str) -> None:
    """Another ocrdet is a warning, as when the doctor is called beside the service; anything else a fail."""
    finding = machine.check_port(settings(port=health_server))
    assert finding.status == status


def test_a_free_port_is_ok_and_stays_free() -> None:
    """The doctor listens for a moment only."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    assert machine.check_port(settings(port=port)).status == "ok"
    assert machine.check_port(settings(port=port)).status == "ok"


@pytest.mark.parametrize(
    ("device", "gpu", "providers", "status"),
    [
        ("auto", None, ["CPUExecutionProvider"], "ok"),
        ("auto", ("H1", "600.1"), ["CPUExecutionProvider"], "warn"),
        ("cpu", ("H1", "600.1"), ["CPUExecutionProvider"], "ok"),
        ("cuda", ("H1", "600.1"), ["CPUExecutionProvider"], "fail"),
        ("cuda", None, ["CUDAExecutionProvider"], "fail"),
        ("cuda", ("H1", "500.1"), ["CUDAExecutionProvider"], "fail"),
        ("cuda", ("H1", "600.1"), ["CUDAExecutionProvider"], "ok"),
    ],
)
def test_the_device_needs_its_runtime_and_its_driver(
    device: str,
    gpu: tuple[str, str] | None,
    providers: list[str],
    status: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """CUDA asked for is CUDA or a fail; a GPU left idle by the processor's build is worth a warning."""
    monkeypatch.setattr(machine, "nvidia_gpu", lambda: gpu)
    monkeypatch.setattr("ocrdet.engine.session.runtime_facts", lambda: {"providers": providers})
    monkeypatch.setattr("ocrdet.engine.session.default_device", lambda: "cpu")
    assert machine.check_device(settings(device=device)).status == status


@pytest.mark.parametrize(
    ("script", "gpu"),
    [
        ("echo 'NVIDIA H200, 580.65.06'", ("NVIDIA H200", "580.65.06")),
        ("echo 'No devices were found'", None),
        ("exit 9", None),
    ],
)
def test_the_gpu_is_what_nvidia_smi_says(
    script: str, gpu: tuple[str, str] | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anything but a name and a version means that there is no usable GPU."""
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine.nvidia_gpu() == gpu


def test_doctor_and_installer_ask_for_the_same_driver() -> None:
    """What the installer takes for new enough must not fail at the doctor's."""
    assert machine.OLDEST_DRIVER == install.OLDEST_DRIVER
