"""PDF files written by hand, honest ones and others."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

A4 = (595, 842)
#: Number of the first object that is not the catalog, the page tree or the font.
FIRST = 4
WORD = "BT /F1 40 Tf 90 700 Td (HARBOUR) Tj ET"


def write_pdf(objects: Sequence[str | bytes], trailer: str = "") -> bytes:
    """A file of these objects, numbered from 1; the first is the catalog."""
    data = bytearray(b"%PDF-1.7\n")
    offsets = []
    for number, body in enumerate(objects, 1):
        offsets.append(len(data))
        text = body if isinstance(body, bytes) else body.encode("latin-1")
        data += b"%d 0 obj\n%s\nendobj\n" % (number, text)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    size = len(objects) + 1
    end = f"trailer<</Size {size}/Root 1 0 R{trailer}>>\nstartxref\n{len(data)}\n%%EOF\n"
    return bytes(data + b"xref\n0 %d\n0000000000 65535 f \n" % size + table + end.encode())


def stream(content: str | bytes, entries: str = "") -> bytes:
    """A stream object."""
    body = content if isinstance(content, bytes) else content.encode("latin-1")
    return b"<<%s/Length %d>>stream\n%s\nendstream" % (entries.encode(), len(body), body)


def text_pdf(
    pages: Iterable[Sequence[tuple[str, float, float, float]]],
    size: tuple[float, float] = A4,
    *,
    entries: str = "",
) -> bytes:
    """Pages of words in Helvetica.

    Args:
        pages: The words of each page: text, left edge, baseline from the top, and size; points.
        size: Width and height of every page, points.
        entries: Further entries of every page.
    """
    contents = [
        " ".join(
            f"BT /F1 {points} Tf {left} {size[1] - top} Td ({text}) Tj ET"
            for text, left, top, points in words
        )
        for words in pages
    ]
    return drawn_pdf(contents, size, entries=entries)


def drawn_pdf(
    contents: Iterable[str | bytes],
    size: tuple[float, float] = A4,
    *,
    entries: str = "",
    named: Mapping[str, bytes] | None = None,
    kind: str = "XObject",
) -> bytes:
    """Pages with these content streams.

    Args:
        contents: One for each page; bytes are a whole stream object.
        size: Width and height of every page, points.
        entries: Further entries of every page.
        named: Objects that every page knows by these names.
        kind: What these are.
    """
    pages = list(contents)
    named = named or {}
    known = "".join(f"/{name} {number} 0 R" for number, name in enumerate(named, FIRST + 2 * len(pages)))
    kids = " ".join(f"{FIRST + 2 * place} 0 R" for place in range(len(pages)))
    objects: list[str | bytes] = [
        "<</Type/Catalog/Pages 2 0 R>>",
        f"<</Type/Pages/Kids[{kids}]/Count {len(pages)}>>",
        "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    for place, content in enumerate(pages):
        box = f"/MediaBox[0 0 {size[0]} {size[1]}]"
        resources = f"/Resources<</Font<</F1 3 0 R>>/{kind}<<{known}>>>>"
        after = FIRST + 2 * place + 1
        objects += [f"<</Type/Page/Parent 2 0 R{box}{resources}/Contents {after} 0 R{entries}>>"]
        objects.append(content if isinstance(content, bytes) else stream(content))
    objects.extend(named.values())
    return write_pdf(objects)


def endless_pdf(pages: int = 1, endless: Iterable[int] = (0,)) -> bytes:
    """Pages of which some have no end: they are tiled with a pattern, ten thousand times to the point."""
    entries = "/Type/Pattern/PatternType 1/PaintType 1/TilingType 1/BBox[0 0 400 400]/XStep .01/YStep .01"
    tile = stream("0 0 1 1 re f", f"{entries}/Resources<<>>")
    contents = _but(pages, endless, "/Pattern cs /P scn 0 0 595 842 re f")
    return drawn_pdf(contents, named={"P": tile}, kind="Pattern")


def hungry_pdf(pages: int = 1, hungry: Iterable[int] = (0,), unpacked_mib: int = 400) -> bytes:
    """A page whose drawing a renderer has to unpack, from a few thousand bytes in the file."""
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(b" " * (1 << 20)) for _ in range(unpacked_mib)) + packer.flush()
    content = stream(zlib.compress(packed, 9), "/Filter[/FlateDecode/FlateDecode]")
    return drawn_pdf(_but(pages, hungry, content))


def _but(pages: int, which: Iterable[int], content: str | bytes) -> list[str | bytes]:
    """Contents of pages with one word, but for some that have this one."""
    others = set(which)
    return [content if page in others else WORD for page in range(pages)]
