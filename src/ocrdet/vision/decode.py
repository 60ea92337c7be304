"""Bytes to upright RGB.

    read_header -> check_limits -> decode_image: whole? -> OpenCV, or Pillow for the rest -> rotate

OpenCV takes what nearly everyone sends: 8-bit grey or RGB in JPEG, PNG and WebP. Pillow reads the rest, and
whatever OpenCV gives up on. Whatever the bytes, only an OcrdetError leaves this file.
"""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING

import cv2
import numpy as np
from PIL import Image, TiffImagePlugin, WebPImagePlugin  # noqa: F401 - else the first TIFF imports all plugins

from ocrdet.errors import CorruptImage, ImageTooLarge, OcrdetError, TruncatedImage, UnsupportedFormat
from ocrdet.values import DecodedImage, DetectionWarning, ImageHeader
from ocrdet.vision.containers import (
    SUPPORTED_FORMATS,
    require_whole_jpeg,
    require_whole_png,
    require_whole_webp,
)
from ocrdet.vision.header import check_limits, read_header
from ocrdet.vision.rgb import flatten_alpha, reduce_depth

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ocrdet.vision.rgb import Converted

    # Pixels, what was changed, and the orientation that is yet to be applied.
    Decoded = tuple[NDArray[np.uint8], tuple[DetectionWarning, ...], int]

__all__ = ["SUPPORTED_FORMATS", "check_limits", "decode_image", "prepare_decoders", "read_header"]

_REQUIRE_WHOLE = {"jpeg": require_whole_jpeg, "png": require_whole_png, "webp": require_whole_webp}
_FAST_MODES = {"jpeg": {"L", "RGB"}, "png": {"L", "RGB"}, "webp": {"RGB"}}
_DEEP_MODES = frozenset({"I", "F", "I;16", "I;16B", "I;16L"})
_PHOTOMETRIC, _MIN_IS_WHITE = 262, 0
_TRUNCATED_SIGNS = ("truncated", "not enough image data")
_UNSUPPORTED_SIGNS = ("unsupported", "not supported", "cannot handle", "unknown")
_TRANSPOSED = frozenset({5, 6, 7, 8})
# After that: 0 turns upside down, 1 mirrors, -1 does both.
_FLIPS = {2: 1, 3: -1, 4: 0, 6: 1, 7: -1, 8: 0}
# How a JPEG is read at a fraction of its size: its blocks are transformed back at fewer points.
_REDUCED = {
    1: 0,
    2: cv2.IMREAD_REDUCED_GRAYSCALE_2,
    4: cv2.IMREAD_REDUCED_GRAYSCALE_4,
    8: cv2.IMREAD_REDUCED_GRAYSCALE_8,
}


def prepare_decoders() -> None:
    """Let the limits of ocrdet alone decide, in this whole process; importing changes nothing."""
    # They are checked on the header; Pillow's own would turn a permitted image into an error.
    Image.MAX_IMAGE_PIXELS = None
    # Pillow warns of odd metadata, which detection does not read, once per odd file and on standard error.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    # OpenCV prints a line for each image it refuses; the refusal is answered, not printed.
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    # Images run side by side on threads of their own; OpenCV's would only fight with them.
    cv2.setNumThreads(1)


def decode_image(data: bytes, header: ImageHeader, *, reduction: int = 1) -> DecodedImage:
    """The image as a person sees it.

    Args:
        data: The whole file.
        header: What `read_header` said of it, already within the limits: that bounds the memory used here.
        reduction: 1, 2, 4 or 8 times fewer pixels in each direction are enough. A JPEG is then decoded at
            that fraction, in half the time; other formats are decoded whole.

    Returns:
        Contiguous (H, W, 3) uint8 RGB, displayed frame, with a warning for everything decoding changed and
        the reduction that was really made.

    Raises:
        OcrdetError: TruncatedImage (the bytes end early), CorruptImage (they contradict their format or their
            header), UnsupportedFormat (a rare variant) or ImageTooLarge (not enough memory).
    """
    try:
        if header.format in _REQUIRE_WHOLE:
            _REQUIRE_WHOLE[header.format](data)
        decoded = _decode_fast(data, header, reduction)
        reduction = reduction if decoded and header.format == "jpeg" else 1
        pixels, notes, orientation = decoded or _decode_deep(data, header) or _decode_slow(data, header)
        turned = orientation != header.orientation
        _require_size(header, pixels.shape[1], pixels.shape[0], turned=turned, reduction=reduction)
        pixels = _turn_upright(pixels, orientation)
    except OcrdetError:
        raise
    except Exception as error:  # decoders fed hostile bytes raise whatever they like
        refusal = _refusal(header, error)
        raise refusal from error
    if header.frames > 1:
        detail = "The file holds more than one image; only the first was read."
        notes += (DetectionWarning("first_frame_only", detail),)
    return DecodedImage(pixels, header, notes, reduction)


def _decode_fast(data: bytes, header: ImageHeader, reduction: int) -> Decoded | None:
    """OpenCV's reading; None where it is not the right decoder, or gives up."""
    still = header.frames == 1 or header.format == "jpeg"  # of a multi-picture JPEG it reads the first
    if not still or header.mode not in _FAST_MODES.get(header.format, ()):
        return None
    reduced = _REDUCED[reduction] if header.format == "jpeg" else 0
    pixels = _imdecode(data, cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION | reduced)
    return None if pixels is None else (np.asarray(pixels, np.uint8), (), header.orientation)


def _imdecode(data: bytes, flags: int) -> NDArray[np.generic] | None:
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:
        return None


def _decode_deep(data: bytes, header: ImageHeader) -> Decoded | None:
    """OpenCV's reading of a TIFF deeper than Pillow's modes, such as float colours; alpha is left out."""
    if header.format != "tiff" or not header.mode.endswith((";32", ";64")):
        return None
    values = _imdecode(data, cv2.IMREAD_UNCHANGED)
    if values is None:
        return None
    colours, notes = reduce_depth(np.atleast_3d(values)[..., :3])
    if colours.shape[2] < 3:
        return np.repeat(colours[..., :1], 3, axis=2), notes, 1
    return np.ascontiguousarray(colours[..., ::-1]), notes, 1  # OpenCV turns every TIFF itself


def _decode_slow(data: bytes, header: ImageHeader) -> Decoded:
    """Pillow's reading."""
    # Pillow exchanges the sides of a turned TIFF when it opens it, and turns the pixels when it loads them.
    turns = header.format == "tiff"
    with Image.open(io.BytesIO(data), formats=[header.format.upper()]) as image:
        _require_size(header, image.width, image.height, turned=turns)
        image.load()
        return *_to_rgb(image, header), 1 if turns else header.orientation


def _to_rgb(image: Image.Image, header: ImageHeader) -> Converted:
    """A loaded Pillow image of any mode as RGB."""
    notes: tuple[DetectionWarning, ...] = ()
    if image.mode in _DEEP_MODES:
        grey, notes = reduce_depth(np.asarray(image))
        if header.format == "tiff" and image.getexif().get(_PHOTOMETRIC) == _MIN_IS_WHITE:
            grey = 255 - grey  # Pillow inverts such images only up to 8 bits
        return np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB), np.uint8), notes
    if header.mode == "RGBA;16" and isinstance(key := image.info.get("transparency"), tuple):
        image.info["transparency"] = tuple(value >> 8 for value in key)  # as Pillow did to the pixels
    if image.has_transparency_data:
        return flatten_alpha(image.convert("RGBA"))
    if image.mode == "CMYK":
        detail = "CMYK was converted to RGB without its colour profile; colours are approximate."
        notes = (DetectionWarning("cmyk_converted", detail),)
    return np.array(image.convert("RGB")), notes


def _require_size(header: ImageHeader, width: int, height: int, *, turned: bool, reduction: int = 1) -> None:
    expected = (header.width, header.height) if turned else (header.stored_width, header.stored_height)
    if (width, height) != tuple(-(-side // reduction) for side in expected):
        raise CorruptImage(
            f"The {header.format.upper()} states a size of {expected[0]}x{expected[1]} pixels "
            f"but holds {width}x{height}; export it again."
        )


def _refusal(header: ImageHeader, error: Exception) -> OcrdetError:
    """What a decoder's exception means; its own words stay behind as the cause."""
    words, name = str(error).lower(), header.format.upper()
    if isinstance(error, MemoryError):
        return ImageTooLarge(
            f"There is not enough memory for {header.width}x{header.height} pixels. Scale the image down.",
            width=header.width,
            height=header.height,
        )
    if isinstance(error, EOFError) or any(sign in words for sign in _TRUNCATED_SIGNS):
        return TruncatedImage(f"The {name} ends before its image does; upload the whole file.")
    if any(sign in words for sign in _UNSUPPORTED_SIGNS):
        return UnsupportedFormat(
            f"This rare variant of {name} ({header.mode}) is not read; save it as plain PNG or JPEG.",
            supported=list(SUPPORTED_FORMATS),
        )
    return CorruptImage(f"The {name} cannot be decoded: damaged, or of a rare kind. Export it again.")


def _turn_upright(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Stored pixels in the displayed frame, as the EXIF orientation says (TIFF 6.0, tag 274)."""
    if orientation in _TRANSPOSED:
        pixels = np.asarray(cv2.transpose(pixels), np.uint8)
    if orientation in _FLIPS:
        pixels = np.asarray(cv2.flip(pixels, _FLIPS[orientation]), np.uint8)
    return pixels
