"""The frozen values of one request, in the order in which they appear.

    bytes -> ImageHeader -> DecodedImage -> tensors (+ Placement) -> ProbabilityMap (+ Placement)
          -> list[TextRegion] -> Detection

Frames of points: *displayed* is the image as a person sees it (after EXIF rotation), *stored* the pixels as
they lie in the file, *model* the network's input and output. Everywhere x grows right, y grows down, the
origin is the top-left corner of the top-left pixel, and points are continuous: pixel i spans [i, i + 1].
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Scene = Literal["document", "screenshot", "industrial"]
Point = tuple[float, float]
Quad = tuple[Point, Point, Point, Point]
Polygon = tuple[Point, ...]

# EXIF orientations from here on swap width and height.
FIRST_TRANSPOSED = 5
# Those that show the last column, or the last row, of the file (transposed, where they do that) first.
MIRRORED_X = frozenset({2, 3, 6, 7})
MIRRORED_Y = frozenset({3, 4, 7, 8})


@dataclass(frozen=True, slots=True)
class DetectionWarning:
    """Something that explains an answer which might otherwise surprise."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """What the first bytes say, read without decoding.

    Attributes:
        format: Lower-case name: jpeg, png, webp, bmp, tiff, gif, avif or jpeg2000.
        stored_width: Width in the file, pixels.
        stored_height: Height in the file, pixels.
        orientation: EXIF orientation 1-8 (1 = upright).
        mode: Pixel layout as the container states it (L, RGB, CMYK, ...).
        frames: Images in the file as far as the header tells; only the first is read.
    """

    format: str
    stored_width: int
    stored_height: int
    orientation: int = 1
    mode: str = "RGB"
    frames: int = 1

    @property
    def pixels(self) -> int:
        """Number of pixels that decoding will make."""
        return self.stored_width * self.stored_height

    @property
    def width(self) -> int:
        """Width as displayed, pixels."""
        return self.stored_height if self.orientation >= FIRST_TRANSPOSED else self.stored_width

    @property
    def height(self) -> int:
        """Height as displayed, pixels."""
        return self.stored_width if self.orientation >= FIRST_TRANSPOSED else self.stored_height


@dataclass(frozen=True, slots=True)
class DecodedImage:
    """An upright image.

    Attributes:
        pixels: (ceil(H / reduction), ceil(W / reduction), 3) uint8 RGB, as displayed.
        header: What the file said of itself, H and W among it.
        warnings: What decoding changed (CMYK converted, alpha composited, ...).
        reduction: Source pixels, in each direction, that one of `pixels` stands for: 1, 2, 4 or 8.
    """

    pixels: NDArray[np.uint8]
    header: ImageHeader
    warnings: tuple[DetectionWarning, ...] = ()
    reduction: int = 1

    @property
    def overhang(self) -> tuple[int, int]:
        """Source pixels, x and y, by which `pixels` begin before the image.

        The last reduced column and row of a file may stand for less than the others; turned upright they may
        come first.
        """
        header, reduction = self.header, self.reduction
        return (
            -header.width % reduction if header.orientation in MIRRORED_X else 0,
            -header.height % reduction if header.orientation in MIRRORED_Y else 0,
        )


@dataclass(frozen=True, slots=True)
class Placement:
    """How the displayed image was scaled for the model: the only map between the two frames.

    The scaled image is what goes into the model: at the top-left corner of its input, or window by window.

    Attributes:
        source_width: Displayed width, pixels.
        source_height: Displayed height, pixels.
        scale_x: Model pixels per displayed pixel, horizontally.
        scale_y: The same, vertically.
        width: Width of the scaled image, model pixels; what is beyond it in a map is padding.
        height: The same, vertically.
    """

    source_width: int
    source_height: int
    scale_x: float
    scale_y: float
    width: int
    height: int

    def to_source(self, points: NDArray[np.float32]) -> NDArray[np.float32]:
        """Map points from the model frame to the displayed frame.

        Args:
            points: (..., 2) x, y in model pixels.

        Returns:
            (..., 2) float32 x, y in displayed pixels, inside [0, source_width] x [0, source_height].
        """
        scale = np.array([self.scale_x, self.scale_y], np.float32)
        corner = np.array([self.source_width, self.source_height], np.float32)
        return np.asarray(np.clip(points / scale, 0.0, corner), np.float32)


@dataclass(frozen=True, slots=True)
class ProbabilityMap:
    """How likely each model pixel is to be text.

    Attributes:
        values: (H, W) float32 in [0, 1], at the model's resolution, the image at the top-left corner.
        placement: How the image was scaled.
    """

    values: NDArray[np.float32]
    placement: Placement


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The numbers that turned a probability map into regions.

    Attributes:
        score: Regions below this mean probability are dropped.
        binary: Pixels above this are text.
        iou: Regions overlapping a better one by more than this are dropped.
        unclip_ratio: How far a shrunk region is grown back, as area x ratio / perimeter.
        max_candidates: At most this many contours are looked at, largest first.
        scene: The scene whose score threshold was taken, if any.
    """

    score: float
    binary: float
    iou: float
    unclip_ratio: float
    max_candidates: int
    scene: Scene | None = None


class TextRegion(NamedTuple):
    """One line or word of text; a named tuple, because a frozen dataclass takes three times as long to make.

    Attributes:
        quad: Four corners, clockwise from the top-left corner of the text, inside the image.
        score: Mean probability inside the shrunk region, 0-1.
        angle: Direction of the quad's first edge in degrees, clockwise from the x axis, in (-90, 90].
        line: Row in reading order, from 0.
        polygon: The outline for curved text, where asked for.
    """

    quad: Quad
    score: float
    angle: float
    line: int
    polygon: Polygon | None = None

    @property
    def box(self) -> tuple[float, float, float, float]:
        """The upright rectangle around the quad: x1, y1, x2, y2."""
        xs, ys = zip(*self.quad, strict=True)
        return min(xs), min(ys), max(xs), max(ys)


@dataclass(frozen=True, slots=True)
class FitReport:
    """How the image met the model's input.

    Attributes:
        mode: What was done, never auto.
        tiles: Passes through the model.
        scale: Model pixels per displayed pixel (the smaller of the two for stretch).
        smallest_readable_px: Height of the smallest text that can be found, displayed pixels.
    """

    mode: Literal["letterbox", "stretch", "tile"]
    tiles: int
    scale: float
    smallest_readable_px: int


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """Which model answered, and on what."""

    name: str
    version: str
    provider: str


@dataclass(frozen=True, slots=True)
class Timings:
    """Milliseconds spent in each stage of one request."""

    decode: float = 0.0
    queue: float = 0.0
    preprocess: float = 0.0
    inference: float = 0.0
    postprocess: float = 0.0
    total: float = 0.0


@dataclass(frozen=True, slots=True)
class Detection:
    """Everything that was found in one image; points are in the displayed frame, pixels."""

    model: ModelIdentity
    header: ImageHeader
    fit: FitReport
    regions: tuple[TextRegion, ...]
    thresholds: Thresholds
    timings: Timings
    warnings: tuple[DetectionWarning, ...] = ()

    def with_timings(self, timings: Timings) -> Detection:
        """The same detection with other timings."""
        return replace(self, timings=timings)
