"""Files, folders, glob patterns and standard input as a list of images, none of them opened yet."""

from __future__ import annotations

import glob
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from ocrdet.errors import BodyTooLarge, InvalidParameter, MissingImage

_OF_FORMATS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".avif")
_OF_JPEG_2000 = (".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx")
SUFFIXES = frozenset((*_OF_FORMATS, *_OF_JPEG_2000))
STDIN = "-"


@dataclass(frozen=True, slots=True)
class Source:
    """One image to read.

    Attributes:
        name: How the answer calls it: the path as it was given or found, or `-`.
        target: Where the drawn image goes, relative to the folder for them.
        missing: Why there is nothing to read, known already.
    """

    name: str
    target: Path
    missing: str | None = None

    def read(self, max_bytes: int) -> bytes:
        """The bytes of the image.

        Raises:
            MissingImage: There is no such file, or it cannot be read.
            BodyTooLarge: It has more than `max_bytes`.
        """
        if self.missing is not None:
            raise MissingImage(self.missing)
        try:
            if self.name == STDIN:
                data = sys.stdin.buffer.read(max_bytes + 1)
            else:
                with Path(self.name).open("rb") as file:
                    data = file.read(max_bytes + 1)
        except OSError as error:
            raise MissingImage(f"The file cannot be read: {error.strerror}.") from error
        if len(data) > max_bytes:
            raise BodyTooLarge(
                f"The file has more than {max_bytes} bytes; OCRDET_MAX_BODY_BYTES raises the limit.",
                limit=max_bytes,
            )
        return data


def find_sources(arguments: list[str]) -> list[Source]:
    """The images that the arguments name, in their order; a folder's and a pattern's are sorted.

    A path where nothing is stays in the list with the reason, so that the rest is done all the same.

    Raises:
        InvalidParameter: Standard input is named twice.
    """
    if arguments.count(STDIN) > 1:
        raise InvalidParameter("Standard input (-) can be read once.")
    taken: set[Path] = set()
    sources = []
    for argument in arguments:
        for source in _expand(argument):
            target = _free_target(source.target, taken)
            taken.add(target)
            sources.append(Source(source.name, target, source.missing))
    return sources


def _expand(argument: str) -> list[Source]:
    path = Path(argument)
    if argument == STDIN:
        return [Source(STDIN, Path("stdin.png"))]
    try:
        if path.is_dir():
            return _in_folder(path)
        if glob.has_magic(argument) and not path.exists():
            return _matching(argument)
    except OSError as error:
        return [Source(argument, path, f"The path cannot be read: {error.strerror}.")]
    return [Source(argument, _target(Path(path.name)))]


def _in_folder(folder: Path) -> list[Source]:
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
    if not files:
        return [Source(str(folder), folder, f"The folder holds no image ({', '.join(sorted(SUFFIXES))}).")]
    return [Source(str(file), _target(file.relative_to(folder))) for file in files]


def _matching(pattern: str) -> list[Source]:
    # pathlib's own globbing takes no absolute patterns.
    names = sorted(name for name in glob.glob(pattern, recursive=True) if Path(name).is_file())  # noqa: PTH207
    if not names:
        return [Source(pattern, Path(pattern), "No file matches this pattern.")]
    return [Source(name, _target(Path(Path(name).name))) for name in names]


def _target(path: Path) -> Path:
    """JPEG stays JPEG, everything else is drawn as PNG."""
    return path if path.suffix.lower() in {".jpg", ".jpeg", ".png"} else path.with_name(path.name + ".png")


def _free_target(target: Path, taken: set[Path]) -> Path:
    """The target itself, or with a number where an image of the same name came before."""
    number, free = 2, target
    while free in taken:
        free = target.with_name(f"{target.stem}-{number}{target.suffix}")
        number += 1
    return free


def printable(name: str) -> str:
    """A file's name as text that can always be written, even where the name is no valid UTF-8."""
    return os.fsencode(name).decode("utf-8", "replace")
