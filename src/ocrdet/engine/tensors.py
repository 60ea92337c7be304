"""Memory for the model's input: of a lone pass the same again and again, of tiles as long as they last."""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ocrdet.engine.inspection import GraphSpec


class TensorMemory(threading.local):
    """Memory for tensors; each thread has its own, because it waits until its run has ended."""

    def __init__(self, graph: GraphSpec, shapes: Sequence[tuple[int, int]]) -> None:
        """Serve these (H, W); nothing is taken before the first tensor."""
        self._graph = graph
        self._largest = max(height * width for height, width in shapes)
        self._pool: NDArray[np.generic] | None = None

    def new_tensor(self, shape: tuple[int, int], passes: int) -> NDArray[np.generic]:
        """An input of (H, W) pixels for one pass, its values yet to be written.

        Args:
            shape: (H, W), one of those served.
            passes: How many tensors of this image are in use at one time, at most.
        """
        full = self._graph.batch_shape(1, *shape)
        if passes > 1:
            return np.empty(full, self._graph.input.dtype)
        if self._pool is None:
            self._pool = np.empty(3 * self._largest, self._graph.input.dtype)
        return self._pool[: math.prod(full)].reshape(full)
