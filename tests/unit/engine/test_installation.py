"""Distributions that write the same files are refused together, with the command that mends it."""

from __future__ import annotations

import pytest

from ocrdet.engine import installation
from ocrdet.errors import ConfigurationError


def have(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Lets exactly these distributions be installed."""
    monkeypatch.setattr(
        "importlib.metadata.distributions", lambda *, name: iter([name] if name in names else [])
    )


def test_one_of_each_is_sound(monkeypatch: pytest.MonkeyPatch) -> None:
    """The headless OpenCV and a single ONNX Runtime are what is wanted."""
    have(monkeypatch, "opencv-python-headless", "onnxruntime-gpu")
    installation.require_sound_installation()


@pytest.mark.parametrize(
    ("names", "command"),
    [
        (
            ["opencv-python", "opencv-python-headless", "onnxruntime"],
            "pip uninstall -y opencv-python-headless opencv-python && pip install opencv-python-headless",
        ),
        (
            ["opencv-contrib-python-headless", "onnxruntime"],
            "pip uninstall -y opencv-contrib-python-headless && pip install opencv-python-headless",
        ),
        (["onnxruntime"], "pip install opencv-python-headless"),
        (["opencv-python-headless"], "pip install 'ocrdet[cpu]'"),
        (
            ["opencv-python-headless", "onnxruntime", "onnxruntime-gpu"],
            "pip uninstall -y onnxruntime onnxruntime-gpu && pip install 'ocrdet[gpu]'",
        ),
        (
            ["opencv-python-headless", "onnxruntime", "onnxruntime-openvino"],
            "pip uninstall -y onnxruntime onnxruntime-openvino && pip install 'ocrdet[openvino]'",
        ),
    ],
)
def test_what_is_missing_or_twice_is_refused_with_its_remedy(
    names: list[str], command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command can be pasted as it stands."""
    have(monkeypatch, *names)
    with pytest.raises(ConfigurationError) as refused:
        installation.require_sound_installation()
    assert command in refused.value.detail


def test_this_installation_is_sound() -> None:
    """The locks bring one of each."""
    installation.require_sound_installation()
