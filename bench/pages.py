"""Drawn pages for benchmarks: the same bytes on every machine with the same OpenCV."""

from __future__ import annotations

import cv2
import numpy as np

WORDS = [
    "order",
    "invoice",
    "total",
    "quantity",
    "harbour",
    "copper",
    "wire",
    "terminal",
    "block",
    "delivery",
    "street",
    "number",
    "date",
    "paid",
]


def draw_page(seed: int, width: int = 1600, height: int = 1200, *, quality: int = 90) -> bytes:
    """A JPEG page of text lines on a slightly noisy ground.

    Args:
        seed: Chooses words, sizes and noise.
        width: Pixels.
        height: Pixels.
        quality: JPEG quality; at 90 a 1600x1200 page has about 450 kB, as a phone's scan has.
    """
    random = np.random.default_rng(seed)
    noise = random.normal(0, 5, (height // 2, width // 2, 3)).astype(np.float32)
    ground = 238 + cv2.resize(noise, (width, height), interpolation=cv2.INTER_LINEAR)
    page = np.clip(ground, 0, 255).astype(np.uint8)
    top = height // 20
    while top < height - 40:
        size = float(random.choice([0.7, 0.9, 1.1, 1.6]))
        words = " ".join(random.choice(WORDS, int(random.integers(3, 9))))
        left = int(random.integers(20, max(21, width // 6)))
        cv2.putText(page, words, (left, top), cv2.FONT_HERSHEY_SIMPLEX, size, (30, 30, 30), 2, cv2.LINE_AA)
        top += int(34 * size) + 12
    return cv2.imencode(".jpg", page, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def draw_dense_page(columns: int = 6, rows: int = 50) -> bytes:
    """A JPEG page of 1600x1200 with a number in every cell of a table: 300 regions for a detector."""
    page = np.full((1200, 1600, 3), 240, np.uint8)
    random = np.random.default_rng(0)
    for column in range(columns):
        for row in range(rows):
            place = (30 + column * 1580 // columns, 22 + row * 1190 // rows)
            text = f"{random.integers(10**7, 10**8)}"
            cv2.putText(page, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.5, (30, 30, 30), 1, cv2.LINE_AA)
    return cv2.imencode(".jpg", page, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()
