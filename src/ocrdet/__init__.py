"""ocrdet finds where text is in an image: regions with scores, no recognition."""

from __future__ import annotations

from importlib import metadata
from typing import TYPE_CHECKING

from ocrdet.errors import OcrdetError

if TYPE_CHECKING:
    from ocrdet.detector import Detector, open_detector
    from ocrdet.values import Detection, DetectOptions, TextRegion

__version__ = metadata.version("ocrdet")
__all__ = [
    "DetectOptions",
    "Detection",
    "Detector",
    "OcrdetError",
    "TextRegion",
    "__version__",
    "open_detector",
]


def __getattr__(name: str) -> object:
    """Load a public name when it is asked for: `import ocrdet` itself starts and loads nothing heavy.

    Raises:
        AttributeError: There is no such name.
    """
    if name in {"Detector", "open_detector"}:
        from ocrdet import detector as home
    elif name in {"Detection", "DetectOptions", "TextRegion"}:
        from ocrdet import values as home  # type: ignore[no-redef]
    else:
        raise AttributeError(f"module 'ocrdet' has no attribute {name!r}")
    return getattr(home, name)
