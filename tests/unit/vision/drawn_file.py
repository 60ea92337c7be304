"""A drawn file with the pixels that a person sees in it, and what all such files show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from PIL import Image

from tests.unit.vision.drawing import exif, picture, save, turned_back

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]
    Witness = Literal["opencv", "pillow"] | None

SEEN = picture()
RGB: Pixels = np.asarray(SEEN)
GREY: Pixels = np.asarray(SEEN.convert("L"))
BITS: Pixels = np.where(GREY > 100, np.uint8(255), np.uint8(0))
SIZE = SEEN.size
ALPHA: Pixels = np.repeat(np.linspace(0, 255, SIZE[0]).astype(np.uint8)[None], SIZE[1], axis=0)
VEILED = Image.fromarray(np.dstack([RGB, ALPHA]))
ON_WHITE: Pixels = np.round(RGB * (ALPHA[..., None] / 255) + 255 - ALPHA[..., None]).astype(np.uint8)
GREY_ON_WHITE: Pixels = np.round(GREY * (ALPHA / 255) + 255 - ALPHA).astype(np.uint8)


class File(NamedTuple):
    """A file, what is seen in it, and who can say so beside us.

    Attributes:
        data: The file.
        seen: (H, W) or (H, W, 3) pixels, upright.
        tolerance: Largest difference of one value.
        codes: Warnings.
        witness: The library that is not the one used here, where it reads such files at all.
    """

    data: bytes
    seen: Pixels = RGB
    tolerance: int = 0
    codes: tuple[str, ...] = ()
    witness: Witness = None


def frames() -> dict[str, Any]:
    """Options to save two more images behind a first; Pillow leaves marks on images, so they are new ones."""
    return {"save_all": True, "append_images": [Image.new("RGB", SIZE, "navy") for _ in range(2)]}


def turned(name: str, tolerance: int, witness: Witness) -> Iterator[File]:
    """A file for each of the eight orientations."""
    for orientation in range(1, 9):
        stored = Image.fromarray(turned_back(RGB, orientation))
        yield File(save(stored, name, exif=exif(orientation)), RGB, tolerance, (), witness)
