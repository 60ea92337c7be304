"""A session without a model whose maps are as odd as a model's could be, and some that none may be."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from ocrdet.engine.inspection import GraphSpec, TensorSpec

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Literal

    from numpy.typing import NDArray

    Map = NDArray[np.float32]
    Grid = tuple[NDArray[np.intp], NDArray[np.intp]]

# As far out of [0, 1] as warming up lets a model go.
ROUNDING = 1e-3


class HostileSession:
    """Answers each run with the map that was chosen for it.

    Attributes:
        family: Which kind of map; the image itself where there are no more kinds.
        seed: Of that map; every run of one image has another.
        finite: Whether all maps since `choose` held numbers only.
        runs: How many there were since then.
    """

    provider = "FuzzExecutionProvider"

    def __init__(self, layout: Literal["NCHW", "NHWC"] = "NCHW") -> None:
        """Take tensors of this layout."""
        image, answer = (TensorSpec(name, (None,) * 4, "tensor(float)") for name in ("x", "map"))
        self.graph = GraphSpec(image, answer, layout, None, None, None)
        self.choose(0, 0, bound=True)

    def choose(self, family: int, seed: int, *, bound: bool) -> None:
        """Decide on the maps to come.

        Args:
            family: Any number.
            seed: Any number.
            bound: Only maps that a model may give: no NaN, no infinity.
        """
        self.family = family % (len(FAMILIES) if bound else len(FAMILIES) + len(BROKEN))
        self.seed = seed
        self.finite, self.runs = True, 0

    def run(self, batch: NDArray[np.generic]) -> Map:
        """See `Session.run`."""
        images = np.asarray(batch, np.float32)
        plane = images[:, 0] if self.graph.layout == "NCHW" else images[..., 0]
        height, width = plane.shape[1:]
        self.runs += 1
        if self.family == 0:
            low, high = float(plane.min()), float(plane.max())
            return np.asarray((plane - low) / ((high - low) or 1.0), np.float32)
        maps = _map(self.family, (self.seed + self.runs) % 4096, height, width)[None].copy()
        self.finite = self.finite and bool(np.isfinite(maps).all())
        return maps

    def new_batch(self, shape: tuple[int, ...]) -> NDArray[np.generic]:
        """See `Session.new_batch`."""
        return np.empty(shape, self.graph.input.dtype)

    def close(self) -> None:
        """Nothing to free."""


@lru_cache(256)
def _map(family: int, seed: int, height: int, width: int) -> Map:
    rng = np.random.default_rng(seed)
    grid = np.mgrid[:height, :width]
    values = (FAMILIES + BROKEN)[family](rng, (grid[0], grid[1]))
    return np.asarray(values, np.float32)


def _image(_: np.random.Generator, grid: Grid) -> NDArray[np.float64]:
    return np.zeros(grid[0].shape)  # the session answers with the image


def _flat(rng: np.random.Generator, grid: Grid) -> NDArray[np.float64]:
    levels = (0.0, 1.0, 0.2, 0.45, 1 + ROUNDING, -ROUNDING, 1e-30, float(np.nextafter(np.float32(0.2), 1)))
    return np.full(grid[0].shape, rng.choice(levels))


def _checkerboard(rng: np.random.Generator, grid: Grid) -> NDArray[np.float64]:
    side = rng.integers(1, 12)
    return ((grid[0] // side + grid[1] // side) % 2).astype(np.float64) * rng.uniform(0.1, 1)


def _stripes(rng: np.random.Generator, grid: Grid) -> NDArray[np.float64]:
    period, tilt = rng.integers(2, 16), rng.uniform(-2, 2, 2)
    within = np.abs(grid[0] * tilt[0] + grid[1] * tilt[1]) % period
    return np.where(within < period * rng.uniform(0.1, 0.9), 1.0, 0.0)


def _noise(rng: np.random.Generator, grid: Grid) -> NDArray[np.float64]:
    return np.asarray(rng.random(grid[0].shape) ** rng.uniform(0.1, 10))


def _rings(rng: np.random.Generator, grid: Grid) -> NDArray[np.float64]:
    shape = grid[0].shape
    y, x = rng.uniform(0, shape[0]), rng.uniform(0, shape[1])
    distance = np.hypot(grid[0] - y, (grid[1] - x) * rng.uniform(0.3, 3))
    return np.where(distance % rng.integers(3, 16) < rng.integers(2, 9), 1.0, 0.0)


def _points(rng: np.random.Generator, grid: Grid) -> NDArray[np.float64]:
    values: NDArray[np.float64] = np.zeros(grid[0].shape)
    count = rng.integers(1, 200)
    values.flat[rng.integers(0, values.size, count)] = rng.random(count)
    return values


def _gradient(rng: np.random.Generator, grid: Grid) -> NDArray[np.float64]:
    values = grid[0] * rng.uniform(-1, 1) + grid[1] * rng.uniform(-1, 1)
    values = values - values.min()
    return np.asarray(values / (values.max() or 1.0))


def _boxes(rng: np.random.Generator, grid: Grid) -> NDArray[np.float64]:
    values: NDArray[np.float64] = np.zeros(grid[0].shape)
    height, width = grid[0].shape[0], grid[0].shape[1]
    for _ in range(rng.integers(1, 60)):
        y, x = rng.integers(0, height), rng.integers(0, width)
        values[y : y + rng.integers(1, 16), x : x + rng.integers(1, 32)] = rng.random()
    return values


def _tiny_boxes(rng: np.random.Generator, grid: Grid) -> NDArray[np.float64]:
    side, gap = rng.integers(2, 6), rng.integers(1, 4)
    on = (grid[0] % (side + gap) < side) & (grid[1] % (side + gap) < side)
    return np.where(on, rng.uniform(0.3, 1 + ROUNDING, grid[0].shape), rng.uniform(-ROUNDING, 0.1))


def _curves(rng: np.random.Generator, grid: Grid) -> NDArray[np.float64]:
    wave = np.sin(grid[1] * rng.uniform(0.02, 0.6)) * rng.uniform(1, 20) + grid[0]
    return np.where(wave % rng.integers(6, 30) < rng.integers(2, 8), rng.uniform(0.2, 1), 0.0)


def _frame(rng: np.random.Generator, grid: Grid) -> NDArray[np.float64]:
    values = np.ones(grid[0].shape) * rng.uniform(0.2, 1)
    inset = rng.integers(1, 14)
    values[inset:-inset, inset:-inset] = rng.choice([0.0, 0.19, 1.0])
    values[2 * inset : -2 * inset, 2 * inset : -2 * inset] = rng.random()
    return values


def _strokes(rng: np.random.Generator, grid: Grid) -> NDArray[np.float64]:
    values: NDArray[np.float64] = np.zeros(grid[0].shape)
    for _ in range(rng.integers(1, 12)):
        y, x, angle = rng.choice(grid[0].ravel()), rng.choice(grid[1].ravel()), rng.uniform(0, np.pi)
        along = (grid[1] - x) * np.cos(angle) + (grid[0] - y) * np.sin(angle)
        across = (grid[0] - y) * np.cos(angle) - (grid[1] - x) * np.sin(angle)
        on = (np.abs(along) < rng.uniform(2, 40)) & (np.abs(across) < rng.uniform(0.4, 6))
        values[on] = np.maximum(values[on], rng.random())
    return values


def _nan(rng: np.random.Generator, grid: Grid) -> NDArray[np.float64]:
    values = _boxes(rng, grid)
    values.flat[rng.integers(0, values.size)] = rng.choice([np.nan, np.inf, -np.inf])
    return values


def _opposite_infinities(rng: np.random.Generator, grid: Grid) -> NDArray[np.float64]:
    values = _noise(rng, grid)
    values.flat[0], values.flat[-1] = np.inf, -np.inf
    return values


FAMILIES: tuple[Callable[[np.random.Generator, Grid], NDArray[np.float64]], ...] = (
    _image,
    _flat,
    _checkerboard,
    _stripes,
    _noise,
    _rings,
    _points,
    _gradient,
    _boxes,
    _tiny_boxes,
    _curves,
    _frame,
    _strokes,
)
BROKEN: tuple[Callable[[np.random.Generator, Grid], NDArray[np.float64]], ...] = (_nan, _opposite_infinities)
