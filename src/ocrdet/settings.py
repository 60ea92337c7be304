"""Every OCRDET_* variable: its type, its unit in the name, its default and its limits."""

from __future__ import annotations

import difflib
import os
from pathlib import Path  # pydantic resolves the annotation at run time
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ocrdet.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX = "OCRDET_"
MIB = 1024 * 1024


class Settings(BaseModel):
    """All that can be set from outside, validated together before anything starts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8000, ge=0, le=65535, description="TCP port to listen on; 0 picks a free one.")
    uds: Path | None = Field(None, description="Unix socket to listen on instead of host and port.")
    api_docs: bool = Field(False, description="Serve `/docs` and `/openapi.json`.")
    api_keys_file: Path | None = Field(
        None, description="File with one API key per line; a line `admin:KEY` also opens admin paths."
    )

    model: str = Field(
        "ppocrv6-det-small",
        min_length=1,
        description="Built-in name, folder with `model.onnx` and `manifest.json`, or a bare `.onnx` file.",
    )
    model_preset: str | None = Field(
        None, description="Preset for a bare `.onnx` file without a manifest (see docs/models.md)."
    )
    device: Literal["auto", "cpu", "cuda", "tensorrt", "openvino"] = Field(
        "auto",
        description="Where the model runs. `auto` takes the device of the installed ONNX Runtime; "
        "a named device that does not answer is an error, never a quiet fall-back.",
    )
    precision: Literal["fp32", "bf16", "fp16"] = Field(
        "fp32",
        description="What the model computes in: `bf16` on OpenVINO, `fp16` on CUDA and TensorRT, each only "
        "where the model's manifest says that it finds the same regions.",
    )
    threads: int = Field(
        0, ge=0, le=256, description="CPU threads for inference; 0 takes them from affinity and cgroup quota."
    )
    max_micro_batch_images: int = Field(
        8, ge=1, le=64, description="Largest micro-batch on CUDA; on CPU every run holds one image."
    )
    gpu_mem_limit_bytes: int = Field(0, ge=0, description="Fuse for ONNX Runtime's CUDA arena; 0 sets none.")
    cuda_graphs: bool = Field(
        False, description="Capture every run on CUDA once and replay it; worth it for small batches."
    )
    cache_dir: Path | None = Field(
        None,
        description="Folder that keeps graphs made ready for the engine; by default `ocrdet` in the user's "
        "cache folder, or systemd's CacheDirectory.",
    )

    max_body_bytes: int = Field(20 * MIB, ge=1024, description="Largest body of `/detect`.")
    max_batch_body_bytes: int = Field(200 * MIB, ge=1024, description="Largest body of `/detect/batch`.")
    max_batch_images: int = Field(64, ge=1, le=10_000, description="Most images in one `/detect/batch`.")
    max_document_bytes: int = Field(100 * MIB, ge=1024, description="Largest body of `/detect/pages`.")
    max_pages: int = Field(200, ge=1, le=10_000, description="Most pages read in one `/detect/pages`.")
    max_inflight_documents: int = Field(
        4, ge=1, le=256, description="PDF files in work at one time, each in a process of its own."
    )
    page_timeout_ms: int = Field(
        10_000, ge=100, le=600_000, description="Longest time to render one PDF page, or to open the file."
    )
    page_memory_bytes: int = Field(
        1024 * MIB,
        ge=128 * MIB,
        description="Most address space of a process that renders a PDF; macOS does not enforce it.",
    )
    max_image_pixels: int = Field(
        50_000_000, ge=1, le=1_000_000_000, description="Most pixels in one image, read from its header."
    )
    max_image_side_px: int = Field(
        65_500, ge=1, le=1_000_000, description="Longest side of one image, read from its header."
    )
    max_tiles: int = Field(
        32, ge=1, le=1024, description="Most tiles of one image; a larger one is scaled down, with a warning."
    )
    max_inflight_images: int = Field(
        64, ge=1, le=10_000, description="Images admitted at one time; one more is refused with 429."
    )
    max_inflight_bytes: int = Field(512 * MIB, ge=1024, description="Bytes of all admitted bodies together.")
    max_inflight_pixels: int = Field(
        200_000_000, ge=1, description="Decoded pixels of all admitted images together."
    )

    request_timeout_ms: int = Field(
        60_000,
        ge=1,
        le=3_600_000,
        description="Longest time from first byte to answer; a client may ask for less.",
    )
    body_timeout_ms: int = Field(
        10_000, ge=1, le=600_000, description="Longest pause between two pieces of an upload."
    )
    drain_delay_seconds: float = Field(
        0.0, ge=0, le=600, description="After SIGTERM, keep serving this long while readiness says no."
    )
    drain_timeout_seconds: float = Field(
        30.0, ge=0, le=600, description="After that, finish what is in flight for at most this long."
    )
    keep_alive_seconds: int = Field(
        75, ge=1, le=3600, description="Idle connections are kept this long; keep it above the proxy's."
    )

    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level logged.")
    log_format: Literal["auto", "json", "console"] = Field(
        "auto", description="`auto` writes console lines to a terminal and JSON elsewhere."
    )
    tmp_dir: Path | None = Field(
        None, description="Folder for temporary files; the ordinary path writes none. Checked at start."
    )

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None, **overrides: object) -> Settings:
        """Read every OCRDET_* variable.

        Args:
            environ: Variables to read; the process environment if none are given.
            **overrides: Fields that win over the environment (command-line flags); None means not given.

        Returns:
            The validated settings.

        Raises:
            ConfigurationError: A variable is unknown (with a suggestion) or outside its limits.
        """
        environ = os.environ if environ is None else environ
        given: dict[str, object] = {}
        for name in unknown_variables(environ):
            raise ConfigurationError(_unknown_sentence(name))
        for name, value in environ.items():
            if name.startswith(PREFIX):
                given[name.removeprefix(PREFIX).lower()] = value.strip() or None
        # An empty variable means "not set": the way Compose files and unit files leave one out.
        given = {field: value for field, value in given.items() if value is not None}
        given |= {field: value for field, value in overrides.items() if value is not None}
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            raise ConfigurationError(_invalid_sentence(error)) from error


def variable_name(field: str) -> str:
    """The environment variable of a settings field."""
    return PREFIX + field.upper()


def unknown_variables(environ: Mapping[str, str]) -> list[str]:
    """OCRDET_* names that no setting has, sorted."""
    known = {variable_name(field) for field in Settings.model_fields}
    return sorted(name for name in environ if name.startswith(PREFIX) and name not in known)


def _unknown_sentence(name: str) -> str:
    # Without the prefix, which would make any two names look alike.
    close = difflib.get_close_matches(name.removeprefix(PREFIX).lower(), Settings.model_fields, n=1)
    hint = f" Did you mean {variable_name(close[0])}?" if close else " `ocrdet serve --help` lists them."
    return f"{name} is no setting of ocrdet.{hint}"


def _invalid_sentence(error: ValidationError) -> str:
    parts = []
    for problem in error.errors(include_url=False, include_context=False):
        field = str(problem["loc"][0]) if problem["loc"] else "settings"
        parts.append(f"{variable_name(field)}={problem['input']!r}: {problem['msg']}")
    return "Settings cannot be used. " + "; ".join(parts)
