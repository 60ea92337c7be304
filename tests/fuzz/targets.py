"""What one input is put through: the detector, the parsing of a body before it, or the application."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock
from urllib.parse import parse_qsl, quote_from_bytes

import httpx

from ocrdet.api.app import create_app
from ocrdet.api.forms import FormReader
from ocrdet.api.options import OPTIONS, collect_pairs, read_options
from ocrdet.api.page_options import PAGE_OPTIONS, PageOptions
from ocrdet.api.upload import read_upload
from ocrdet.detector import Detector
from ocrdet.engine.lanes import LaneScheduler
from ocrdet.engine.launch import Engine
from ocrdet.engine.manifest import complete_manifest
from ocrdet.engine.resources import plan_threads
from ocrdet.engine.store import ModelFiles, find_model
from ocrdet.errors import InferenceFailed, OcrdetError
from ocrdet.options import DetectOptions
from ocrdet.settings import Settings
from ocrdet.vision.header import read_header
from ocrdet.vision.tiff_pages import TiffPages
from tests.fuzz.checks import Broken, check_answer, check_detection, check_error, read_strict
from tests.fuzz.choices import CONTROL_BYTES, read_choices
from tests.fuzz.corpus import BOUNDARY, form_body, json_body
from tests.fuzz.sessions import HostileSession

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Literal

    from fastapi import FastAPI

    from ocrdet.api.forms import Part
    from ocrdet.telemetry.metrics import Metrics
    from tests.fuzz.choices import Choices

# Large pictures from small bodies would take all of the time; of so many bodies one meets the real limits.
FEW_PIXELS, WIDE_SHARE = 1_000_000, 512
# Of so many bodies one is looked at twice: the second answer must be the same.
REPEAT_SHARE = 64
FORM_TYPE = f"multipart/form-data; boundary={BOUNDARY.decode()}"
TYPES = (FORM_TYPE, "application/json", "image/png", "multipart/form-data", "application/octet-stream", "")
VALUES = ("", "0", "1", "-1", "1e-9", "0.5", "1e999", "nan", "true", "FALSE", "tile", "\ufffd", "9" * 400)


def split_input(data: bytes) -> tuple[Choices, bytes]:
    """The choices in an input, and its body."""
    return read_choices(data), data[CONTROL_BYTES:]


def hostile_detectors() -> list[tuple[Detector, HostileSession]]:
    """Real detectors around stand-in sessions; shapes and thresholds differ, and the last has real limits."""
    kinds: list[tuple[list[tuple[int, int]], int, int, Literal["NCHW", "NHWC"], dict[str, Any]]] = [
        ([(64, 64), (32, 96), (96, 32)], 4, FEW_PIXELS, "NCHW", {}),
        ([(32, 32)], 9, FEW_PIXELS, "NHWC", {"max_candidates": 20, "unclip_ratio": 5.0}),
        ([(128, 160)], 2, FEW_PIXELS, "NCHW", {"unclip_ratio": 0.0, "binary": 0.0}),
        ([(96, 96), (64, 64)], 16, 50_000_000, "NCHW", {}),
    ]
    return [_hostile(*kind) for kind in kinds]


def _hostile(
    shapes: list[tuple[int, int]],
    tiles: int,
    pixels: int,
    layout: Literal["NCHW", "NHWC"],
    thresholds: dict[str, Any],
) -> tuple[Detector, HostileSession]:
    fields = {"name": "hostile", "version": "0", "preset": "ppocr-det", "self_test": "finite"}
    manifest = complete_manifest(fields | {"shapes": shapes, "thresholds": thresholds})
    session = HostileSession(layout)
    engine = _engine(session, shapes)
    settings = Settings.from_environment({}, max_tiles=tiles, max_image_pixels=pixels)
    with mock.patch("ocrdet.detector.launch_engine", return_value=engine):
        return Detector(ModelFiles(manifest, Path("hostile.onnx"), "0" * 64), settings), session


def _engine(session: HostileSession, shapes: list[tuple[int, int]]) -> Engine:
    scheduler = LaneScheduler(session, None, lanes=1, slowest_run_s=0.01, alone=lambda: True)
    threads = plan_threads(1, "cpu")
    return Engine(
        scheduler, session.graph, tuple(shapes), (1,), session.provider, "fp32", threads, 0.01, 1e-9
    )


class ImageTarget:
    """Bytes, options and maps straight into a detector."""

    def __init__(self) -> None:
        """Make the detectors."""
        self._detectors = hostile_detectors()

    def __call__(self, data: bytes) -> str:
        """How it ended: `found`, `empty`, or the name of the error."""
        choices, body = split_input(data)
        return self.detect(body, choices, choices.options)

    def detect(self, body: bytes, choices: Choices, options: DetectOptions) -> str:
        """The same for a body and options of any origin."""
        chance = zlib.crc32(body)
        wide = chance % WIDE_SHARE == 0
        detector, session = self._detectors[-1 if wide else choices.detector % (len(self._detectors) - 1)]
        first = self._once(detector, session, body, choices, options)
        if chance % REPEAT_SHARE == 1 and first != self._once(detector, session, body, choices, options):
            raise Broken("the same image and map give two answers")
        return first[0]

    @staticmethod
    def _once(
        detector: Detector, session: HostileSession, body: bytes, choices: Choices, options: DetectOptions
    ) -> tuple[str, object]:
        session.choose(choices.family, choices.seed, bound=False)
        try:
            detection = detector.detect(body, options)
        except OcrdetError as error:
            check_error(error)
            if isinstance(error, InferenceFailed) and session.finite:
                raise Broken("a finite map is said not to be") from error
            return type(error).__name__, error.detail
        if not session.finite:
            raise Broken("a map that is not finite was answered")
        check_detection(detection, options)
        return "found" if detection.regions else "empty", (detection.regions, detection.warnings)


class BodyTarget:
    """Forms, JSON and options, taken apart; what image there is goes to a detector."""

    def __init__(self) -> None:
        """Make the detectors."""
        self._image = ImageTarget()

    def __call__(self, data: bytes) -> str:
        """How it ended."""
        choices, body = split_input(data)
        body, content_type = wrap(body, choices)
        query = parse_qsl(body[-256:].decode("latin-1"), keep_blank_values=True)
        try:
            self._parse_apart(body, content_type)
            upload = read_upload(body, content_type)
            pages = read_upload(body, content_type, PAGE_OPTIONS)
            options = read_options(_collected(query), upload.options).detect
            PageOptions.read(pages.options)
            self._pages(upload.data)
        except OcrdetError as error:
            check_error(error)
            return type(error).__name__
        return self._image.detect(upload.data, choices, options)

    @staticmethod
    def _parse_apart(body: bytes, content_type: str) -> None:
        """A form in pieces must be the same form."""
        if not content_type.startswith("multipart"):
            return
        seen: list[tuple[str, list[Part]]] = []
        for step in (len(body) or 1, 61):
            parts: list[Part] = []
            reader = FormReader(content_type, max_part_bytes=4096, max_parts=3)
            try:
                for at in range(0, len(body), step):
                    parts += reader.feed(body[at : at + step])
                reader.finish()
            except OcrdetError as error:
                seen.append((type(error).__name__, []))
            else:
                seen.append(("", parts))
        if seen[0] != seen[1]:
            raise Broken(f"a form in pieces is another: {seen}")

    @staticmethod
    def _pages(data: bytes) -> None:
        header = read_header(data)
        if header.format == "tiff" and header.frames > 1:
            pages = TiffPages.find(data)
            for page in range(min(3, len(pages.directories))):
                read_header(pages.page(page))


class AppTarget:
    """The application itself: no answer may have a status of 500 unless the model gave no numbers."""

    def __init__(self) -> None:
        """Start the application on an event loop of its own."""
        logging.disable()
        self._detector, self._session = hostile_detectors()[0]
        app = create_app(Settings.from_environment({}), detector_factory=self._make)
        self._runner = asyncio.Runner()
        self._runner.run(_start(app))
        transport = httpx.ASGITransport(app, raise_app_exceptions=True)
        self._http = httpx.AsyncClient(transport=transport, base_url="http://fuzz")

    def _make(self, _: Settings, __: Metrics) -> Detector:
        return self._detector

    def __call__(self, data: bytes) -> str:
        """The status, and of a problem its type."""
        choices, body = split_input(data)
        path = ("/detect", "/detect", "/detect/batch", "/detect/pages")[choices.output % 4]
        body, content_type = wrap(body, choices)
        query = "&".join(f"{name}={quote_from_bytes(value.encode())}" for name, value in odd_options(choices))
        self._session.choose(choices.family, choices.seed, bound=False)
        accept = ("*/*", "application/x-ndjson")[choices.output >> 7]
        headers = {"content-type": content_type, "accept": accept}
        answer = self._runner.run(
            self._http.post(f"{path}?{query}" if choices.output & 8 else path, content=body, headers=headers)
        )
        self._check(answer)
        return f"{path} {answer.status_code}"

    def _check(self, answer: httpx.Response) -> None:
        if answer.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
            self._require_excuse(answer.status_code)
        if "ndjson" in answer.headers.get("content-type", ""):
            told: Any = {"results": [read_strict(line) for line in answer.content.splitlines()]}
        elif "json" in answer.headers.get("content-type", ""):
            told = read_strict(answer.content)
        else:
            return
        for result in told.get("results", ()):
            status = result.get("status", result.get("error", {}).get("status", 200))
            if isinstance(status, int) and status >= httpx.codes.INTERNAL_SERVER_ERROR:
                self._require_excuse(status)
        if "regions" in told:
            check_answer(told)

    def _require_excuse(self, status: int) -> None:
        if status != httpx.codes.INTERNAL_SERVER_ERROR or self._session.finite:
            raise Broken(f"status {status}")


class ModelTarget:
    """The real model, at a size that lets thousands of images through in minutes."""

    def __init__(self) -> None:
        """Load the default model with one small shape."""
        files = find_model("ppocrv6-det-small")
        small = files.manifest.model_copy(update={"shapes": ((320, 320),), "self_test": "finite"})
        settings = Settings.from_environment({}, max_tiles=2, max_image_pixels=FEW_PIXELS, threads=1)
        self._detector = Detector(ModelFiles(small, files.path, files.sha256), settings)

    def __call__(self, data: bytes) -> str:
        """How it ended."""
        choices, body = split_input(data)
        try:
            detection = self._detector.detect(body, choices.options)
        except OcrdetError as error:
            check_error(error)
            return type(error).__name__
        check_detection(detection, choices.options)
        return "found" if detection.regions else "empty"


TARGETS = {"image": ImageTarget, "body": BodyTarget, "app": AppTarget, "model": ModelTarget}


def wrap(body: bytes, choices: Choices) -> tuple[bytes, str]:
    """A body and its content type: the input as it is, or as the image of a form or of JSON."""
    way = choices.way % 4
    if way == 0:
        return form_body(body, dict(odd_options(choices))), FORM_TYPE
    if way == 1:
        return json_body(body, dict(odd_options(choices))), "application/json"
    return body, TYPES[choices.variant % len(TYPES)]


def odd_options(choices: Choices) -> Iterator[tuple[str, str]]:
    """Up to three options, most of them with values that they cannot have."""
    names, seed = list(OPTIONS), choices.seed
    for _ in range(seed % 4):
        seed = seed * 48271 % 0x7FFFFFFF
        yield names[seed % len(names)], VALUES[seed // 64 % len(VALUES)]


def _collected(pairs: list[tuple[str, str]]) -> dict[str, object]:
    """Options of a query; one that is unknown is not what is looked for here."""
    with contextlib.suppress(OcrdetError):
        return collect_pairs(pairs)
    return {}


async def _start(app: FastAPI) -> None:
    await app.router.lifespan_context(app).__aenter__()
    await asyncio.to_thread(app.state.service.settled.wait)
