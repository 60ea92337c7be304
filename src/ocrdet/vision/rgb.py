"""Any pixel layout to 8-bit RGB: transparency composited, depth reduced.

Everything here goes through the image in bands of rows, so that it takes little more than its result.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from ocrdet.values import DetectionWarning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray
    from PIL import Image

    Pixels = NDArray[np.uint8]
    Converted = tuple[Pixels, tuple[DetectionWarning, ...]]

# Small enough for a processor's cache, large enough that the calls do not count.
_BAND_VALUES = 1 << 16
# Ink at least this bright would nearly vanish on white.
_BRIGHT = 200
# With less than this share of darker ink, all of it counts as bright.
_DARK_SHARE = 0.01
# 10- and 12-bit cameras store their values unscaled in 16 bits.
_CAMERA_VALUES = 4096


def split_bands(height: int, row_values: int) -> Iterator[slice]:
    """The rows of an image in bands that are small in memory."""
    step = max(1, _BAND_VALUES // max(1, row_values))
    return (slice(top, min(top + step, height)) for top in range(0, height, step))


def convert_image(image: Image.Image, mode: str) -> Callable[[slice], Pixels]:
    """Any rows of a loaded Pillow image in another mode; nothing else is converted or copied."""

    def rows(band: slice) -> Pixels:
        part = image.crop((0, band.start, image.width, band.stop))
        return np.asarray(part if part.mode == mode else part.convert(mode))

    return rows


def join_rgb(image: Image.Image) -> Pixels:
    """A loaded Pillow image as (H, W, 3) uint8 RGB; transparency is left out."""
    pixels, rows = np.empty((image.height, image.width, 3), np.uint8), convert_image(image, "RGB")
    for band in split_bands(image.height, image.width):
        pixels[band] = rows(band)
    return pixels


def flatten_alpha(rows: Callable[[slice], Pixels], width: int, height: int) -> Converted:
    """An RGBA image on a background that its ink can be seen on.

    The background is white, or black where nearly all of the ink is bright: white letters made for a dark
    page. A fully transparent image is white.

    Args:
        rows: Gives any band of rows as (rows, W, 4) uint8 RGBA, straight alpha.
        width: Pixels in a row.
        height: Number of rows.

    Returns:
        (H, W, 3) uint8 RGB, and a warning unless every pixel is opaque.
    """
    bands = list(split_bands(height, width))
    present = np.flatnonzero(sum(cv2.calcHist([rows(band)], [3], None, [256], [0, 256]) for band in bands))
    if present[-1] == 0:
        detail = "Every pixel is transparent; the image was read as white."
        return np.full((height, width, 3), 255, np.uint8), (DetectionWarning("fully_transparent", detail),)
    opaque = present[0] == 255
    paper = 0 if not opaque and _is_bright(rows, bands, int(present[-1])) else 255
    pixels = np.empty((height, width, 3), np.uint8)
    for band in bands:
        pixels[band] = rows(band)[..., :3] if opaque else _compose(rows(band), paper)
    if opaque:
        return pixels, ()
    detail = f"Transparent pixels were laid on {'white' if paper else 'black'}"
    detail += "." if paper else ", because nearly all of the visible ones are bright."
    return pixels, (DetectionWarning("alpha_composited", detail),)


def _is_bright(rows: Callable[[slice], Pixels], bands: list[slice], most: int) -> bool:
    dark = visible = 0
    for band in bands:
        part = rows(band)
        # Half of the strongest alpha leaves the soft edges out, and keeps a faint watermark in.
        ink = cv2.inRange(part[..., 3], (most + 1) // 2, 255)
        visible += cv2.countNonZero(ink)
        grey = cv2.inRange(cv2.cvtColor(part, cv2.COLOR_RGBA2GRAY), 0, _BRIGHT - 1)
        dark += cv2.countNonZero(cv2.bitwise_and(grey, ink))
    return dark < _DARK_SHARE * visible


def _compose(part: Pixels, paper: int) -> Pixels:
    # What the colour lacks to the paper, as far as it is opaque: white less that, or black plus it.
    ground = np.uint8(paper)
    distance = np.asarray(cv2.cvtColor(part, cv2.COLOR_RGBA2RGB), np.uint8) ^ ground
    alpha = cv2.cvtColor(part[..., 3], cv2.COLOR_GRAY2RGB)
    return np.asarray(cv2.multiply(distance, alpha, scale=1 / 255), np.uint8) ^ ground


def reduce_depth(values: NDArray[np.generic], bits: int | None = None) -> Converted:
    """Grey or colour values of any type as 8 bits.

    8 bits stay as they are. Unsigned 16 bits keep their upper byte; where the values need 12 bits or fewer
    (unscaled camera data) their own upper 8 bits are kept. Everything else is stretched so that its smallest
    finite value becomes 0 and its largest 255; NaN becomes 0.

    Args:
        values: (H, ...) integers or floats.
        bits: How many bits of unsigned 16 count, where the file says so.

    Returns:
        uint8 of the same shape, and a warning where the scale depends on the values.
    """
    if values.dtype == np.uint8:
        return np.asarray(values, np.uint8), ()
    if values.dtype.kind != "u" or values.dtype.itemsize != 2:  # of either byte order
        with np.errstate(
            all="ignore"
        ):  # values at the ends of their type may overflow, which spoils only them
            return _stretch(values)
    notes: tuple[DetectionWarning, ...] = ()
    if bits is None:
        peak = int(values.max())
        bits = 16 if peak >= _CAMERA_VALUES else max(peak.bit_length(), 8)
        if bits < 16:
            notes = _depth_warning(f"16-bit values that use only {bits} bits were scaled by those {bits}.")
    reduced = np.empty(values.shape, np.uint8)
    for band in split_bands(len(values), values[0].size):
        reduced[band] = np.right_shift(values[band], bits - 8)
    return reduced, notes


def _stretch(values: NDArray[np.generic]) -> Converted:
    bands, kind = list(split_bands(len(values), values[0].size)), np.result_type(values.dtype, np.float32)
    low, high = np.inf, -np.inf
    for band in bands:
        real = values[band].astype(kind)
        finite = np.isfinite(real)
        low = min(low, float(real.min(initial=np.inf, where=finite)))
        high = max(high, float(real.max(initial=-np.inf, where=finite)))
    if low > high:  # nothing is finite
        low = high = 0.0
    reduced = np.empty(values.shape, np.uint8)
    for band in bands:
        real = np.nan_to_num(values[band].astype(kind), copy=False, nan=low, posinf=high, neginf=low) - low
        scaled = cv2.convertScaleAbs(real, alpha=255.0 / (high - low) if high > low else 0.0)
        reduced[band] = np.reshape(scaled, real.shape)
    return reduced, _depth_warning(f"Values from {low:g} to {high:g} were stretched to 0-255.")


def _depth_warning(detail: str) -> tuple[DetectionWarning, ...]:
    return (DetectionWarning("depth_reduced", detail),)
