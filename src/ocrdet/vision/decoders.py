"""The two libraries that decode: which one reads what, and what they must not see.

OpenCV takes JPEG, still WebP, JPEG 2000, BMP in runs and TIFF colours of 32 bits; Pillow takes the rest, and
what OpenCV gives up on. Before that, a file is rid of what only costs time.
"""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
from PIL import AvifImagePlugin, Image

# Else the first image of each kind imports every plugin there is.
from PIL import GifImagePlugin, Jpeg2KImagePlugin, TiffImagePlugin, WebPImagePlugin  # noqa: F401 isort: skip

from ocrdet.errors import CorruptImage, UnsupportedFormat
from ocrdet.values import DetectionWarning
from ocrdet.vision.avif import still_avif
from ocrdet.vision.containers import SUPPORTED_FORMATS, is_packed
from ocrdet.vision.jpeg import strip_jpeg
from ocrdet.vision.png import strip_png
from ocrdet.vision.rgb import convert_image, flatten_alpha, join_rgb, reduce_depth

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ocrdet.values import ImageHeader
    from ocrdet.vision.rgb import Converted

_FAST_MODES = {
    "jpeg": {"L", "RGB"},
    "webp": {"RGB", "RGBA"},
    "jpeg2000": {
        f"{mode}{depth}" for mode in ("L", "RGB", "RGBA") for depth in ("", *(f";{n}" for n in range(9, 17)))
    },
}
_STRIPPED = {"jpeg": strip_jpeg, "png": strip_png, "avif": still_avif}
_DEEP_MODES = frozenset({"I", "F", "I;16", "I;16B", "I;16L"})
_BIG_ENDIAN_BIGTIFF = b"MM\0+"
_PHOTOMETRIC, _MIN_IS_WHITE = 262, 0
# Pillow keeps every other thread of Python waiting while it decodes a JPEG 2000: half a second for so many.
_MAX_WAITING_PIXELS = 2_000_000
_MAX_RUN_BYTES = 2_000_000
# How a JPEG is read at a fraction of its size: its blocks are transformed back at fewer points.
_REDUCED = {
    1: cv2.IMREAD_COLOR_RGB,
    2: cv2.IMREAD_COLOR_RGB | cv2.IMREAD_REDUCED_GRAYSCALE_2,
    4: cv2.IMREAD_COLOR_RGB | cv2.IMREAD_REDUCED_GRAYSCALE_4,
    8: cv2.IMREAD_COLOR_RGB | cv2.IMREAD_REDUCED_GRAYSCALE_8,
}


class Decoded(NamedTuple):
    """What a decoder made.

    Attributes:
        pixels: (H, W, 3) uint8 RGB.
        notes: What was changed.
        orientation: EXIF orientation that is yet to be applied.
        reduction: Source pixels, in each direction, that one pixel stands for.
    """

    pixels: NDArray[np.uint8]
    notes: tuple[DetectionWarning, ...]
    orientation: int
    reduction: int = 1


def prepare_decoders() -> None:
    """Let the limits of ocrdet alone decide, in this whole process; importing changes nothing."""
    # They are checked on the header; Pillow's own would turn a permitted image into an error.
    Image.MAX_IMAGE_PIXELS = None
    # Pillow warns of odd metadata, which detection does not read, once per odd file and on standard error.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    # OpenCV prints a line for each image it refuses; the refusal is answered, not printed.
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    # Images run side by side on threads of their own; those of the decoders would only fight with them.
    cv2.setNumThreads(1)
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1


def decode_pixels(data: bytes, header: ImageHeader, reduction: int) -> Decoded:
    """The pixels of a whole file by the decoder that suits it.

    Raises:
        Exception: Whatever the decoders raise on hostile bytes.
    """
    return (
        _decode_fast(data, header, reduction) or _decode_rare_tiff(data, header) or _decode_slow(data, header)
    )


def _decode_fast(data: bytes, header: ImageHeader, reduction: int) -> Decoded | None:
    """OpenCV's reading; None where it is not the right decoder, or gives up."""
    still = header.frames == 1 or header.format == "jpeg"  # of a multi-picture JPEG it reads the first
    packed = header.format == "bmp" and is_packed(data)
    if not still or not (packed or header.mode in _FAST_MODES.get(header.format, ())):
        return None
    if header.format == "jpeg":
        pixels = _imdecode(data, _REDUCED[reduction])
        return (
            None
            if pixels is None
            else Decoded(np.asarray(pixels, np.uint8), (), header.orientation, reduction)
        )
    values = _imdecode(data, cv2.IMREAD_UNCHANGED)
    if values is None:
        return None
    bits = int(header.mode.partition(";")[2] or 8)
    pixels, notes = _reorder(values, bits)
    return Decoded(pixels, notes, header.orientation)


def _imdecode(data: bytes, flags: int) -> NDArray[np.generic] | None:
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), flags | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error:
        return None


def _reorder(values: NDArray[np.generic], bits: int | None = None) -> Converted:
    """OpenCV's grey, BGR or BGRA of any depth as RGB."""
    reduced, notes = reduce_depth(values, bits)
    if reduced.ndim == 2 or reduced.shape[2] == 1:
        return np.asarray(cv2.cvtColor(reduced, cv2.COLOR_GRAY2RGB), np.uint8), notes
    if reduced.shape[2] == 3:
        return np.asarray(cv2.cvtColor(reduced, cv2.COLOR_BGR2RGB, dst=reduced), np.uint8), notes
    height, width = reduced.shape[:2]
    pixels, composed = flatten_alpha(
        lambda band: np.asarray(cv2.cvtColor(reduced[band], cv2.COLOR_BGRA2RGBA), np.uint8), width, height
    )
    return pixels, notes + composed


def _decode_rare_tiff(data: bytes, header: ImageHeader) -> Decoded | None:
    """OpenCV's reading of a TIFF that Pillow has no mode for, such as float colours; alpha is left out."""
    if header.format != "tiff" or not (
        header.mode.endswith((";32", ";64")) or data.startswith(_BIG_ENDIAN_BIGTIFF)
    ):
        return None
    values = _imdecode(data, cv2.IMREAD_UNCHANGED)
    if values is None:
        return None
    return Decoded(*_reorder(np.atleast_3d(values)[..., :3]), 1)  # OpenCV turns every TIFF itself


def _decode_slow(data: bytes, header: ImageHeader) -> Decoded:
    """Pillow's reading.

    Raises:
        UnsupportedFormat: A large JPEG 2000 would keep other requests waiting.
        CorruptImage: A large BMP of damaged runs, which Pillow unpacks in Python, likewise.
    """
    if header.format == "bmp" and is_packed(data) and len(data) > _MAX_RUN_BYTES:
        raise CorruptImage("The BMP's runs of pixels are damaged; export it again, or as PNG.")
    if header.format == "jpeg2000" and header.pixels > _MAX_WAITING_PIXELS:
        raise UnsupportedFormat(
            f"A JPEG 2000 of this kind ({header.mode}), or damaged, is not read above {_MAX_WAITING_PIXELS} "
            "pixels; save it as RGB, or as PNG or JPEG.",
            supported=list(SUPPORTED_FORMATS),
        )
    if header.format in _STRIPPED:
        data = _STRIPPED[header.format](data)
    # Pillow exchanges the sides of a turned TIFF when it opens it, and turns the pixels when it loads them.
    turns = header.format == "tiff"
    with Image.open(io.BytesIO(data), formats=[header.format.upper()]) as image:
        require_size(header, image.width, image.height, turned=turns)
        image.load()
        return Decoded(*_to_rgb(image, header), 1 if turns else header.orientation)


def _to_rgb(image: Image.Image, header: ImageHeader) -> Converted:
    """A loaded Pillow image of any mode as RGB."""
    if image.mode in _DEEP_MODES:
        grey, notes = reduce_depth(np.asarray(image))
        if header.format == "tiff" and image.getexif().get(_PHOTOMETRIC) == _MIN_IS_WHITE:
            grey = 255 - grey  # Pillow inverts such images only up to 8 bits
        key = image.info.get("transparency")
        if isinstance(key, int):
            shown = np.where(np.asarray(image) == key, np.uint8(0), np.uint8(255))
            pixels, composed = flatten_alpha(
                lambda band: np.dstack([*[grey[band]] * 3, shown[band]]), image.width, image.height
            )
            return pixels, notes + composed
        return np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB), np.uint8), notes
    if header.mode == "RGBA;16" and isinstance(key := image.info.get("transparency"), tuple):
        image.info["transparency"] = tuple(value >> 8 for value in key)  # as Pillow did to the pixels
    if image.has_transparency_data and not _is_forgotten_alpha(image, header):
        return flatten_alpha(convert_image(image, "RGBA"), image.width, image.height)
    if image.mode == "CMYK":
        detail = "CMYK was converted to RGB without its colour profile; colours are approximate."
        return join_rgb(image), (DetectionWarning("cmyk_converted", detail),)
    return join_rgb(image), ()


def _is_forgotten_alpha(image: Image.Image, header: ImageHeader) -> bool:
    """Whether a BMP has alpha of nothing but zeros, as some programs write; browsers ignore that."""
    return header.format == "bmp" and image.mode == "RGBA" and image.getchannel("A").getbbox() is None


def require_size(header: ImageHeader, width: int, height: int, *, turned: bool, reduction: int = 1) -> None:
    """Refuse a picture of another size than its header stated: that bounded the memory.

    Raises:
        CorruptImage: The sizes differ.
    """
    expected = (header.width, header.height) if turned else (header.stored_width, header.stored_height)
    if (width, height) != tuple(-(-side // reduction) for side in expected):
        raise CorruptImage(
            f"The {header.format.upper()} states a size of {expected[0]}x{expected[1]} pixels "
            f"but holds {width}x{height}; export it again."
        )
