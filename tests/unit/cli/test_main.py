"""`ocrdet` starts fast, and what goes wrong is one sentence and an exit status."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from ocrdet import __version__, cli
from ocrdet.errors import ConfigurationError, InferenceFailed, ModelNotFound
from ocrdet.settings import Settings, variable_name

if TYPE_CHECKING:
    from argparse import Namespace


def test_help_loads_nothing_heavy() -> None:
    """A person who asks for help does not wait for OpenCV, ONNX Runtime or FastAPI."""
    program = (
        "import sys, ocrdet.cli\n"
        "try: ocrdet.cli.main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'cv2', 'onnxruntime', 'fastapi', 'uvicorn', 'PIL'} & set(sys.modules)\n"
        "sys.exit(', '.join(heavy) or None)"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (answer.returncode, answer.stderr) == (0, "")


def test_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """`--version` names the program and its version."""
    with pytest.raises(SystemExit) as exit_:
        cli.main(["--version"])
    assert exit_.value.code == 0
    assert capsys.readouterr().out == f"ocrdet {__version__}\n"


def test_serve_help_lists_every_variable(capsys: pytest.CaptureFixture[str]) -> None:
    """What can be set is found without opening a document."""
    with pytest.raises(SystemExit):
        cli.main(["serve", "--help"])
    told = capsys.readouterr().out
    assert [field for field in Settings.model_fields if variable_name(field) not in told] == []


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ConfigurationError("Set this."), 2),
        (ModelNotFound("No such model."), 2),
        (InferenceFailed("It failed."), 1),
        (KeyboardInterrupt(), 130),
    ],
)
def test_an_error_becomes_a_sentence_and_a_status(
    error: BaseException, status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What must be mended is told apart from what may pass, and nobody sees a traceback."""

    def run(_: Namespace) -> int:
        raise error

    monkeypatch.setattr("ocrdet.cli.doctor.run", run)
    assert cli.main(["doctor"]) == status
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == (f"ocrdet: {error}\n" if str(error) else "")


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("OCRDET_PROT", "1", "Did you mean OCRDET_PORT?"),
        ("OCRDET_PORT", "99999", "OCRDET_PORT"),
        ("OCRDET_TMP_DIR", "/nowhere/at/all", "OCRDET_TMP_DIR"),
        ("OCRDET_MODEL", "no-such-model", "no-such-model"),
    ],
)
def test_serve_refuses_a_configuration_that_cannot_work(
    variable: str,
    value: str,
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One line on standard error names what to change, and the status says that trying again is useless."""
    monkeypatch.setenv(variable, value)
    assert cli.main(["serve"]) == 2
    captured = capsys.readouterr()
    assert told in captured.err
    assert captured.err.count("\n") == 1


def test_serve_flags_win_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A flag is typed for this one start, so it decides."""
    seen: list[Settings] = []

    def serve(settings: Settings) -> int:
        seen.append(settings)
        return 0

    monkeypatch.setattr("ocrdet.api.app.serve", serve)
    monkeypatch.setattr("ocrdet.engine.store.find_model", lambda *_: None)
    monkeypatch.setenv("OCRDET_PORT", "8001")
    monkeypatch.setenv("OCRDET_LOG_LEVEL", "error")
    assert cli.main(["serve", "--port", "8002", "--log-format", "json"]) == 0
    assert (seen[0].port, seen[0].log_level, seen[0].log_format) == (8002, "error", "json")
