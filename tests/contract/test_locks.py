"""The locks are complete, exact, free of addresses, and agree with pyproject.toml and with each other."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXTS = {path.stem: path.read_text() for path in sorted((ROOT / "requirements").glob("*.lock"))}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
EXTRAS = ("eval", "pdf")
VARIANTS = {
    "cpu": ["cpu"],
    "gpu": ["gpu"],
    "openvino": ["openvino"],
    "dev": ["cpu", *EXTRAS],
    "lab": ["cpu", "lab"],
}
ENGINES = {"cpu": "onnxruntime", "gpu": "onnxruntime-gpu", "openvino": "onnxruntime-openvino"}
PIN = re.compile(r"(?P<name>[a-z0-9-]+)==(?P<version>[\w.]+)( ; (?P<marker>[^\\]+?))? \\")
ADDRESS = re.compile(
    r"://|\bwww\.|@ |--[a-z-]*index|--find-links|--trusted-host|^\s*-[ief]\b|(^|\s)\.{0,2}/\w"
)
HASH = re.compile(r"    --hash=sha256:[0-9a-f]{64}( \\)?")

every_lock = pytest.mark.parametrize("variant", sorted(TEXTS))
every_variant = pytest.mark.parametrize("variant", sorted(VARIANTS))


def pins(variant: str) -> dict[str, str]:
    """Returns name and version of every requirement in a lock."""
    return {pin["name"]: pin["version"] for pin in PIN.finditer(TEXTS[variant])}


def names(requirements: list[str]) -> set[str]:
    """Returns the distributions that requirements of pyproject.toml name."""
    return {re.split(r"[^A-Za-z0-9-]", requirement)[0].lower() for requirement in requirements}


def test_there_is_one_lock_per_variant_and_extra() -> None:
    """Exactly the variants and extras that people can choose have a lock."""
    assert sorted(TEXTS) == sorted([*VARIANTS, *EXTRAS])


@pytest.mark.parametrize("extra", EXTRAS)
def test_the_lock_of_an_extra_holds_what_it_adds(extra: str) -> None:
    """Installed beside the lock of a variant, it brings what pyproject.toml asks for and nothing twice."""
    added = pins(extra).keys()
    assert names(PROJECT["project"]["optional-dependencies"][extra]) <= added
    assert not added & pins("cpu").keys()


@every_lock
def test_a_lock_names_no_address(variant: str) -> None:
    """No line of a lock holds an index, a link or a path: the machine that installs it decides."""
    assert not [line for line in TEXTS[variant].splitlines() if ADDRESS.search(line)]


@every_lock
def test_every_requirement_is_pinned_and_hashed(variant: str) -> None:
    """Apart from comments a lock holds exact pins alone, each followed by at least one SHA-256."""
    pinned = True
    for line in TEXTS[variant].splitlines():
        if line.lstrip().startswith("#") or not line:
            continue
        if PIN.fullmatch(line):
            assert pinned, f"the requirement before {line!r} has no hash"
            pinned = False
        else:
            assert HASH.fullmatch(line), f"neither a pin nor a hash: {line!r}"
            pinned = True
    assert pinned


@every_lock
def test_no_requirement_stands_twice(variant: str) -> None:
    """One version serves every Python and platform, so that what is tested is what is shipped."""
    found = [pin["name"] for pin in PIN.finditer(TEXTS[variant])]
    assert len(found) == len(set(found))


@every_variant
def test_a_lock_has_one_opencv_and_it_is_headless(variant: str) -> None:
    """OpenCV distributions overwrite each other's files, and a server has no windows to open."""
    assert {name for name in pins(variant) if name.startswith("opencv")} == {"opencv-python-headless"}


@every_variant
def test_a_lock_has_one_inference_engine(variant: str) -> None:
    """ONNX Runtime's distributions overwrite each other's files."""
    assert {name for name in pins(variant) if name.startswith("onnxruntime")} == {
        ENGINES.get(variant, "onnxruntime")
    }


@every_variant
def test_a_lock_holds_all_that_pyproject_asks_for(variant: str) -> None:
    """Direct dependencies, the variant's extras and what builds the project itself are all locked."""
    project = PROJECT["project"]
    groups = PROJECT["dependency-groups"]
    asked = project["dependencies"] + groups["build"] + PROJECT["build-system"]["requires"]
    for extra in VARIANTS[variant]:
        asked += project["optional-dependencies"][extra]
    if variant == "dev":
        asked += groups["dev"]
    assert names(asked) <= pins(variant).keys()


@every_lock
def test_locks_agree_on_shared_versions(variant: str) -> None:
    """A test that passes with dev.lock says something about every variant."""
    everywhere = pins("dev")
    assert {name: pin for name, pin in pins(variant).items() if everywhere.get(name, pin) != pin} == {}


@every_lock
def test_what_only_recognition_needs_stays_out(variant: str) -> None:
    """Only a model file is taken from rapidocr; what its code would import is not installed."""
    recognition = {"colorlog", "omegaconf", "pyclipper", "requests", "six", "tqdm"}
    assert not recognition & pins(variant).keys()


def test_the_embedded_model_is_pinned_exactly() -> None:
    """The manifest's checksum belongs to one release of the distribution that carries the model."""
    assert "rapidocr==3.10.0" in PROJECT["project"]["dependencies"]


def test_lab_takes_no_cuda() -> None:
    """The lab runs on a CPU without gigabytes of CUDA libraries."""
    assert not [name for name in pins("lab") if name.startswith(("nvidia-", "cuda-", "triton"))]
