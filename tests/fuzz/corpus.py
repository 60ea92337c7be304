"""What fuzzing starts from: small files of every row of the two tables in docs/images.md, drawn by code."""

from __future__ import annotations

import base64
import json
import random
from typing import TYPE_CHECKING

from PIL import Image

from tests.fuzz.choices import CONTROL_BYTES
from tests.unit.vision.decode_table import ROWS
from tests.unit.vision.drawing import exif, picture, save
from tests.unit.vision.refused_table import REFUSED

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# A mutation of a small file meets its structure more often, and is tried sooner.
MAX_FILE_BYTES = 8192
BOUNDARY = b"fuzz"


def draw_files() -> list[bytes]:
    """Every drawn file that is small, each once."""
    files = [file.data for row in ROWS.values() for file in row()]
    files += [data for refusals in REFUSED.values() for data, _, _ in refusals]
    files += list(_tiny_files())
    return list(dict.fromkeys(data for data in files if len(data) <= MAX_FILE_BYTES))


def draw_bodies(files: list[bytes]) -> Iterator[bytes]:
    """Bodies of requests: forms and JSON around some of the files, and what else clients send."""
    for data in files[:: max(1, len(files) // 12)]:
        yield form_body(data, {"iou_threshold": "0.5", "polygons": "true"})
        yield json_body(data, {"fit": "tile", "max_regions": 7})
    yield form_body(b"", {})
    yield b'{"image": "data:image/png;base64,iVBORw0KGgo=", "score_threshold": 1e-3, "output": "webui"}'
    yield b'{"images": [{"image": "iVBORw0KGgo=", "name": "one"}, "R0lGODlh"], "coordinates": "stored"}'
    yield b'{"image": null, "normalized": true, "nested": [[{"a": "\\ud800"}]]}'
    yield b"scene=document&score_threshold=0.1&max_regions=1"


def form_body(data: bytes, options: dict[str, str], boundary: bytes = BOUNDARY) -> bytes:
    """A form with one file and some plain fields."""
    fields = b"".join(
        b'--%s\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'
        % (boundary, name.encode(), value.encode("utf-8", "replace"))
        for name, value in options.items()
    )
    head = b'--%s\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n' % boundary
    return fields + head + data + b"\r\n--%s--\r\n" % boundary


def json_body(data: bytes, options: dict[str, object]) -> bytes:
    """A JSON object with one image."""
    return json.dumps({"image": base64.b64encode(data).decode()} | options).encode()


def write_corpus(folder: Path, *, bodies: bool) -> int:
    """Write one input per file, behind a control block; how many there are.

    Args:
        folder: Where to.
        bodies: Also write whole bodies of requests.
    """
    files = draw_files()
    inputs = files + (list(draw_bodies(files)) if bodies else [])
    for index, data in enumerate(inputs):
        control = random.Random(index).randbytes(CONTROL_BYTES)  # noqa: S311 - drawn, not secret
        (folder / f"{index:04}").write_bytes(control + data)
    return len(inputs)


def _tiny_files() -> Iterator[bytes]:
    """Files of a few pixels: next to nothing but structure."""
    for size in ((1, 1), (8, 8), (24, 16), (64, 9)):
        drawn = picture(*size)
        for name in ("jpeg", "png", "webp", "bmp", "tiff", "gif", "jpeg2000", "avif"):
            yield save(drawn, name)
        for mode in ("1", "L", "LA", "P", "RGBA", "CMYK", "I;16", "F", "LAB", "YCbCr"):
            for name in ("png", "tiff", "jpeg"):
                yield from _saved(drawn, mode, name)
        yield save(drawn, "jpeg", exif=exif(6), progressive=True)
        yield save(drawn, "png", exif=exif(8))
        frames = {"save_all": True, "append_images": [Image.new("RGB", size, "navy")]}
        for name in ("gif", "png", "webp", "tiff", "avif", "mpo"):
            yield save(drawn, name, **frames)
        for compression in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"):
            yield save(drawn, "tiff", compression=compression)


def _saved(drawn: Image.Image, mode: str, name: str) -> Iterator[bytes]:
    try:
        yield save(drawn.convert("L").convert(mode) if mode == "I;16" else drawn.convert(mode), name)
    except (OSError, ValueError):  # not every format holds every mode
        return
