"""What a model says of itself: preset, normalisation, thresholds, shapes, checksum."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from ocrdet.engine.presets import PRESETS
from ocrdet.errors import ManifestInvalid
from ocrdet.values import Scene, Thresholds

if TYPE_CHECKING:
    from pathlib import Path

MULTIPLE = 32
LARGEST_SIDE_PX = 4096
Ratio = Annotated[float, Field(ge=0.0, le=1.0)]
Channels = tuple[float, float, float]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class InputSpec(_Part):
    """The image input: channel order, axis order, and the name where a graph has several inputs."""

    color: Literal["RGB", "BGR"]
    layout: Literal["NCHW", "NHWC"] | None = Field(None, description="Read from the graph where left out.")
    name: str | None = Field(None, description="Read from the graph where left out.")


class NormalizationSpec(_Part):
    """x -> (x * scale - mean) / std per channel, in the order of the model's channels."""

    scale: float = Field(gt=0)
    mean: Channels
    std: Channels

    @property
    def gain(self) -> Channels:
        """Factor per channel, applied to 0-255 values."""
        return (self.scale / self.std[0], self.scale / self.std[1], self.scale / self.std[2])

    @property
    def offset(self) -> Channels:
        """Added after the factor: black becomes exactly this."""
        first, second, third = (-mean / std for mean, std in zip(self.mean, self.std, strict=True))
        return (first, second, third)

    @field_validator("std")
    @classmethod
    def _positive(cls, std: Channels) -> Channels:
        if min(std) <= 0:
            raise ValueError("every std must be above 0")
        return std


class OutputSpec(_Part):
    """The probability map: its name where a graph has several outputs, and whether it needs a sigmoid."""

    activation: Literal["probability", "logits"] = "probability"
    channel: int = Field(0, ge=0, description="Which channel is the probability map.")
    name: str | None = Field(None, description="Read from the graph where it has only one output.")


class ThresholdSpec(_Part):
    """The numbers that turn this model's map into regions; they live nowhere else."""

    binary: Ratio
    score: Ratio
    unclip_ratio: float = Field(ge=0.0, le=5.0)
    max_candidates: int = Field(3000, ge=1, le=100_000)
    scenes: dict[Scene, Ratio] = Field(default_factory=dict)


class SourceSpec(_Part):
    """A file inside an installed Python distribution, for models that are not copied."""

    distribution: str
    resource: str


class Manifest(_Part):
    """`manifest.json`: everything about a model that its graph does not say.

    Shapes are (H, W) in pixels. A model of static shape takes its own shape alone.
    """

    manifest_schema: Literal[1] = Field(1, alias="schema")
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
    version: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
    description: str = ""
    license: str = ""
    preset: str
    sha256: str | None = Field(None, pattern=r"^[0-9a-f]{64}$")
    source: SourceSpec | None = None
    input: InputSpec
    normalization: NormalizationSpec
    output: OutputSpec = Field(default_factory=lambda: OutputSpec.model_validate({}))
    thresholds: ThresholdSpec
    shapes: tuple[tuple[int, int], ...] = Field(((800, 800),), min_length=1, max_length=16)
    max_upscale: float = Field(2.0, ge=1.0, le=8.0, description="Small images are enlarged by at most this.")
    readable_px: float = Field(8.0, gt=0, description="Smallest text height it finds, model pixels.")
    agreement: dict[Literal["bf16", "fp16"], Ratio] = Field(
        default_factory=dict,
        description="Part of the regions of fp32 that a reduced precision finds again, as measured.",
    )
    self_test: Literal["golden", "finite"] = Field(
        "golden",
        description="`golden`: must find the golden picture's lines; `finite`: numbers suffice "
        "(untrained weights).",
    )

    @field_validator("shapes")
    @classmethod
    def _multiples(cls, shapes: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
        if any(
            not MULTIPLE <= side <= LARGEST_SIDE_PX or side % MULTIPLE for shape in shapes for side in shape
        ):
            raise ValueError(
                f"every side must be a multiple of {MULTIPLE} between {MULTIPLE} and {LARGEST_SIDE_PX}"
            )
        return shapes

    def thresholds_for(
        self, scene: Scene | None, score_threshold: float | None, iou_threshold: float
    ) -> Thresholds:
        """The numbers for one request.

        An explicit score threshold wins over the scene's, which wins over the model's. The map is binarised
        at the lower of the model's binary threshold and that score: a low score really finds fainter text.
        """
        spec = self.thresholds
        scene_score = spec.scenes.get(scene) if scene is not None else None
        score = spec.score if scene_score is None else scene_score
        if score_threshold is not None:
            score = score_threshold
        return Thresholds(
            score=score,
            binary=min(spec.binary, score),
            iou=iou_threshold,
            unclip_ratio=spec.unclip_ratio,
            max_candidates=spec.max_candidates,
            scene=scene,
        )


def read_manifest(path: Path) -> Manifest:
    """The manifest in a file, completed from its preset.

    Raises:
        ManifestInvalid: The file is no manifest; the sentence names the field.
    """
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise ManifestInvalid(f"{path.name} cannot be read as JSON: {error}") from error
    if not isinstance(fields, dict):
        raise ManifestInvalid(f"{path.name} must hold one JSON object.")
    return complete_manifest(fields)


def preset_manifest(model: Path, preset: str) -> Manifest:
    """The manifest of a bare `.onnx` file: its preset, nothing else."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", model.stem).strip("-._")[:64] or "model"
    return complete_manifest({"name": name, "version": "0", "preset": preset})


def complete_manifest(fields: dict[str, Any]) -> Manifest:
    """Fill what a manifest leaves out from its preset, and validate the whole.

    Raises:
        ManifestInvalid: The preset is unknown or a field is missing or wrong.
    """
    preset = fields.get("preset")
    if not isinstance(preset, str) or preset not in PRESETS:
        raise ManifestInvalid(f"Unknown preset {preset!r}; known presets: {', '.join(sorted(PRESETS))}.")
    merged = dict(fields)
    for part, defaults in PRESETS[preset].items():
        given = fields.get(part, {})
        merged[part] = defaults | given if isinstance(given, dict) else given
    try:
        return Manifest.model_validate(merged)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(step) for step in problem['loc'])}: {problem['msg']}"
            for problem in error.errors(include_url=False, include_context=False)
        )
        raise ManifestInvalid(f"The manifest cannot be used. {problems}") from error
