"""The pages of a TIFF: each one as a file of its own that every reader of a TIFF understands.

A TIFF is a chain of directories, one per image, and its header points at the first. The same bytes with that
pointer moved to another directory, and no next one behind it, are a TIFF of that page alone (TIFF 6.0,
section 2; BigTIFF has 8 bytes where that has 4).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from ocrdet.errors import CorruptImage, ImageTooLarge

#: Finding them reads a few bytes each; no scanner feeds so much paper.
MOST_DIRECTORIES = 65_536
_BIG = 43


@dataclass(frozen=True, slots=True)
class TiffPages:
    """Where the pages of one TIFF are.

    Attributes:
        data: The whole file.
        directories: Offset of each page's directory, and of the pointer behind it to the next.
        truncated: Whether the chain leads out of the file, to pages that are not there.
    """

    data: bytes
    directories: tuple[tuple[int, int], ...]
    truncated: bool = False

    @classmethod
    def find(cls, data: bytes) -> TiffPages:
        """Walk the chain of directories.

        A chain that leads back ends there, as in every reader.

        Args:
            data: A file whose header `read_header` has read.

        Raises:
            ImageTooLarge: There are more directories than are looked at.
            CorruptImage: Not even the first one is in the file.
        """
        layout = _Layout.of(data)
        found: dict[int, int] = {}
        truncated = False
        (directory,) = layout.offset.unpack_from(data, layout.first)
        while directory and directory not in found:
            if len(found) == MOST_DIRECTORIES:
                raise ImageTooLarge(
                    f"The TIFF has more than {MOST_DIRECTORIES} pages; split it.", limit=MOST_DIRECTORIES
                )
            try:
                (entries,) = layout.count.unpack_from(data, directory)
                pointer = directory + layout.count.size + entries * layout.entry_bytes
                (following,) = layout.offset.unpack_from(data, pointer)
            except (IndexError, OverflowError, struct.error):
                truncated = True
                break
            found[directory] = pointer
            directory = following
        if not found:
            raise CorruptImage("The TIFF's first page is not in the file; export it again.")
        return cls(data, tuple(found.items()), truncated)

    def page(self, index: int) -> bytes:
        """The bytes of a TIFF that holds one page alone."""
        layout = _Layout.of(self.data)
        directory, pointer = self.directories[index]
        alone = bytearray(self.data)
        layout.offset.pack_into(alone, layout.first, directory)
        layout.offset.pack_into(alone, pointer, 0)
        return bytes(alone)


@dataclass(frozen=True, slots=True)
class _Layout:
    """Sizes and byte order of one TIFF; `first` is where its header points at the first directory."""

    count: struct.Struct
    offset: struct.Struct
    entry_bytes: int
    first: int

    @classmethod
    def of(cls, data: bytes) -> _Layout:
        order = "<" if data[:2] == b"II" else ">"
        (version,) = struct.unpack_from(order + "H", data, 2)
        count, offset, entry_bytes, first = ("Q", "Q", 20, 8) if version == _BIG else ("H", "I", 12, 4)
        return cls(struct.Struct(order + count), struct.Struct(order + offset), entry_bytes, first)
