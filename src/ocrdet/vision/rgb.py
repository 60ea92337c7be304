"""Any pixel layout to 8-bit RGB: transparency composited, depth reduced."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
from PIL import Image

from ocrdet.values import DetectionWarning

if TYPE_CHECKING:
    from numpy.typing import NDArray

Converted = tuple["NDArray[np.uint8]", tuple[DetectionWarning, ...]]

# Ink at least this bright would nearly vanish on white.
_BRIGHT = 200
# With less than this share of darker ink, all of it counts as bright.
_DARK_SHARE = 0.01
# 10- and 12-bit cameras store their values unscaled in 16 bits.
_CAMERA_VALUES = 4096


def flatten_alpha(image: Image.Image) -> Converted:
    """An RGBA image on a background that its ink can be seen on.

    The background is white, or black where nearly all of the ink is bright: white letters made for a dark
    page. A fully transparent image is white.

    Args:
        image: Mode RGBA, straight alpha.

    Returns:
        (H, W, 3) uint8 RGB, and a warning unless every pixel is opaque.
    """
    alpha = image.getchannel("A")
    levels = [level for level, count in enumerate(alpha.histogram()) if count]
    if levels[0] == 255:
        return np.array(image.convert("RGB")), ()
    if levels[-1] == 0:
        blank = np.full((image.height, image.width, 3), 255, np.uint8)
        detail = "Every pixel is transparent; the image was read as white."
        return blank, (DetectionWarning("fully_transparent", detail),)
    background = "black" if _is_bright(image, alpha, levels[-1]) else "white"
    canvas = Image.new("RGB", image.size, background)
    canvas.paste(image, mask=alpha)
    detail = f"Transparent pixels were laid on {background}"
    detail += ", because nearly all of the visible ones are bright." if background == "black" else "."
    return np.array(canvas), (DetectionWarning("alpha_composited", detail),)


def _is_bright(image: Image.Image, alpha: Image.Image, most: int) -> bool:
    # Half of the strongest alpha leaves the soft edges out, and keeps a faint watermark in.
    visible = alpha.point([255 if value * 2 >= most else 0 for value in range(256)])
    counts = image.convert("L").histogram(visible)
    return sum(counts[:_BRIGHT]) < _DARK_SHARE * sum(counts)


def reduce_depth(values: NDArray[np.generic]) -> Converted:
    """Grey or colour values of any type as 8 bits.

    8 bits stay as they are. Unsigned 16 bits keep their upper byte; where the values need 12 bits or fewer
    (unscaled camera data) their own upper 8 bits are kept. Everything else is stretched so that its smallest
    finite value becomes 0 and its largest 255; NaN becomes 0.

    Args:
        values: Any shape, integers or floats.

    Returns:
        uint8 of the same shape, and a warning where the scale depends on the values.
    """
    if values.dtype == np.uint8:
        return np.asarray(values, np.uint8), ()
    if values.dtype.kind == "u" and values.dtype.itemsize == 2:
        peak = int(values.max())
        if peak >= _CAMERA_VALUES:
            return np.right_shift(values, 8).astype(np.uint8), ()
        bits = max(peak.bit_length(), 8)
        scaled = np.right_shift(values, bits - 8).astype(np.uint8)
        return scaled, _depth_warning(f"16-bit values that use only {bits} bits were scaled by those {bits}.")
    with np.errstate(all="ignore"):  # values at the ends of their type may overflow, which spoils only them
        return _stretch(values.astype(np.result_type(values.dtype, np.float32)))


def _stretch(real: NDArray[np.floating]) -> Converted:
    finite = np.isfinite(real)
    low = float(real.min(initial=np.inf, where=finite))
    high = float(real.max(initial=-np.inf, where=finite))
    if low > high:  # nothing is finite
        low = high = 0.0
    np.nan_to_num(real, copy=False, nan=low, posinf=high, neginf=low)
    real -= low
    stretched = cv2.convertScaleAbs(real, alpha=255.0 / (high - low) if high > low else 0.0)
    detail = f"Values from {low:g} to {high:g} were stretched to 0-255."
    return np.asarray(stretched, np.uint8), _depth_warning(detail)


def _depth_warning(detail: str) -> tuple[DetectionWarning, ...]:
    return (DetectionWarning("depth_reduced", detail),)
