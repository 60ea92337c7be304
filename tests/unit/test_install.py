"""requirements/install.py chooses the right variant and leaves no clashing distributions behind."""

import sys
from pathlib import Path

import pytest

from requirements import install


def answer(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Puts an nvidia-smi on the path that runs `script`."""
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


@pytest.fixture
def linux(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets the machine be one that CUDA wheels exist for."""
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr("platform.machine", lambda: "x86_64")


def test_a_variant_asked_for_is_taken() -> None:
    """Nothing is second-guessed when the variant is named."""
    assert install.choose_variant("openvino") == ("openvino", "")


@pytest.mark.usefixtures("linux")
@pytest.mark.parametrize(
    ("script", "variant", "reason"),
    [
        ("echo 580.65.06; echo 580.65.06", "gpu", "NVIDIA driver 580.65.06"),
        ("echo 600.10", "gpu", "NVIDIA driver 600.10"),
        ("echo 570.172.08", "cpu", "570.172.08 is older than 580.65.06"),
        ("echo 580.65.05", "cpu", "580.65.05 is older than 580.65.06"),
        ("echo 'NVIDIA-SMI has failed'; exit 9", "cpu", "nvidia-smi finds no GPU"),
        ("echo 'No devices were found'", "cpu", "nvidia-smi finds no GPU"),
    ],
)
def test_auto_takes_the_gpu_only_where_its_driver_is_new_enough(
    script: str, variant: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CUDA wheels on an old driver fail at the first image, so the processor serves there."""
    answer(tmp_path, monkeypatch, script)
    chosen, why = install.choose_variant("auto")
    assert chosen == variant
    assert reason in why


@pytest.mark.usefixtures("linux")
def test_auto_takes_the_cpu_where_there_is_no_nvidia_smi(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No NVIDIA tool means no NVIDIA driver."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert install.choose_variant("auto") == ("cpu", "nvidia-smi finds no GPU")


def stamp(*packages: str) -> install.Stamp:
    """Returns the stamp of an environment that holds the packages."""
    return install.Stamp("folder", "3.11", "cpu", [], ["digest"], "digest", sorted(packages))


@pytest.mark.parametrize(
    ("variant", "extras", "locks"),
    [
        ("cpu", [], ["cpu.lock"]),
        ("cpu", ["pdf"], ["cpu.lock", "pdf.lock"]),
        ("openvino", ["pdf", "eval", "pdf"], ["openvino.lock", "eval.lock", "pdf.lock"]),
        ("dev", ["pdf", "eval"], ["dev.lock"]),
    ],
)
def test_an_extra_brings_its_lock_unless_the_variant_has_it(
    variant: str, extras: list[str], locks: list[str]
) -> None:
    """Every extra asked for is installed from hashes, and nothing twice."""
    assert [path.name for path in install.choose_locks(variant, extras)] == locks


@pytest.mark.parametrize(("variant", "extras"), [("pdf", []), ("cuda", []), ("cpu", ["pfd"])])
def test_an_unknown_variant_or_extra_is_refused_with_the_known_ones(variant: str, extras: list[str]) -> None:
    """An extra's lock alone is no environment, and a mistyped name is no silent nothing."""
    with pytest.raises(install.SetUpError, match=r"one of cpu, dev, gpu|among eval, pdf"):
        install.choose_locks(variant, extras)


def test_an_environment_keeps_its_extras_and_takes_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is installed is compared with what is asked for now; extras that are there stay."""
    (tmp_path / f"lib/python{sys.version_info.major}.{sys.version_info.minor}").mkdir(parents=True)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python").touch()
    commands: list[list[str]] = []
    monkeypatch.setattr(install, "call", lambda command, **_: commands.append(command))
    monkeypatch.setattr(install, "prepare_pip", lambda *_, **__: ["pip"])
    for extras in (["pdf"], ["pdf"], [], ["eval"]):
        install.set_up(tmp_path, "cpu", extras)
    said = capsys.readouterr().out
    assert said.count("is up to date for cpu with pdf") == 2
    assert "for cpu with eval and pdf" in said
    assert [sum(word.endswith("pdf.lock") for word in command) for command in commands] == [1, 0, 1, 0]


@pytest.mark.parametrize(
    ("installed", "before", "wanted", "removed"),
    [
        (["numpy", "onnxruntime"], ["numpy", "onnxruntime"], ["numpy", "onnxruntime"], []),
        (["onnxruntime"], ["onnxruntime"], ["onnxruntime-openvino"], ["onnxruntime"]),
        (["onnxruntime", "onnxruntime-gpu"], None, ["onnxruntime"], ["onnxruntime", "onnxruntime-gpu"]),
        (["numpy", "sympy", "mine"], ["numpy", "sympy"], ["numpy"], ["sympy"]),
        (["opencv-python"], None, ["opencv-python-headless"], ["opencv-python"]),
    ],
)
def test_leftovers_and_clashing_families_are_removed(
    installed: list[str],
    before: list[str] | None,
    wanted: list[str],
    removed: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What shares files with a wanted distribution goes with it; what someone added by hand stays."""
    site = tmp_path / "lib/python3.11/site-packages"
    for name in installed:
        (site / f"{name.replace('-', '_')}-1.0.dist-info").mkdir(parents=True)
    calls: list[list[str]] = []
    monkeypatch.setattr(install, "call", calls.append)
    found = stamp(*before) if before is not None else None
    install.remove_leftovers(["pip"], tmp_path, found, stamp(*wanted))
    assert calls == ([["pip", "uninstall", "--yes", *removed]] if removed else [])


def test_a_python_without_ensurepip_and_pip_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names the command for this system instead of failing half-way."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    monkeypatch.setattr("shutil.which", lambda tool: tool if tool == "apt-get" else None)
    with pytest.raises(install.SetUpError, match=r"sudo apt install python3\.\d+-venv"):
        install.prepare_pip(tmp_path / ".venv", fresh=True)
    assert not (tmp_path / ".venv").exists()
