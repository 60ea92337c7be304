"""The plain pipeline that the framework peers serve: JPEG bytes in, boxes and scores out.

It stands for what a careful team writes around a model in a day: OpenCV for every stage, no loop over pixels,
one tensor per call, ONNX Runtime with all its optimisations. The input shape is the one that ocrdet gives the
same page. It runs in the peers' own environments, so it imports nothing of ocrdet.

Post-processing follows Liao et al., "Real-time Scene Text Detection with Differentiable Binarization"
(2020), with the expansion of a rectangle computed instead of asked of a polygon library.
"""

from __future__ import annotations

import os
from typing import Any

import cv2
import numpy as np
import onnxruntime as ort

LONGEST_PX = 800
MULTIPLE_PX = 32
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
BINARY, SCORE, UNCLIP_RATIO = 0.2, 0.45, 1.2
LEAST_SIDE_PX = 3
WHITE = 255.0


class Pipeline:
    """A warm session and what stands around it; `detect` may be called from several threads."""

    def __init__(self, model: str) -> None:
        """Open the model file with one thread for a run, which also means that no pool spins; run it once."""
        cv2.setNumThreads(1)
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        self._session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name
        blank = cv2.imencode(".jpg", np.zeros((1200, 1600, 3), np.uint8))[1]
        self.detect(blank.tobytes())

    def detect(self, data: bytes) -> dict[str, Any]:
        """Boxes (four corners each, source pixels) and their scores, ready for JSON.

        Raises:
            ValueError: OpenCV cannot decode the bytes.
        """
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        if image is None:
            raise ValueError("not an image")
        tensor, scale = _fit(image)
        values = self._session.run(None, {self._input: tensor})[0][0, 0]
        boxes, scores = _find_boxes(values)
        corners = np.clip(boxes / scale, 0, image.shape[1::-1])
        return {"boxes": corners.round(1).tolist(), "scores": scores}


def from_environment() -> Pipeline:
    """The pipeline around the model file that PEER_MODEL names."""
    return Pipeline(os.environ["PEER_MODEL"])


def _fit(image: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], float]:
    """The letterboxed, normalised (1, 3, H, W) tensor, and the scale from source to model pixels."""
    height, width = image.shape[:2]
    scale = LONGEST_PX / max(height, width)
    inner = (round(width * scale), round(height * scale))
    small = cv2.resize(image, inner, interpolation=cv2.INTER_LINEAR)
    padded = [-(-side // MULTIPLE_PX) * MULTIPLE_PX for side in inner]
    tensor = np.zeros((1, 3, padded[1], padded[0]), np.float32)
    for channel, plane in enumerate(cv2.split(small)):
        target = tensor[0, channel, : inner[1], : inner[0]]
        np.multiply(plane, np.float32(1 / (WHITE * STD[channel])), out=target)
        target -= np.float32(MEAN[channel] / STD[channel])
    return tensor, scale


def _find_boxes(values: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], list[float]]:
    """Contours as rectangles, those of a low mean probability dropped, the rest expanded; model pixels."""
    bitmap = (values > BINARY).view(np.uint8)
    contours, _ = cv2.findContours(bitmap, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    boxes, scores = [], []
    for contour in contours:
        centre, (width, height), angle = cv2.minAreaRect(contour)
        if min(width, height) < LEAST_SIDE_PX:
            continue
        score = _mean_inside(values, contour)
        if score < SCORE:
            continue
        distance = width * height * UNCLIP_RATIO / (2 * (width + height))
        boxes.append(cv2.boxPoints((centre, (width + 2 * distance, height + 2 * distance), angle)))
        scores.append(round(score, 4))
    return np.array(boxes, np.float32).reshape(-1, 4, 2), scores


def _mean_inside(values: np.ndarray[Any, Any], contour: np.ndarray[Any, Any]) -> float:
    left, top, width, height = cv2.boundingRect(contour)
    mask = np.zeros((height, width), np.uint8)
    cv2.drawContours(mask, [contour], 0, 1, cv2.FILLED, offset=(-left, -top))
    return cv2.mean(values[top : top + height, left : left + width], mask)[0]
