"""Whether the installed distributions can live together; it reads their metadata and imports none of them."""

from __future__ import annotations

from importlib import metadata

from ocrdet.errors import ConfigurationError

# The members of a family write the same files, so whichever came last has overwritten the others.
HEADLESS = "opencv-python-headless"
OPENCV = (HEADLESS, "opencv-python", "opencv-contrib-python", "opencv-contrib-python-headless")
RUNTIME_EXTRAS = {"onnxruntime": "cpu", "onnxruntime-gpu": "gpu", "onnxruntime-openvino": "openvino"}


def require_sound_installation() -> None:
    """Refuse an installation whose parts overwrite each other.

    Raises:
        ConfigurationError: OpenCV or ONNX Runtime is missing or installed twice; the remedy is named.
    """
    fault = opencv_fault() or runtime_fault()
    if fault is not None:
        raise ConfigurationError(fault)


def opencv_fault() -> str | None:
    """What is wrong with OpenCV's distributions and the command that mends it; None if nothing is."""
    found = installed(OPENCV)
    others = [name for name in found if name != HEADLESS]
    if others:
        return (
            f"{_listed(others)} may not be installed here, only {HEADLESS}: all of them write the same "
            f"files. Type: pip uninstall -y {' '.join(found)} && pip install {HEADLESS}"
        )
    if not found:
        return f"OpenCV is not installed. Type: pip install {HEADLESS}"
    return None


def runtime_fault() -> str | None:
    """What is wrong with ONNX Runtime's distributions and the command that mends it; None if nothing is."""
    found = installed(RUNTIME_EXTRAS)
    if not found:
        return (
            "ONNX Runtime is not installed. Type: pip install 'ocrdet[cpu]' "
            "(or one of the extras gpu and openvino in its place)"
        )
    if len(found) > 1:
        return (
            f"{_listed(found)} are installed together, but they write the same files. Type: pip uninstall -y "
            f"{' '.join(found)} && pip install 'ocrdet[{RUNTIME_EXTRAS[found[-1]]}]'"
        )
    return None


def installed(names: tuple[str, ...] | dict[str, str]) -> list[str]:
    """Those of the distributions that are installed, in the order given."""
    return [name for name in names if any(True for _ in metadata.distributions(name=name))]


def _listed(names: list[str]) -> str:
    return " and ".join(names)
