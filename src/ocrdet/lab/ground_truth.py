"""Folders of labelled images as sets: which image belongs to which file of ground truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ocrdet.errors import InvalidParameter
from ocrdet.lab.labels import SUFFIXES, Labels, read_labels

if TYPE_CHECKING:
    from collections.abc import Container, Mapping, Sequence
    from pathlib import Path

IMAGE_FOLDER = "images"
LABEL_FOLDER = "gt"
ICDAR_PREFIX = "gt_"
MAX_NAMED = 5


@dataclass(frozen=True, slots=True)
class LabelledImage:
    """An image file and what is to be found in it."""

    path: Path
    labels: Labels


@dataclass(frozen=True, slots=True)
class ImageSet:
    """Images that are judged together.

    Attributes:
        name: The name of their folder.
        images: Those with ground truth, sorted by name.
        left_out: What is not judged, and why, one sentence each.
    """

    name: str
    images: tuple[LabelledImage, ...]
    left_out: tuple[str, ...]


def find_sets(folders: Sequence[Path], image_suffixes: Container[str]) -> list[ImageSet]:
    """The sets that folders hold.

    A folder is a set when it holds images, or a folder `images`; otherwise each folder in it that does is
    one. Ground truth lies in the set's folder `gt` if there is one, else beside the images, as `STEM.json`,
    `STEM.txt` or `gt_STEM.txt`.

    Args:
        folders: Where to look.
        image_suffixes: Which files are images: lower-case suffixes with their dot.

    Raises:
        InvalidParameter: A folder holds no set, no image has ground truth, or a file of it is wrong.
    """
    places = [place for folder in folders for place in _find_places(folder, image_suffixes)]
    names = [place.resolve().name for place in places]
    sets = [
        # Folders of one name are told apart by their paths.
        _read_set(place, name if names.count(name) == 1 else str(place), image_suffixes)
        for name, place in zip(names, places, strict=True)
    ]
    if not any(each.images for each in sets):
        raise InvalidParameter(
            f"No image under {', '.join(map(str, folders))} has ground truth: it lies in a folder "
            f"{LABEL_FOLDER} beside the folder {IMAGE_FOLDER}, or beside the images, as STEM.json, STEM.txt "
            f"or {ICDAR_PREFIX}STEM.txt."
        )
    return sets


def _find_places(folder: Path, image_suffixes: Container[str]) -> list[Path]:
    if not folder.is_dir():
        raise InvalidParameter(f"{folder} is no folder.")
    children = [folder, *sorted(child for child in folder.iterdir() if child.is_dir())]
    places = [child for child in children if _images(child, image_suffixes)]
    if not places:
        raise InvalidParameter(f"{folder} holds no images, nor does a folder in it.")
    return [folder] if folder in places else places


def _images(place: Path, suffixes: Container[str]) -> list[Path]:
    inner = place / IMAGE_FOLDER
    files = (inner if inner.is_dir() else place).iterdir()
    return sorted(file for file in files if file.suffix.lower() in suffixes and file.is_file())


def _read_set(place: Path, name: str, image_suffixes: Container[str]) -> ImageSet:
    images = _images(place, image_suffixes)
    label_folder = place / LABEL_FOLDER
    files = (label_folder if label_folder.is_dir() else images[0].parent).iterdir()
    labels = sorted(file for file in files if file.suffix.lower() in SUFFIXES)
    by_stem: dict[str, list[Path]] = {}
    for path in images:
        by_stem.setdefault(path.stem, []).append(path)
    label_of: dict[Path, Path] = {}
    strays = []
    for label in labels:
        image = _image_of(label, by_stem)
        if image is None:
            strays.append(label.name)
        elif image in label_of:
            raise InvalidParameter(f"{image} has two files of ground truth: {label_of[image]} and {label}.")
        else:
            label_of[image] = label
    labelled = tuple(
        LabelledImage(each, read_labels(label_of[each], each.name)) for each in images if each in label_of
    )
    without = [image.name for image in images if image not in label_of]
    flat = [where for image in labelled for where in image.labels.left_out]
    left_out = [
        _listed("images without ground truth", without),
        _listed("files of ground truth without an image", strays),
        _listed("labelled regions without an area", flat),
    ]
    return ImageSet(name, labelled, tuple(sentence for sentence in left_out if sentence))


def _image_of(label: Path, by_stem: Mapping[str, Sequence[Path]]) -> Path | None:
    for stem in (label.stem, label.stem.removeprefix(ICDAR_PREFIX)):
        fitting = by_stem.get(stem, ())
        if len(fitting) > 1:
            names = " and ".join(image.name for image in fitting)
            raise InvalidParameter(f"{label} fits {names}: rename one of the images with its ground truth.")
        if fitting:
            return fitting[0]
    return None


def _listed(what: str, names: Sequence[str]) -> str:
    """How many there are, and the first few by name; nothing where there are none."""
    more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    return f"{what}: {', '.join(names[:MAX_NAMED])}{more}" if names else ""
