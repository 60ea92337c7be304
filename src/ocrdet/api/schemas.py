"""The shapes of all answers, for the API documents alone: answers are written without them, tests compare."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Point = tuple[float, float]


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ModelShape(_Shape):
    """Which model answered, and on what."""

    name: str
    version: str
    provider: str = Field(description="Execution provider in use, e.g. CPUExecutionProvider.")


class ImageShape(_Shape):
    """The image as it was read, in the frame of all points of the answer."""

    width: int = Field(description="Pixels, in the frame that `coordinates` names.")
    height: int
    format: str = Field(
        description="Found from the first bytes: jpeg, png, webp, bmp, tiff, gif, avif or jpeg2000."
    )
    exif_orientation: int = Field(ge=1, le=8)
    coordinates: Literal["displayed", "stored"]
    normalized: bool = Field(description="Whether points are divided by width and height.")


class FitShape(_Shape):
    """How the image met the model's input."""

    mode: Literal["letterbox", "stretch", "tile"]
    tiles: int
    scale: float = Field(description="Model pixels per image pixel.")
    smallest_readable_px: int = Field(description="Height of the smallest text that can be found.")


class RegionShape(_Shape):
    """One line or word of text."""

    quad: tuple[Point, Point, Point, Point] = Field(
        description="Corners, clockwise from the top-left corner of the text; origin top-left."
    )
    box: tuple[float, float, float, float] = Field(description="Upright rectangle around it: x1, y1, x2, y2.")
    score: float = Field(ge=0, le=1)
    angle: float = Field(
        description="Direction of the quad's first edge: degrees, clockwise from the x axis, in (-180, 180]."
    )
    line: int = Field(ge=0, description="Row in reading order.")
    polygon: list[Point] | None = Field(None, description="Only with `polygons=true`.")


class ThresholdsShape(_Shape):
    """The numbers that decided."""

    score: float
    binary: float
    iou: float
    scene: Literal["document", "screenshot", "industrial"] | None


class TimingsShape(_Shape):
    """Milliseconds."""

    decode: float
    queue: float
    preprocess: float
    inference: float
    postprocess: float
    total: float = Field(description="From the request's first byte until the answer was put together.")


class WarningShape(_Shape):
    """Something that explains an answer which might otherwise surprise."""

    code: str
    detail: str


class DetectionAnswer(_Shape):
    """The text regions of one image, in reading order."""

    request_id: str
    model: ModelShape
    image: ImageShape
    fit: FitShape
    regions: list[RegionShape]
    thresholds: ThresholdsShape
    timings_ms: TimingsShape
    warnings: list[WarningShape]


class WebuiAnswer(_Shape):
    """The older cv_resnet18 JSON (`output=webui`); its arrays are of equal length."""

    image_path: str
    texts: list[list[str]] = Field(description="Empty texts: nothing is recognised.")
    boxes: list[list[int]] = Field(description="x1, y1 ... x4, y4 per region.")
    scores: list[float]
    success: bool
    inference_time: float = Field(description="Seconds.")


class Problem(BaseModel):
    """What went wrong (RFC 9457); further members hold the facts of the sentence."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(description="urn:ocrdet:problem:...")
    title: str
    status: int
    detail: str = Field(description="What was wrong, the limit, and what to do.")
    request_id: str
    retryable: bool = Field(description="Whether the same request may succeed later.")


class BatchResult(_Shape):
    """One image of a batch: a detection or a problem."""

    index: int
    name: str
    status: int
    detection: DetectionAnswer | None = None
    problem: Problem | None = None


class PageResult(BatchResult):
    """One page of a document: a detection or a problem."""

    page: int = Field(ge=1, description="Page in the document, from 1.")
    dpi: int | None = Field(None, description="Pixels per inch; of a PDF alone.")
    page_size_pt: tuple[float, float] | None = Field(
        None, description="Width and height as displayed, in points (1/72 inch); of a PDF alone."
    )


class DocumentShape(_Shape):
    """The document as a whole."""

    format: str = Field(description="pdf, or the image format found from the first bytes.")
    pages: int = Field(ge=1, description="Pages in the document, asked for or not.")
    truncated: bool = Field(description="Whether the file ends early; only with `allow_truncated=true`.")


class PagesAnswer(_Shape):
    """One result per page, in the order of the pages."""

    document: DocumentShape
    results: list[PageResult]


class BatchAnswer(_Shape):
    """One result per image, in the order of the images."""

    results: list[BatchResult]


class StatusAnswer(_Shape):
    """Alive."""

    status: Literal["ok"]


class ErrorAnswer(_Shape):
    """Not well, and why."""

    status: Literal["error"]
    reason: str


class ChecksAnswer(_Shape):
    """Every check by name: `ok` or the reason."""

    status: Literal["ok", "error"]
    checks: dict[str, str]


class HealthAnswer(_Shape):
    """The live model."""

    status: Literal["ok"]
    model: str
    version: str
    provider: str


class InfoAnswer(BaseModel):
    """Versions, provider, threads, shapes and limits of this instance."""

    model_config = ConfigDict(extra="allow")

    provider: str
    limits: dict[str, Any]


class LiveModel(ModelShape):
    """A model and its checksum."""

    sha256: str


class ModelsAnswer(_Shape):
    """The models of this instance."""

    live: LiveModel
    models: list[LiveModel]
