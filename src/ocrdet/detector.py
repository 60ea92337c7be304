"""READ FIRST: the one path through, bytes in, Detection out.

    bytes --vision/decode--> DecodedImage --vision/fit, vision/normalize--> ModelInput
          --engine/scheduler, engine/session--> ProbabilityMap --vision/regions--> TextRegion --> Detection

One thread carries an image all the way; what bounds the threads, the bytes and the pixels is the gate.
"""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING

import cv2
import numpy as np

from ocrdet import __version__
from ocrdet.engine.admission import Gate
from ocrdet.engine.installation import require_sound_installation
from ocrdet.engine.launch import LaunchPlan, launch_engine
from ocrdet.engine.resources import memory_trouble
from ocrdet.engine.store import find_model
from ocrdet.engine.ticket import Ticket
from ocrdet.engine.workers import Workers
from ocrdet.errors import SelfTestFailed
from ocrdet.options import DetectOptions
from ocrdet.settings import Settings
from ocrdet.telemetry.stage_clock import StageClock
from ocrdet.values import (
    DecodedImage,
    Detection,
    ImageHeader,
    ModelIdentity,
    ModelInput,
    ProbabilityMap,
)
from ocrdet.vision.decode import check_limits, decode_image, prepare_decoders, read_header
from ocrdet.vision.explain import explain_detection
from ocrdet.vision.fit import fit_image, plan_fit
from ocrdet.vision.golden import draw_golden, judge_golden
from ocrdet.vision.normalize import Normalization, normalize_into
from ocrdet.vision.regions import find_regions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ocrdet.engine.admission import Slot
    from ocrdet.engine.launch import Engine
    from ocrdet.engine.store import ModelFiles
    from ocrdet.telemetry.metrics import Metrics
    from ocrdet.vision.fit import FitPlan


class Detector:
    """A loaded, warm and self-tested model with everything that bounds its use.

    Attributes:
        identity: Model name, version and execution provider.
        sha256: Checksum of the model file.
        gate: Admits images; what is not admitted is not decoded.
        workers: The threads that carry images through.
    """

    def __init__(self, files: ModelFiles, settings: Settings, metrics: Metrics | None = None) -> None:
        """Launch the engine and prove it on the golden picture; use `open_detector`."""
        prepare_decoders()
        self._settings = settings
        self._metrics = metrics
        self._manifest = files.manifest
        self.sha256 = files.sha256
        self.gate = Gate(
            max_images=settings.max_inflight_images,
            max_bytes=settings.max_inflight_bytes,
            max_pixels=settings.max_inflight_pixels,
        )
        plan = LaunchPlan(
            settings.device, settings.threads, settings.max_micro_batch_images, settings.gpu_mem_limit_bytes
        )
        self._engine: Engine = launch_engine(
            files, plan, alone=lambda: self.gate.inflight_images <= 1, metrics=metrics
        )
        manifest, spec = self._manifest, self._manifest.normalization
        self.identity = ModelIdentity(manifest.name, manifest.version, self._engine.provider)
        color, layout = manifest.input.color, self._engine.graph.layout
        self._normalization = Normalization.from_mean_std(
            spec.mean, spec.std, scale=spec.scale, color=color, layout=layout
        )
        self._memory = threading.local()
        self.workers = Workers(self._engine.threads.workers)
        try:
            self._self_test()
        except BaseException:
            self.close()
            raise

    def detect(
        self,
        data: bytes,
        options: DetectOptions | None = None,
        *,
        ticket: Ticket | None = None,
        slot: Slot | None = None,
    ) -> Detection:
        """Find the text regions of one image; blocks the calling thread.

        Args:
            data: The bytes of a JPEG, PNG, WebP, BMP, TIFF or GIF file.
            options: The caller's choices; the documented defaults where left out.
            ticket: Deadline and cancellation, looked at between stages.
            slot: An admitted slot of the caller's. Without one the call waits for room if need be.

        Returns:
            The regions in reading order, points in displayed pixels, and how they came about.

        Raises:
            ImageRejected: The image cannot or may not be read.
            QueueFull: A given slot finds no room for the decoded pixels beside those of others.
            DeadlineExceeded: The ticket's time is over.
            Cancelled: The ticket was cancelled.
            InferenceFailed: The model failed on this image.
        """
        ticket = ticket or Ticket()
        if slot is not None:
            return self._detect(data, options or DetectOptions(), ticket, slot)
        with self.gate.admit_waiting(size_bytes=len(data), ticket=ticket) as own_slot:
            return self._detect(data, options or DetectOptions(), ticket, own_slot)

    def decode(self, data: bytes) -> DecodedImage:
        """The image as `detect` sees it, for drawing; the caller holds a slot for its pixels.

        Raises:
            ImageRejected: The image cannot or may not be read.
        """
        return decode_image(data, self._read_header(data))

    def _read_header(self, data: bytes) -> ImageHeader:
        header = read_header(data)
        settings = self._settings
        check_limits(header, max_pixels=settings.max_image_pixels, max_side_px=settings.max_image_side_px)
        return header

    def _detect(self, data: bytes, options: DetectOptions, ticket: Ticket, slot: Slot) -> Detection:
        clock = StageClock(self._metrics)
        ticket.check("decode")
        header = self._read_header(data)
        slot.reserve_pixels(header.pixels)
        plan = self._plan_fit(header, options)
        decoded = decode_image(data, header, reduction=plan.reduction)
        clock.lap("decode")
        detection = self._find(decoded, plan, options, ticket, clock)
        if self._metrics is not None:
            self._metrics.observe_image_pixels(header.pixels)
            self._metrics.observe_regions(len(detection.regions))
        return detection

    def _plan_fit(self, header: ImageHeader, options: DetectOptions) -> FitPlan:
        return plan_fit(
            header.width,
            header.height,
            self._engine.shapes,
            mode=options.fit,
            max_upscale=self._manifest.max_upscale,
            readable_px=self._manifest.readable_px,
        )

    def _find(
        self, decoded: DecodedImage, plan: FitPlan, options: DetectOptions, ticket: Ticket, clock: StageClock
    ) -> Detection:
        ticket.check("preprocess")
        model_input = self._normalize(
            fit_image(decoded.pixels, plan.placement, reduction=decoded.reduction), plan
        )
        clock.lap("preprocess")
        result = self._engine.scheduler.infer(model_input.tensor, ticket)
        clock.note("queue", ticket.queued_s + result.waited_s)
        clock.note("inference", result.ran_s)
        clock.restart()
        ticket.check("postprocess")
        manifest = self._manifest
        thresholds = manifest.thresholds_for(options.scene, options.score_threshold, options.iou_threshold)
        found = find_regions(
            ProbabilityMap(result.values, model_input.placement),
            thresholds,
            max_regions=options.max_regions,
            polygons=options.polygons,
        )
        warnings = explain_detection(decoded, plan.report, thresholds, found, options)
        clock.lap("postprocess")
        return Detection(
            self.identity,
            decoded.header,
            plan.report,
            found.regions,
            thresholds,
            clock.timings(ticket.elapsed_s()),
            warnings,
        )

    def _normalize(self, pixels: NDArray[np.uint8], plan: FitPlan) -> ModelInput:
        """Fill this thread's own memory: reused, because the thread waits until its run has ended."""
        graph = self._engine.graph
        if not hasattr(self._memory, "pool"):
            largest = max(height * width for height, width in self._engine.shapes)
            self._memory.pool = np.empty(3 * largest, graph.input.dtype)
        shape = graph.batch_shape(1, *plan.shape)
        tensor = self._memory.pool[: math.prod(shape)].reshape(shape)
        normalize_into(pixels, self._normalization, tensor)
        return ModelInput(tensor, plan.placement)

    def _self_test(self) -> None:
        """Find the golden picture's lines on the way of every decoded image.

        Raises:
            SelfTestFailed: They were not found: wrong weights, a wrong preset, or a device that lies.
        """
        page = draw_golden()
        golden = DecodedImage(page, ImageHeader("png", page.shape[1], page.shape[0]))
        options = DetectOptions()
        plan = self._plan_fit(golden.header, options)
        detection = self._find(golden, plan, options, Ticket(), StageClock())
        complaint = judge_golden(detection.regions)
        if complaint is not None and self._manifest.self_test == "golden":
            raise SelfTestFailed(
                f"Self-test of {self.identity.name} {self.identity.version} on {self.identity.provider}: "
                f"{complaint} The preset {self._manifest.preset} may be wrong for this model."
            )

    def checks(self) -> dict[str, str]:
        """Whether a request would succeed now: every check by name, `ok` or the reason."""
        return {
            "model": "ok",
            "warm_up": "ok",
            "self_test": "ok",
            "device": self._engine.scheduler.trouble() or "ok",
            "progress": self.alive(),
            "drain": "draining" if self.gate.draining else "ok",
            "memory": memory_trouble() or "ok",
        }

    def alive(self) -> str:
        """Whether the process should be left alone: `ok`, or what has stopped."""
        return self._engine.scheduler.stalled() or "ok"

    @property
    def queue_depth(self) -> int:
        """Images waiting for a worker or for the device."""
        return self.workers.waiting + self._engine.scheduler.queue_depth

    def describe(self) -> dict[str, object]:
        """Versions, device, threads, shapes and limits: what `/info` and `doctor` show."""
        return {
            "ocrdet": __version__,
            "opencv": cv2.__version__,
            "model": {
                "name": self.identity.name,
                "version": self.identity.version,
                "sha256": self.sha256,
                "preset": self._manifest.preset,
                "license": self._manifest.license,
            },
            "previous_model": None,
            "thresholds": self._manifest.thresholds.model_dump(),
            **self._engine.describe(),
        }

    def close(self) -> None:
        """Take nothing new, let what runs end, free the model."""
        self.gate.drain()
        self.workers.shutdown(wait=True, cancel_futures=True)
        self._engine.scheduler.close()

    def __enter__(self) -> Detector:
        """Use the detector for a block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it at the end of the block."""
        self.close()


def open_detector(
    model: str | None = None, *, settings: Settings | None = None, metrics: Metrics | None = None
) -> Detector:
    """Load a model, warm it, prove it, and return it ready to use.

    Args:
        model: Built-in name, model folder or `.onnx` file; the settings' model where left out.
        settings: Limits and device; read from the environment where left out.
        metrics: Where stages and sizes are counted; nowhere if left out.

    Raises:
        ConfigurationError: A setting, or the installation, cannot work.
        ModelError: The model is not there, not valid, or fails its self-test.
    """
    require_sound_installation()
    settings = settings or Settings.from_environment()
    files = find_model(model or settings.model, settings.model_preset)
    return Detector(files, settings, metrics)
