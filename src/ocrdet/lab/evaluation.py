"""Every image of a set predicted and judged, in order, a few at a time."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ocrdet.errors import OcrdetError
from ocrdet.lab.prediction import Prediction
from ocrdet.lab.scoring import ImageScore, score_image

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from concurrent.futures import Future

    from ocrdet.lab.ground_truth import LabelledImage
    from ocrdet.lab.prediction import Predictor


@dataclass(frozen=True, slots=True)
class JudgedImage:
    """One image with what was to be found, what was found, and how well they fit."""

    image: LabelledImage
    prediction: Prediction
    score: ImageScore


def judge_images(predictor: Predictor, images: Iterable[LabelledImage], jobs: int) -> Iterator[JudgedImage]:
    """Yields each image judged, in the order given.

    Args:
        predictor: Finds the regions.
        images: What to judge.
        jobs: Images in work at one time.
    """
    pending: deque[Future[JudgedImage]] = deque()
    executor = ThreadPoolExecutor(jobs, "judge")
    try:
        for image in images:
            if len(pending) == 2 * jobs:
                yield pending.popleft().result()
            pending.append(executor.submit(_judge, predictor, image))
        while pending:
            yield pending.popleft().result()
    finally:
        executor.shutdown(cancel_futures=True)


def _judge(predictor: Predictor, image: LabelledImage) -> JudgedImage:
    try:
        prediction = predictor.predict(image.path.read_bytes())
    except OcrdetError as error:
        prediction = Prediction(problem=error.detail)
    except Exception as error:  # noqa: BLE001 - one image must not stop the rest
        prediction = Prediction(problem=f"{type(error).__name__}: {error}")
    labels = image.labels
    score = score_image(
        labels.regions, prediction.outlines, prediction.scores, labels.size or prediction.size
    )
    return JudgedImage(image, prediction, score)
