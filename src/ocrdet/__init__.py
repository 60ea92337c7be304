"""ocrdet finds where text is in an image: regions with scores, no recognition.

Importing it starts nothing and loads neither OpenCV nor ONNX Runtime; `open_detector()` does.
"""

from __future__ import annotations

import importlib
from importlib import metadata
from typing import TYPE_CHECKING

from ocrdet.errors import (
    ConfigurationError,
    DeadlineExceeded,
    ImageRejected,
    InvalidParameter,
    ModelError,
    OcrdetError,
    Overloaded,
)

if TYPE_CHECKING:
    from ocrdet.detector import Detector, open_detector
    from ocrdet.options import DetectOptions
    from ocrdet.values import Detection, TextRegion

__version__ = metadata.version("ocrdet")
__all__ = [
    "ConfigurationError",
    "DeadlineExceeded",
    "DetectOptions",
    "Detection",
    "Detector",
    "ImageRejected",
    "InvalidParameter",
    "ModelError",
    "OcrdetError",
    "Overloaded",
    "TextRegion",
    "__version__",
    "open_detector",
]
_HOMES = {
    "Detector": "ocrdet.detector",
    "open_detector": "ocrdet.detector",
    "Detection": "ocrdet.values",
    "DetectOptions": "ocrdet.options",
    "TextRegion": "ocrdet.values",
}


def __getattr__(name: str) -> object:
    """Load a public name when it is asked for.

    Raises:
        AttributeError: There is no such name.
    """
    if name not in _HOMES:
        raise AttributeError(f"module 'ocrdet' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
