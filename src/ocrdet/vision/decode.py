"""Bytes to upright RGB.

    read_header -> check_limits -> decode_image: whole? -> vision/decoders -> rotate

Whatever the bytes, only an OcrdetError leaves this file.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import cv2
import numpy as np
from PIL import UnidentifiedImageError

from ocrdet.errors import CorruptImage, ImageTooLarge, OcrdetError, TruncatedImage, UnsupportedFormat
from ocrdet.values import DecodedImage, DetectionWarning, ImageHeader
from ocrdet.vision.containers import SUPPORTED_FORMATS, require_whole_webp
from ocrdet.vision.decoders import Decoded, decode_pixels, prepare_decoders, require_size
from ocrdet.vision.header import check_limits, read_header
from ocrdet.vision.jpeg import has_damaged_scans, require_whole_jpeg
from ocrdet.vision.jpeg2000 import require_whole_jpeg2000
from ocrdet.vision.partial import PARTIAL_FORMATS, lay_part, take_part
from ocrdet.vision.png import require_whole_png

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["SUPPORTED_FORMATS", "check_limits", "decode_image", "prepare_decoders", "read_header"]

_REQUIRE_WHOLE = {
    "jpeg": require_whole_jpeg,
    "png": require_whole_png,
    "webp": require_whole_webp,
    "jpeg2000": require_whole_jpeg2000,
}
_TRUNCATED_SIGNS = ("truncated", "not enough image data")
_UNSUPPORTED_SIGNS = ("unsupported", "not supported", "cannot handle", "unknown")
_TRANSPOSED = frozenset({5, 6, 7, 8})
# After that: 0 turns upside down, 1 mirrors, -1 does both.
_FLIPS = {2: 1, 3: -1, 4: 0, 6: 1, 7: -1, 8: 0}


def decode_image(
    data: bytes, header: ImageHeader, *, reduction: int = 1, allow_truncated: bool = False
) -> DecodedImage:
    """The image as a person sees it.

    Args:
        data: The whole file.
        header: What `read_header` said of it, already within the limits: that bounds the memory used here.
        reduction: 1, 2, 4 or 8 times fewer pixels in each direction are enough. A JPEG is then decoded at
            that fraction, in half the time; other formats are decoded whole.
        allow_truncated: Of a file that ends early take the part that is there, where its format has one.

    Returns:
        Contiguous (H, W, 3) uint8 RGB, displayed frame, with a warning for everything decoding changed and
        the reduction that was really made.

    Raises:
        TruncatedImage: The bytes end early.
        OcrdetError: CorruptImage (they contradict their format or their header), UnsupportedFormat (a rare
            variant) or ImageTooLarge (not enough memory).
    """
    try:
        decoded = _decode_guarded(data, header, reduction)
    except TruncatedImage as error:
        if header.format not in PARTIAL_FORMATS:
            raise
        if not allow_truncated:
            raise TruncatedImage(f"{error.detail} allow_truncated=true reads what part there is.") from error
        decoded = _decode_part(data, header, reduction, error)
    notes = decoded.notes
    if header.format == "jpeg" and has_damaged_scans(data):
        detail = "The compressed data of the JPEG are damaged; parts of the image may be grey or shifted."
        notes += (DetectionWarning("damaged_image", detail),)
    if header.frames > 1:
        notes += (_frame_note(header),)
    return DecodedImage(_turn_upright(decoded.pixels, decoded.orientation), header, notes, decoded.reduction)


def _frame_note(header: ImageHeader) -> DetectionWarning:
    detail = "The file holds more than one image; only the first was read."
    if header.format == "tiff":
        detail = "The file holds more than one page; only the first was read. POST /detect/pages reads all."
    return DetectionWarning("first_frame_only", detail)


def _decode_part(data: bytes, header: ImageHeader, reduction: int, error: TruncatedImage) -> Decoded:
    """The part that is there, laid on white.

    Raises:
        TruncatedImage: None is.
    """
    try:
        part = take_part(data, header)
    except (ArithmeticError, LookupError, ValueError, struct.error):
        part = None
    if part is None:
        raise error
    decoded = _decode_guarded(part.data, part.header, reduction)
    pixels, note = lay_part(decoded.pixels, part, header, decoded.reduction)
    return Decoded(pixels, (*decoded.notes, note), header.orientation, decoded.reduction)


def _decode_guarded(data: bytes, header: ImageHeader, reduction: int) -> Decoded:
    """The pixels of a whole file as they lie in it, or as a decoder has turned them.

    Raises:
        OcrdetError: Whatever went wrong.
    """
    try:
        if header.format in _REQUIRE_WHOLE:
            _REQUIRE_WHOLE[header.format](data)
        decoded = decode_pixels(data, header, reduction)
        height, width = decoded.pixels.shape[:2]
        turned = decoded.orientation != header.orientation
        require_size(header, width, height, turned=turned, reduction=decoded.reduction)
    except OcrdetError:
        raise
    except Exception as error:  # decoders fed hostile bytes raise whatever they like
        refusal = _refusal(header, error)
        raise refusal from error
    return decoded


def _refusal(header: ImageHeader, error: Exception) -> OcrdetError:
    """What a decoder's exception means; its own words stay behind as the cause."""
    words, name = str(error).lower(), header.format.upper()
    if isinstance(error, MemoryError):
        return ImageTooLarge(
            f"There is not enough memory for {header.width}x{header.height} pixels. Scale the image down.",
            width=header.width,
            height=header.height,
        )
    if isinstance(error, EOFError | IndexError | struct.error) or any(s in words for s in _TRUNCATED_SIGNS):
        return TruncatedImage(f"The {name} ends before its image does; upload the whole file.")
    # Pillow finds what it cannot do in a TIFF when it opens it, and says no more than this.
    unknown = header.format == "tiff" and isinstance(error, UnidentifiedImageError)
    if unknown or any(sign in words for sign in _UNSUPPORTED_SIGNS):
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
        pixels = np.asarray(cv2.flip(pixels, _FLIPS[orientation], dst=pixels), np.uint8)
    return pixels
