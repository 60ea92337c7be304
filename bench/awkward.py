"""Decode a folder of awkward files and compare each with what two other decoders say.

    python -m bench.awkward --data FOLDER

Where the folder holds a manifest.json (a list of objects with file and pil), its words are shown beside a
refusal. A file is in order where its pixels agree with Pillow's or OpenCV's own reading. Refusals and
differences are listed, to be looked at: text laid on black, and depths that are scaled on purpose, differ
from both. Nothing is done where there is no folder.
"""

from __future__ import annotations

import argparse
import io
import json
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from PIL import Image, ImageOps

from ocrdet.errors import OcrdetError
from ocrdet.vision.decode import check_limits, decode_image, prepare_decoders, read_header

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ocrdet.values import DecodedImage

TOLERANCE = 8


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER")
    folder = parser.parse_args().data
    if not folder.is_dir():
        print(f"{folder} is not there: skipped")
        return
    prepare_decoders()
    warnings.simplefilter("ignore")
    manifest = folder / "manifest.json"
    known = {entry["file"]: entry for entry in json.loads(manifest.read_text())} if manifest.exists() else {}
    agreed = refused = odd = 0
    for path in sorted(folder.iterdir()):
        if path == manifest or not path.is_file():
            continue
        data = path.read_bytes()
        try:
            header = read_header(data)
            check_limits(header, max_pixels=50_000_000, max_side_px=65_500)
            image = decode_image(data, header)
        except OcrdetError as error:
            refused += 1
            print(f"refused  {path.name}: {type(error).__name__}: {error.detail}")
            print(f"         {known.get(path.name, {}).get('pil', '')}")
            continue
        differences = {name: _difference(image, reading) for name, reading in _readings(data).items()}
        if min(differences.values(), default=0) <= TOLERANCE:
            agreed += 1
        else:
            odd += 1
            codes = [warning.code for warning in image.warnings]
            print(f"differs  {path.name}: {header.mode} {codes} {differences}")
    print(f"{agreed} agree, {refused} refused, {odd} to look at")


def _readings(data: bytes) -> dict[str, NDArray[np.uint8]]:
    """What the others see, as far as they read it: upright, on white."""
    found: dict[str, NDArray[np.uint8]] = {}
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
        if pixels is not None:
            found["opencv"] = np.asarray(pixels, np.uint8)
    except cv2.error:
        pass
    try:
        with Image.open(io.BytesIO(data)) as opened:
            image = ImageOps.exif_transpose(opened)
            if image.has_transparency_data:
                layers = image.convert("RGBA")
                image = Image.new("RGBA", image.size, "white")
                image.alpha_composite(layers)
            found["pillow"] = np.asarray(image.convert("RGB"), np.uint8)
    except (OSError, SyntaxError, ValueError):
        pass
    return found


def _difference(image: DecodedImage, pixels: NDArray[np.uint8]) -> int:
    if pixels.shape != image.pixels.shape:
        return 255
    return int(np.abs(pixels.astype(np.int16) - image.pixels).max())


if __name__ == "__main__":
    main()
