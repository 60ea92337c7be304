"""Many images through one detector: in parallel, a bounded number in work, answers in the order asked."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic_core import to_json

from ocrdet.api.answers import detection_dict, drawn_image
from ocrdet.api.problems import problem_of
from ocrdet.cli.sources import STDIN, printable
from ocrdet.errors import InvalidParameter, OcrdetError
from ocrdet.vision.decode import decode_image

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from concurrent.futures import Future

    from ocrdet.api.answers import ImageFormat
    from ocrdet.cli.sources import Source
    from ocrdet.detector import Detector
    from ocrdet.options import DetectOptions
    from ocrdet.values import Detection


@dataclass(frozen=True, slots=True)
class Outcome:
    """One line of output, and whether its image failed."""

    line: bytes
    failed: bool


@dataclass(frozen=True, slots=True)
class Job:
    """What is done with each image.

    Attributes:
        detector: Does it.
        options: The caller's choices.
        max_bytes: Largest file that is read.
        draw: Folder for drawn images, if any.
    """

    detector: Detector
    options: DetectOptions
    max_bytes: int
    draw: Path | None

    def run(self, source: Source) -> Outcome:
        """Read, detect and draw one image; whatever goes wrong is told in its line."""
        try:
            data = source.read(self.max_bytes)
            detection = self.detector.detect(data, self.options)
            answer = detection_dict(detection, self.options, "")
            if self.draw is not None:
                self._write_drawn(source, data, detection)
        except Exception as error:  # noqa: BLE001 - one image must not stop the rest
            answer = {"problem": _problem(error)}
        # There is no request here that an id could name.
        answer.pop("request_id", None)
        return Outcome(to_json({"path": printable(source.name)} | answer) + b"\n", "problem" in answer)

    def _write_drawn(self, source: Source, data: bytes, detection: Detection) -> None:
        target = (self.draw or Path()) / source.target
        if source.name != STDIN and target.exists() and target.samefile(source.name):
            raise InvalidParameter(f"--draw would overwrite {source.name} itself; name another folder.")
        image_format: ImageFormat = "png" if target.suffix.lower() == ".png" else "jpeg"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(
            drawn_image(decode_image(data, detection.header, allow_truncated=True), detection, image_format)
        )


def detect_in_order(job: Job, sources: Iterable[Source], jobs: int | None = None) -> Iterator[Outcome]:
    """What became of each image, in the order of the sources, with a bounded number of them in work.

    Args:
        job: What is done with each image.
        sources: The images.
        jobs: Images in work at one time; twice the detector's threads where left out.
    """
    workers = job.detector.workers
    window = jobs or 2 * workers.threads
    pending: deque[Future[Outcome]] = deque()

    for source in sources:
        if len(pending) == window:
            yield pending.popleft().result()
        pending.append(workers.submit(job.run, source))
    while pending:
        yield pending.popleft().result()


def _problem(error: Exception) -> dict[str, object]:
    problem = problem_of(error).as_dict("")
    del problem["request_id"]
    # Here the reader is the operator, from whom nothing is hidden.
    problem["detail"] = error.detail if isinstance(error, OcrdetError) else f"{type(error).__name__}: {error}"
    return problem
