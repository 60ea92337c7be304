"""Stand-ins shared by tests: a detector without a model, and a real server around it on a free port."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np

from ocrdet.api.app import create_app
from ocrdet.api.listener import Listener
from ocrdet.api.server import Server
from ocrdet.engine.admission import Gate
from ocrdet.engine.ticket import Ticket
from ocrdet.engine.workers import Workers
from ocrdet.errors import MissingImage
from ocrdet.options import DetectOptions
from ocrdet.settings import Settings
from ocrdet.values import (
    DecodedImage,
    Detection,
    DetectionWarning,
    FitReport,
    ImageHeader,
    ModelIdentity,
    TextRegion,
    Thresholds,
    Timings,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fastapi import FastAPI

    from ocrdet.engine.admission import Slot
    from ocrdet.telemetry.metrics import Metrics

PATIENCE_S = 20.0
IMAGE = b"\x89PNG not really, but the fake detector does not look"


def make_region(x: float = 10.0, y: float = 20.0, *, score: float = 0.9, line: int = 0) -> TextRegion:
    """A level region of 100 x 20 pixels."""
    quad = ((x, y), (x + 100.0, y), (x + 100.0, y + 20.0), (x, y + 20.0))
    return TextRegion(quad=quad, score=score, angle=0.0, line=line)


def make_detection(
    regions: int = 2, *, header: ImageHeader | None = None, options: DetectOptions | None = None
) -> Detection:
    """A detection as the detector would return it."""
    options = options or DetectOptions()
    return Detection(
        model=ModelIdentity("fake", "1.0", "CPUExecutionProvider"),
        header=header or ImageHeader("png", 640, 480),
        fit=FitReport("letterbox", 1, 0.5, 16),
        regions=tuple(make_region(y=24.0 * row, line=row) for row in range(regions)),
        thresholds=Thresholds(0.3, 0.2, options.iou_threshold, 1.5, 1000, options.scene),
        timings=Timings(1.0, 2.0, 3.0, 4.0, 5.0, 15.0),
        warnings=() if regions else (DetectionWarning("no_text_found", "Nothing was found."),),
    )


class FakeDetector:
    """A detector that finds two regions in anything, and can be told to wait or to fail.

    Attributes:
        hold: While it is clear, every detection waits inside its native work.
        started: Set as soon as one detection has begun.
        failures: What to raise instead of an answer, by image bytes.
        seen: The images in the order in which work began.
        state: What the checks say.
        pixels: Decoded pixels of every image.
    """

    def __init__(
        self,
        *,
        workers: int = 2,
        max_images: int = 8,
        max_bytes: int = 1 << 30,
        max_pixels: int = 1 << 30,
        detection: Detection | None = None,
    ) -> None:
        """Open its gate and start its workers."""
        self.gate = Gate(max_images=max_images, max_bytes=max_bytes, max_pixels=max_pixels)
        self.workers = Workers(workers)
        self.detection = detection or make_detection()
        self.identity = self.detection.model
        self.sha256 = "0" * 64
        self.queue_depth = 0
        self.hold = threading.Event()
        self.hold.set()
        self.started = threading.Event()
        self.failures: dict[bytes, Exception] = {}
        self.seen: list[bytes] = []
        self.options: list[DetectOptions] = []
        self.state: dict[str, str] = {"model": "ok", "device": "ok"}
        self.heartbeat = "ok"
        self.pixels = 640 * 480
        self.running = 0
        self.most_running = 0
        self._counting = threading.Lock()

    def detect(
        self,
        data: bytes,
        options: DetectOptions | None = None,
        *,
        ticket: Ticket | None = None,
        slot: Slot | None = None,
    ) -> Detection:
        """Two regions, or what the test asked for."""
        ticket = ticket or Ticket()
        ticket.check("decode")
        if not data:
            raise MissingImage("empty")
        if slot is not None:
            slot.reserve(self.pixels)
        with self._counting:
            self.seen.append(data)
            self.options.append(options or DetectOptions())
            self.running += 1
            self.most_running = max(self.most_running, self.running)
        self.started.set()
        try:
            assert self.hold.wait(PATIENCE_S), "the test forgot to let the detector go"
        finally:
            with self._counting:
                self.running -= 1
        ticket.check("postprocess")
        if data in self.failures:
            raise self.failures[data]
        return self.detection

    def detect_decoded(
        self,
        decoded: DecodedImage,
        options: DetectOptions,
        *,
        ticket: Ticket,
        slot: Slot,
        decode_s: float,
    ) -> Detection:
        """The same for pixels, which are seen as their size and mean; the slot holds them already."""
        assert decode_s > 0
        slot.reserve(0)
        height, width, _ = decoded.pixels.shape
        detection = self.detect(b"%dx%d %d" % (width, height, decoded.pixels.mean()), options, ticket=ticket)
        return replace(detection, header=decoded.header)

    def decode(self, data: bytes) -> DecodedImage:  # noqa: ARG002 - as the real one
        """A black image of the header's size."""
        header = self.detection.header
        return DecodedImage(np.zeros((header.height, header.width, 3), np.uint8), header)

    def checks(self) -> dict[str, str]:
        """What the test says."""
        return self.state

    def alive(self) -> str:
        """What the test says."""
        return self.heartbeat

    def describe(self) -> dict[str, object]:
        """A little of what the real one tells."""
        return {"ocrdet": "0", "provider": self.identity.provider}

    def close(self) -> None:
        """Let everything go and end the workers."""
        self.gate.drain()
        self.hold.set()
        self.workers.shutdown(wait=True, cancel_futures=True)


def make_app(detector: FakeDetector | Callable[[], Any], **settings: object) -> FastAPI:
    """The application around a fake detector, or around whatever makes one."""

    def factory(_: Settings, __: Metrics) -> Any:  # noqa: ANN401 - stands in for a Detector
        return detector if isinstance(detector, FakeDetector) else detector()

    return create_app(Settings.from_environment({}, **settings), detector_factory=factory)


class Client:
    """Calls an application in this process, one event loop for all requests of a test."""

    def __init__(self, app: FastAPI, runner: asyncio.Runner) -> None:
        """Call `app` on the loop of `runner`."""
        self._runner = runner
        self._http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")

    def get(self, path: str, **options: Any) -> httpx.Response:  # noqa: ANN401 - those of httpx
        """One GET."""
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:  # noqa: ANN401 - those of httpx
        """One POST."""
        return self.request("POST", path, **options)

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:  # noqa: ANN401 - those of httpx
        """One request."""
        return self._runner.run(self._http.request(method, path, **options))


@contextlib.contextmanager
def client_of(app: FastAPI) -> Iterator[Client]:
    """A client of an application that is started, and whose model is loaded or has failed to."""
    with asyncio.Runner() as runner:
        lifespan = app.router.lifespan_context(app)
        runner.run(lifespan.__aenter__())
        try:
            assert app.state.service.settled.wait(PATIENCE_S)
            yield Client(app, runner)
        finally:
            runner.run(lifespan.__aexit__(None, None, None))


class LiveServer:
    """A real server in a thread of this process.

    Attributes:
        server: The server itself.
        url: Where it listens.
        port: Its port.
        exit_code: What it returned, once it has ended.
    """

    def __init__(self, app: FastAPI, **options: Any) -> None:  # noqa: ANN401 - those of Server
        """Listen; `start` serves."""
        self.listener = Listener.open("127.0.0.1", 0)
        self.url = self.listener.url
        self.port = int(self.listener.sock.getsockname()[1])
        self.server: Server = Server(app, **options)
        self.exit_code: int | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        with self.listener:
            self.exit_code = self.server.run_on(self.listener)

    def start(self) -> None:
        """Serve in a thread."""
        self._thread.start()

    def join(self) -> int | None:
        """Wait for the end; the exit code."""
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive(), "the server did not end"
        return self.exit_code


@contextlib.contextmanager
def running(app: FastAPI, **options: Any) -> Iterator[LiveServer]:  # noqa: ANN401 - those of Server
    """A live server for the length of a block."""
    live = LiveServer(app, **options)
    live.start()
    try:
        assert app.state.service.settled.wait(PATIENCE_S)
        yield live
    finally:
        live.server.stop()
        live.join()
