"""What all routes share: the detector once it is loaded, and whether this process is on its way out."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ocrdet.engine.pages import PageLimits, PdfDocuments
from ocrdet.engine.resources import memory_limit_bytes, resident_bytes
from ocrdet.errors import NotReady, OcrdetError

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import HTTPConnection

    from ocrdet.api.keys import ApiKeys
    from ocrdet.detector import Detector
    from ocrdet.telemetry.metrics import Metrics

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request may take; the fields are those of the settings."""

    max_body_bytes: int
    max_batch_body_bytes: int
    max_batch_images: int
    max_document_bytes: int
    max_pages: int
    max_inflight_documents: int
    page_timeout_ms: int
    page_memory_bytes: int
    max_image_pixels: int
    max_image_side_px: int
    max_inflight_images: int
    max_inflight_bytes: int
    max_inflight_pixels: int
    request_timeout_ms: int
    body_timeout_ms: int


class Service:
    """One process's service; made once, before its model is loaded.

    Attributes:
        limits: What one request may take.
        metrics: Where everything is counted.
        keys: API keys, or None where everybody may ask.
        documents: Opens PDF files.
        draining: Whether readiness says no because the process is about to end.
        failure: Why the model could not be loaded, if so.
        stuck: Whether the model still ran, or was being loaded, when the process wanted to end.
        settled: Set once the model is loaded, or cannot be.
        on_ready: Called in the loading thread when the model serves.
        on_failure: Called in the loading thread when the model cannot be loaded.
    """

    def __init__(self, limits: Limits, metrics: Metrics, keys: ApiKeys | None) -> None:
        """Hold what the routes need; nothing is started."""
        self.limits = limits
        self.metrics = metrics
        self.keys = keys
        rendering = PageLimits(limits.page_timeout_ms / 1e3, limits.page_memory_bytes)
        self.documents = PdfDocuments(limits.max_inflight_documents, rendering)
        self.draining = False
        self.failure: str | None = None
        self.stuck = False
        self.settled = threading.Event()
        self.on_ready: Callable[[Detector], None] = lambda _: None
        self.on_failure: Callable[[], None] = lambda: None
        self._detector: Detector | None = None

    def start_loading(self, load: Callable[[], Detector]) -> None:
        """Load the model in a thread of its own, so that `/livez` answers meanwhile."""
        threading.Thread(target=self._load, args=(load,), name="ocrdet-load", daemon=True).start()

    def close(self, patience_s: float) -> None:
        """Free the model once what runs has ended, waiting for it no longer than `patience_s`.

        A second call does nothing.
        """
        detector, self._detector = self._detector, None
        if detector is None:
            self.stuck = self.stuck or not self.settled.is_set()
            return
        closer = threading.Thread(target=detector.close, name="ocrdet-close", daemon=True)
        closer.start()
        closer.join(patience_s)
        self.stuck = closer.is_alive()
        if self.stuck:
            logger.error("The model still runs after %g s; it is left behind.", patience_s)

    def require_key(self, request: HTTPConnection) -> None:
        """Let a request with a valid key pass; errors are the answer."""
        if self.keys is not None:
            self.keys.require(request.headers.get("authorization"))

    def loaded(self) -> Detector | None:
        """The detector, or None until it serves."""
        return self._detector

    def require_detector(self) -> Detector:
        """The detector.

        Raises:
            NotReady: It is not loaded yet.
        """
        if self._detector is None:
            raise NotReady(
                "The model is not loaded yet; try again in a few seconds."
                if self.failure is None
                else "The model could not be loaded; the server's log says why."
            )
        return self._detector

    def checks(self) -> dict[str, str]:
        """Whether a request would succeed now: every check by name, `ok` or the reason."""
        shutdown = {"shutdown": "draining" if self.draining else "ok"}
        if self._detector is None:
            return {"model": "loading" if self.failure is None else "failed to load"} | shutdown
        return self._detector.checks() | shutdown

    def _load(self, load: Callable[[], Detector]) -> None:
        try:
            detector = load()
        except OcrdetError as error:
            self._fail(error.detail, None)
        except Exception as error:  # noqa: BLE001 - whatever it is, the process must not stay up without a model
            self._fail(f"{type(error).__name__}: {error}", error)
        else:
            self._serve(detector)

    def _serve(self, detector: Detector) -> None:
        identity, gate = detector.identity, detector.gate
        self.metrics.set_model(
            name=identity.name, version=identity.version, sha256=detector.sha256, provider=identity.provider
        )
        self.metrics.watch(
            inflight_images=lambda: gate.inflight_images,
            saturation_ratio=lambda: gate.saturation_ratio,
            queue_depth=lambda: detector.queue_depth,
            memory_bytes={"resident": resident_bytes, "limit": lambda: memory_limit_bytes() or 0},
        )
        self._detector = detector
        self.settled.set()
        self.on_ready(detector)

    def _fail(self, reason: str, error: Exception | None) -> None:
        self.failure = reason
        self.settled.set()
        logger.error("The model could not be loaded: %s", reason, exc_info=error)
        self.on_failure()


def service_of(request: HTTPConnection) -> Service:
    """The service of the application that a request belongs to."""
    service: Service = request.app.state.service
    return service
