"""Which pages of a document, and how large a PDF page is rendered."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ocrdet.api.options import OPTIONS, Option, read_options
from ocrdet.errors import ImageTooLarge, InvalidParameter

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ocrdet.options import DetectOptions

LEAST_DPI, USUAL_DPI, MOST_DPI = 72, 150, 600
POINTS_PER_INCH = 72
_RANGE = r"[1-9][0-9]{0,5}(-([1-9][0-9]{0,5})?)?"

#: Every option of `/detect/pages`.
PAGE_OPTIONS: dict[str, Option] = {
    **{name: option for name, option in OPTIONS.items() if name != "output"},
    "dpi": Option(
        "dpi",
        {"type": "integer", "minimum": LEAST_DPI, "maximum": MOST_DPI, "default": USUAL_DPI},
        "Pixels per inch that a PDF page is rendered at; an image has its own pixels.",
    ),
    "pages": Option(
        "pages",
        {"type": "string", "pattern": rf"{_RANGE}(,{_RANGE}){{0,99}}", "example": "1-3,7,10-"},
        "Pages to look at, from 1, in their order; all of them where left out.",
    ),
}


@dataclass(frozen=True, slots=True)
class PageOptions:
    """Everything a caller chose for one document.

    Attributes:
        detect: For every page.
        dpi: Pixels per inch of a PDF page.
        pages: Such as `1-3,7,10-`; None for all.
    """

    detect: DetectOptions
    dpi: int = USUAL_DPI
    pages: str | None = None

    @classmethod
    def read(cls, *sources: Mapping[str, object]) -> PageOptions:
        """Checked values; later sources win.

        Raises:
            InvalidParameter: A value is of the wrong kind or outside its range.
        """
        given = {name: raw for source in sources for name, raw in source.items()}
        own = {name: given.pop(name, None) for name in ("dpi", "pages")}
        values = {name: PAGE_OPTIONS[name].read(raw) for name, raw in own.items() if raw is not None}
        return cls(read_options(given).detect, **values)  # type: ignore[arg-type]

    def select(self, count: int, most: int) -> list[int]:
        """The pages asked for, from 0, in their order.

        Args:
            count: How many the document has.
            most: How many may be asked for.

        Raises:
            InvalidParameter: A page is asked for that is not there.
            ImageTooLarge: Too many are asked for.
        """
        chosen = bytearray(count)  # a mark for each page: a PDF may say that it has a million
        for part in (self.pages or "1-").split(","):
            first, dash, last = part.partition("-")
            low, high = int(first), int(last or (count if dash else first))
            if not low <= high <= count:
                raise InvalidParameter(
                    f"pages={part} is no part of a document of {count} pages.", field="pages", maximum=count
                )
            chosen[low - 1 : high] = b"\1" * (high - low + 1)
        asked = chosen.count(1)
        if asked > most:
            raise ImageTooLarge(
                f"{asked} pages were asked for; at most {most} are read at a time. Choose fewer, e.g. "
                f"pages=1-{most}.",
                pages=asked,
                limit=most,
            )
        return [page for page, mark in enumerate(chosen) if mark]


def size_in_pixels(width_pt: float, height_pt: float, dpi: int) -> tuple[int, int]:
    """Width and height of a page of this many points, pixels; at least 1."""
    return (
        max(1, round(width_pt * dpi / POINTS_PER_INCH)),
        max(1, round(height_pt * dpi / POINTS_PER_INCH)),
    )


def require_page_size(
    page: int, size_pt: tuple[float, float], dpi: int, *, max_pixels: int, max_side_px: int
) -> tuple[int, int]:
    """Width and height of a page in pixels, within the limits of every image.

    Raises:
        ImageTooLarge: The page would have too many pixels, or too long a side; the sentence names the dpi
            that it fits at.
    """
    width, height = size_in_pixels(*size_pt, dpi)

    def fits(at: int) -> bool:
        sides = size_in_pixels(*size_pt, at)
        return math.prod(sides) <= max_pixels and max(sides) <= max_side_px

    if fits(dpi):
        return width, height
    best = next((at for at in range(dpi - 1, LEAST_DPI - 1, -1) if fits(at)), None)
    size = f"{size_pt[0]:g}x{size_pt[1]:g} points: {width}x{height} pixels at {dpi} dpi"
    accepted = f"at most {max_pixels} pixels, and {max_side_px} along a side, are accepted"
    raise ImageTooLarge(
        f"Page {page} measures {size}; {accepted}. "
        + (f"Ask for dpi={best} or less." if best else "Export it with smaller pages."),
        width=width,
        height=height,
        limit=max_pixels,
        limit_side=max_side_px,
        max_dpi=best,
    )
