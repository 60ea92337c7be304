"""Every metric of ocrdet, in one class on its own registry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

Stage = Literal["decode", "queue", "preprocess", "inference", "postprocess", "serialize"]
CancelStage = Literal["body", "decode", "queue", "preprocess", "inference", "postprocess", "serialize"]

STAGES: tuple[Stage, ...] = get_args(Stage)
CANCEL_STAGES: tuple[CancelStage, ...] = get_args(CancelStage)
STATUSES = (200, 400, 401, 403, 404, 405, 408, 409, 413, 415, 422, 429, 499, 500, 503, 504)
OTHER = "other"
CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4

REQUEST_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
STAGE_BUCKETS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
REGION_BUCKETS = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
BATCH_BUCKETS = (1, 2, 4, 8, 16, 32, 64)
PIXEL_BUCKETS = (1e5, 3e5, 1e6, 2e6, 4e6, 8e6, 1.6e7, 3.2e7, 6.4e7)


class Metrics:
    """The metrics of one process; every label value exists from the start, so rates begin at zero.

    All methods are thread-safe and cost microseconds.
    """

    def __init__(self, *, routes: Iterable[str] = (), reasons: Iterable[str] = ()) -> None:
        """Create every metric and every label value.

        Args:
            routes: Route templates that requests are counted under; any other is counted as `other`.
            reasons: Why requests are refused; any other is counted as `other`.
        """
        # Creation times would double the number of series and are read by nothing here.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library leaves it unannotated
        self.registry = registry = CollectorRegistry(auto_describe=True)
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)

        requests = Counter("ocrdet_requests", "Requests answered.", ["route", "status"], registry=registry)
        durations = Histogram(
            "ocrdet_request_duration_seconds",
            "Time from the first byte of a request to the last byte of its answer.",
            ["route"],
            buckets=REQUEST_BUCKETS_S,
            registry=registry,
        )
        stages = Histogram(
            "ocrdet_stage_duration_seconds",
            "Time that one image spends in one stage.",
            ["stage"],
            buckets=STAGE_BUCKETS_S,
            registry=registry,
        )
        rejected = Counter(
            "ocrdet_rejected", "Requests and batch images refused.", ["reason"], registry=registry
        )
        cancelled = Counter(
            "ocrdet_cancelled",
            "Images given up because the client left or the deadline passed, by the stage not finished.",
            ["stage"],
            registry=registry,
        )
        route_labels = (*routes, OTHER)
        self._requests = {
            route: {status: requests.labels(route, str(status)) for status in (*STATUSES, OTHER)}
            for route in route_labels
        }
        self._durations = {route: durations.labels(route) for route in route_labels}
        self._stages = {stage: stages.labels(stage) for stage in STAGES}
        self._rejected = {reason: rejected.labels(reason) for reason in (*reasons, OTHER)}
        self._cancelled = {stage: cancelled.labels(stage) for stage in CANCEL_STAGES}

        self._queue_depth = Gauge(
            "ocrdet_queue_depth", "Images admitted and waiting for the device.", registry=registry
        )
        self._inflight_images = Gauge(
            "ocrdet_inflight_images", "Images admitted and not finished.", registry=registry
        )
        self._saturation_ratio = Gauge(
            "ocrdet_saturation_ratio",
            "Fullest of the admission limits (images, bytes, pixels), 0 to 1.",
            registry=registry,
        )
        self._memory_bytes = Gauge(
            "ocrdet_memory_bytes", "Memory by kind, bytes.", ["kind"], registry=registry
        )
        self._model_info = Gauge(
            "ocrdet_model_info",
            "1 for the live model.",
            ["name", "version", "sha256", "provider"],
            registry=registry,
        )
        self._batch_size = Histogram(
            "ocrdet_batch_size", "Images in one run of the model.", buckets=BATCH_BUCKETS, registry=registry
        )
        self._regions = Histogram(
            "ocrdet_regions_per_image",
            "Text regions found in one image.",
            buckets=REGION_BUCKETS,
            registry=registry,
        )
        self._image_pixels = Histogram(
            "ocrdet_image_pixels", "Pixels of one decoded image.", buckets=PIXEL_BUCKETS, registry=registry
        )
        self._engine_restarts = Counter(
            "ocrdet_engine_restarts", "Times that the engine was rebuilt after a failure.", registry=registry
        )

    def count_request(self, route: str, status: int, seconds: float) -> None:
        """Count one answered request; a route or status outside the bounded sets counts as `other`."""
        label = route if route in self._durations else OTHER
        by_status = self._requests[label]
        by_status.get(status, by_status[OTHER]).inc()
        self._durations[label].observe(seconds)

    def count_rejected(self, reason: str) -> None:
        """Count one refusal."""
        self._rejected.get(reason, self._rejected[OTHER]).inc()

    def count_cancelled(self, stage: CancelStage) -> None:
        """Count one image given up before `stage` was finished."""
        self._cancelled[stage].inc()

    def count_engine_restart(self) -> None:
        """Count one rebuild of the engine."""
        self._engine_restarts.inc()

    def observe_stage(self, stage: Stage, seconds: float) -> None:
        """Record how long one image spent in one stage."""
        self._stages[stage].observe(seconds)

    def observe_image(self, pixels: int, regions: int) -> None:
        """Record the size of one image and how many regions it had."""
        self._image_pixels.observe(pixels)
        self._regions.observe(regions)

    def observe_batch_size(self, images: int) -> None:
        """Record how many images one run of the model held."""
        self._batch_size.observe(images)

    def set_model(self, *, name: str, version: str, sha256: str, provider: str) -> None:
        """Name the live model in place of any earlier one."""
        self._model_info.clear()
        self._model_info.labels(name, version, sha256, provider).set(1)

    def watch(
        self,
        *,
        queue_depth: Callable[[], float] | None = None,
        inflight_images: Callable[[], float] | None = None,
        saturation_ratio: Callable[[], float] | None = None,
        memory_bytes: Mapping[str, Callable[[], float]] | None = None,
    ) -> None:
        """Read gauges from their owners at every scrape, so that none is moved by hand.

        Args:
            queue_depth: Images admitted and waiting for the device.
            inflight_images: Images admitted and not finished.
            saturation_ratio: Fullest of the admission limits, 0 to 1.
            memory_bytes: Bytes by kind; the kinds given are the label values.
        """
        for gauge, read in (
            (self._queue_depth, queue_depth),
            (self._inflight_images, inflight_images),
            (self._saturation_ratio, saturation_ratio),
        ):
            if read is not None:
                gauge.set_function(read)
        for kind, read in (memory_bytes or {}).items():
            self._memory_bytes.labels(kind).set_function(read)

    def render(self) -> bytes:
        """Everything in Prometheus's text format; the matching content type is `CONTENT_TYPE`."""
        return generate_latest(self.registry)
