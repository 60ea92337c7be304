"""What an image file says of itself, and whether that is within the limits, before a pixel is decoded."""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING

from ocrdet.errors import CorruptImage, ImageTooLarge, MissingImage, TruncatedImage, UnsupportedFormat
from ocrdet.vision.avif import is_avif, read_avif
from ocrdet.vision.containers import SUPPORTED_FORMATS, read_bmp, read_gif, read_webp
from ocrdet.vision.jpeg import read_jpeg
from ocrdet.vision.jpeg2000 import read_jpeg2000
from ocrdet.vision.png import read_png
from ocrdet.vision.tiff import read_tiff

if TYPE_CHECKING:
    from collections.abc import Callable

    from ocrdet.values import ImageHeader

__all__ = ["SUPPORTED_FORMATS", "check_limits", "read_header"]

_READERS: dict[str, Callable[[bytes], ImageHeader]] = {
    "jpeg": read_jpeg,
    "png": read_png,
    "webp": read_webp,
    "bmp": read_bmp,
    "tiff": read_tiff,
    "gif": read_gif,
    "avif": read_avif,
    "jpeg2000": read_jpeg2000,
}
_SIGNATURES = {
    "jpeg": re.compile(rb"\xff\xd8"),
    "png": re.compile(rb"\x89PNG"),
    "webp": re.compile(rb"RIFF.{4}WEBP", re.DOTALL),
    # "BM" alone begins many a text; a BMP also states one of the known sizes of its second header.
    "bmp": re.compile(rb"BM.{12}[\x0c\x10\x28\x34\x38\x40\x6c\x7c]\0\0\0", re.DOTALL),
    "tiff": re.compile(rb"II[*+]\0|MM\0[*+]"),
    "gif": re.compile(rb"GIF8[79]a"),
    "jpeg2000": re.compile(rb"\0{3}\x0cjP {2}\r\n\x87\n|\xff\x4f\xff\x51"),
}
# What people send by mistake, by how it begins; the first that matches names it.
_FOREIGN = {
    "a PDF; POST /detect/pages reads it page by page": re.compile(rb"\s*%PDF-"),
    "a HEIF (HEIC); export it as JPEG (on an iPhone: Settings, Camera, Formats, Most Compatible)": re.compile(
        rb".{4}ftyp(hei|hev|mif1|msf1)", re.DOTALL
    ),
    "a JPEG XL": re.compile(rb"\xff\x0a|\0{3}\x0cJXL "),
    "a video": re.compile(rb".{4}ftyp|\x1a\x45\xdf\xa3|RIFF.{4}AVI ", re.DOTALL),
    "an icon (ICO)": re.compile(rb"\0\0[\x01\x02]\0(?!\0\0)"),  # else a Targa
    "a Photoshop file": re.compile(rb"8BPS"),
    "a Netpbm image": re.compile(rb"P[1-7]\s"),
    "PostScript": re.compile(rb"%!PS"),
    "a ZIP archive or an office document": re.compile(rb"PK\x03\x04"),
    "gzip-compressed": re.compile(rb"\x1f\x8b"),
    "HTML": re.compile(rb"(\xef\xbb\xbf)?\s*<(!doctype html|html)", re.IGNORECASE),
    "an SVG, a drawing without pixels; export it as PNG": re.compile(
        rb"(\xef\xbb\xbf)?\s*<(svg|[?!].{,1000}<svg)", re.DOTALL
    ),
    "XML": re.compile(rb"(\xef\xbb\xbf)?\s*<\?xml"),
    "a data: URI; send the bytes it encodes, or the URI in a JSON body": re.compile(rb"\s*data:"),
    "base64 text; send the bytes it encodes, or the text in a JSON body": re.compile(
        rb"/9j/|iVBORw0KGgo|UklGR|R0lGOD|SUkq|TU0AK|Qk[0-9]"
    ),
    "JSON": re.compile(rb'(\xef\xbb\xbf)?\s*(\{\s*["}]|\[)'),
    "a form; send it as multipart/form-data": re.compile(rb"--[^\r\n]{1,70}\r\nContent-", re.IGNORECASE),
    "text": re.compile(rb"[\t\r\n\x20-\x7e\x80-\xf4]{16}"),
}


def read_header(data: bytes) -> ImageHeader:
    """What the first bytes say: format, size, orientation and layout, without decoding.

    The format follows from the bytes alone. `frames` tells one image (1) from more than one (2); nothing is
    counted. Unreadable EXIF means upright, as in every viewer.

    Args:
        data: The whole file.

    Returns:
        The header; its width and height are at least 1.

    Raises:
        MissingImage: There are no bytes.
        UnsupportedFormat: No format that is read here; the sentence names what it looks like.
        TruncatedImage: The bytes end inside the header.
        CorruptImage: The header contradicts its format.
    """
    if not data:
        raise MissingImage("The image is empty (0 bytes); send the bytes of a picture.")
    name = next((name for name, signature in _SIGNATURES.items() if signature.match(data)), None)
    name = name or ("avif" if is_avif(data) else None)
    if name is None:
        raise UnsupportedFormat(_unsupported_sentence(data), supported=list(SUPPORTED_FORMATS))
    try:
        header = _READERS[name](data)
    except (ArithmeticError, LookupError, ValueError, struct.error) as error:
        raise TruncatedImage(f"The {name.upper()} ends inside its header; upload the whole file.") from error
    if not header.pixels:
        raise CorruptImage(
            f"The {name.upper()} states a size of {header.width}x{header.height} pixels; export it again."
        )
    return header


def check_limits(header: ImageHeader, *, max_pixels: int, max_side_px: int) -> None:
    """Refuse an image that is too large to decode.

    Args:
        header: What the file says of itself.
        max_pixels: Most pixels in the image.
        max_side_px: Most pixels along its longer side.

    Raises:
        ImageTooLarge: One of the two is exceeded; the facts hold width, height and the limit.
    """
    size = f"The image is {header.width}x{header.height} pixels"
    if max(header.width, header.height) > max_side_px:
        raise ImageTooLarge(
            f"{size}; at most {max_side_px} along a side are accepted. Scale it down or cut it into parts.",
            width=header.width,
            height=header.height,
            limit=max_side_px,
        )
    if header.pixels > max_pixels:
        raise ImageTooLarge(
            f"{size}, {header.pixels} in all; at most {max_pixels} are accepted. Scale it down.",
            width=header.width,
            height=header.height,
            limit=max_pixels,
        )


def _unsupported_sentence(data: bytes) -> str:
    looks = next((name for name, beginning in _FOREIGN.items() if beginning.match(data)), None)
    seen = f"The bytes look like {looks}" if looks else "The bytes begin like no known image format"
    return f"{seen}. Supported formats: {', '.join(SUPPORTED_FORMATS)}."
