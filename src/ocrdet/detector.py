"""READ FIRST: the one path through, bytes in, Detection out.

    bytes --vision/decode--> DecodedImage --vision/fit, vision/normalize--> a tensor per pass
          --engine/scheduler, engine/session, vision/tiles--> ProbabilityMap
          --vision/regions--> TextRegion --> Detection

One thread carries an image all the way; what bounds the threads, the bytes and the pixels is the gate.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

import cv2

from ocrdet import __version__
from ocrdet.engine.admission import Gate
from ocrdet.engine.installation import require_sound_installation
from ocrdet.engine.launch import LaunchPlan, launch_engine
from ocrdet.engine.resources import memory_trouble
from ocrdet.engine.store import find_model
from ocrdet.engine.tensors import TensorMemory
from ocrdet.engine.ticket import Ticket
from ocrdet.engine.workers import Workers
from ocrdet.errors import SelfTestFailed
from ocrdet.options import DetectOptions
from ocrdet.settings import Settings
from ocrdet.telemetry.stage_clock import StageClock
from ocrdet.values import DecodedImage, Detection, ImageHeader, ModelIdentity, ProbabilityMap
from ocrdet.vision.decode import check_limits, decode_image, prepare_decoders, read_header
from ocrdet.vision.explain import explain_detection
from ocrdet.vision.fit import FitRules, fit_image, plan_fit
from ocrdet.vision.golden import golden_image, judge_golden
from ocrdet.vision.normalize import Normalization, make_tensors
from ocrdet.vision.regions import find_regions
from ocrdet.vision.tiles import merge_maps

if TYPE_CHECKING:
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
        self._manifest = manifest = files.manifest
        self.sha256 = files.sha256
        self.gate = Gate(
            max_images=settings.max_inflight_images,
            max_bytes=settings.max_inflight_bytes,
            max_pixels=settings.max_inflight_pixels,
        )
        launch_plan = LaunchPlan(
            device=settings.device,
            cpus=settings.threads,
            precision=settings.precision,
            max_micro_batch_images=settings.max_micro_batch_images,
            gpu_mem_limit_bytes=settings.gpu_mem_limit_bytes,
            cuda_graphs=settings.cuda_graphs,
            cache_dir=settings.cache_dir,
        )
        self._engine: Engine = launch_engine(
            files, launch_plan, alone=lambda: self.gate.inflight_images <= 1, metrics=metrics
        )
        self.identity = ModelIdentity(manifest.name, manifest.version, self._engine.provider)
        graph, spec = self._engine.graph, manifest.normalization
        normalization = Normalization(manifest.input.color, graph.layout, spec.gain, spec.offset)
        self._normalization = None if graph.takes_pixels else normalization
        self._fit_rules = FitRules(
            self._engine.shapes, manifest.max_upscale, manifest.readable_px, settings.max_tiles
        )
        self._facts = files.describe() | self._engine.describe()
        self._memory = TensorMemory(graph, self._engine.shapes)
        self._least_pixel_s = self._engine.pixel_s
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
            data: The bytes of a file in one of the formats of `docs/images.md`.
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

    def detect_decoded(
        self,
        decoded: DecodedImage,
        options: DetectOptions,
        *,
        ticket: Ticket,
        slot: Slot,
        decode_s: float,
    ) -> Detection:
        """Find the text regions of pixels that came from elsewhere, in `decode_s`, such as a rendered page.

        The slot holds them already; errors are those of `detect` but for what decoding raises.
        """
        clock = StageClock(self._metrics)
        clock.note("decode", decode_s)
        plan = self._plan(decoded.header, options, ticket)
        slot.reserve(0, len(plan.windows))
        return self._counted(self._find(decoded, plan, options, ticket, clock))

    def decode(self, data: bytes) -> DecodedImage:
        """The image as `detect` sees it, for drawing; the caller holds a slot for its pixels.

        Raises:
            ImageRejected: The image cannot or may not be read.
        """
        # Where a part was enough to find text in, it is enough to draw on.
        return decode_image(data, self._read_header(data), allow_truncated=True)

    def _read_header(self, data: bytes) -> ImageHeader:
        header, limits = read_header(data), self._settings
        check_limits(header, max_pixels=limits.max_image_pixels, max_side_px=limits.max_image_side_px)
        return header

    def _detect(self, data: bytes, options: DetectOptions, ticket: Ticket, slot: Slot) -> Detection:
        clock = StageClock(self._metrics)
        ticket.check("decode")
        header = self._read_header(data)
        plan = self._plan(header, options, ticket)
        slot.reserve(header.pixels, len(plan.windows))
        decoded = decode_image(
            data, header, reduction=plan.reduction, allow_truncated=options.allow_truncated
        )
        clock.lap("decode")
        return self._counted(self._find(decoded, plan, options, ticket, clock))

    def _plan(self, header: ImageHeader, options: DetectOptions, ticket: Ticket) -> FitPlan:
        """How the image will meet the model; refused at once where there is no time for its passes."""
        plan = plan_fit(header.width, header.height, self._fit_rules, options.fit)
        ticket.require(plan.model_pixels * self._least_pixel_s, "inference")
        return plan

    def _counted(self, detection: Detection) -> Detection:
        if self._metrics is not None:
            self._metrics.observe_image(detection.header.pixels, len(detection.regions))
        return detection

    def _find(
        self, decoded: DecodedImage, plan: FitPlan, options: DetectOptions, ticket: Ticket, clock: StageClock
    ) -> Detection:
        ticket.check("preprocess")
        began = time.perf_counter()
        place = plan.placement
        fitted = fit_image(decoded.pixels, place, reduction=decoded.reduction, overhang=decoded.overhang)
        new_tensor = partial(self._memory.new_tensor, plan.shape, passes=len(plan.windows))
        tensors = make_tensors(fitted, plan.windows, self._normalization, new_tensor)
        result = self._engine.scheduler.infer(tensors, ticket)
        # What a busy machine took at start would refuse what can be done.
        self._least_pixel_s = min(self._least_pixel_s, result.ran_s / plan.model_pixels)
        clock.note("preprocess", time.perf_counter() - began - result.waited_s - result.ran_s)
        clock.note("queue", ticket.queued_s + result.waited_s)
        clock.note("inference", result.ran_s)
        clock.restart()
        ticket.check("postprocess")
        manifest = self._manifest
        thresholds = manifest.thresholds_for(options.scene, options.score_threshold, options.iou_threshold)
        found = find_regions(
            ProbabilityMap(merge_maps(result.maps, plan.windows, place.width, place.height), place),
            thresholds,
            max_regions=options.max_regions,
            polygons=options.polygons,
        )
        warnings = explain_detection(decoded, plan, thresholds, found, options)
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

    def _self_test(self) -> None:
        """Find the golden picture's lines on the way of every decoded image.

        Raises:
            SelfTestFailed: They were not found: wrong weights, a wrong preset, or a device that lies.
        """
        golden, options, ticket = golden_image(), DetectOptions(), Ticket()
        plan = self._plan(golden.header, options, ticket)
        detection = self._find(golden, plan, options, ticket, StageClock())
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
        return {"ocrdet": __version__, "opencv": cv2.__version__, "previous_model": None} | self._facts

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
