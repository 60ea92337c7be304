"""A session with buffers of its own, on the CPU in place of a device: what runs there runs here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime as ort
import pytest

from ocrdet.engine import bound_session
from ocrdet.engine.bound_session import GRAPH_KEY, BoundSession
from ocrdet.engine.providers import SessionPlan
from ocrdet.engine.session import OrtSession
from ocrdet.errors import ConfigurationError, DeviceLost, InferenceFailed, ManifestInvalid, OutOfDeviceMemory
from tests.graphs import detector_graph
from tests.unit.engine.pixels import (
    make_manifest,
    make_pixels,
    normalisation_of,
    normalise,
    pixel_detector,
)

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

MANIFEST = make_manifest()
SHAPES = [(1, 64, 32), (2, 64, 32), (1, 32, 96), (4, 32, 32)]


class Pair:
    """A session that takes pixels, and one that takes the tensor."""

    def __init__(self, folder: Path, *, captures: bool = False, **graph: Any) -> None:  # noqa: ANN401 - see there
        """Open both over the same tiny graph."""
        plain, pixels = pixel_detector(folder, MANIFEST, **graph)
        plan = SessionPlan("cpu", cuda_graphs=captures)
        self.bound = BoundSession(pixels, MANIFEST, plan, memory="cpu")
        self.plain = OrtSession(plain, MANIFEST, SessionPlan())
        self._normalization = normalisation_of(MANIFEST, graph.get("layout", "NCHW"))

    def expected(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The maps of the tensor that the host would make of pixels."""
        return self.plain.run(normalise(pixels, self._normalization, self.plain.graph.input.dtype))

    def fill(self, pixels: NDArray[np.uint8]) -> NDArray[np.generic]:
        """These pixels in the session's own memory."""
        batch = self.bound.new_batch(pixels.shape)
        batch[...] = pixels
        return batch


@pytest.mark.parametrize("captures", [False, True], ids=["every run anew", "captured"])
@pytest.mark.parametrize("graph", [{}, {"layout": "NHWC"}, {"rank": 3}, {"channels": 3}], ids=str)
def test_batches_of_several_shapes_by_turns_give_the_maps_of_their_tensors(
    tmp_path: Path, graph: dict[str, Any], captures: bool
) -> None:
    """Each shape has its own buffers, and nothing of the batch before is in them."""
    pair = Pair(tmp_path, captures=captures, **graph)
    assert pair.bound.provider == "CPUExecutionProvider"
    for turn in range(2):
        for count, height, width in SHAPES:
            pixels = make_pixels(count, height, width, seed=turn)
            maps = pair.bound.run(pair.fill(pixels))
            assert maps.shape == (count, height, width)
            assert maps.dtype == np.float32
            np.testing.assert_allclose(maps, pair.expected(pixels), atol=1e-6)
    pair.bound.close()


def test_a_graph_in_half_precision_gives_float_maps(tmp_path: Path) -> None:
    """To the last digit of its own: what goes in is what the host would have made."""
    pair = Pair(tmp_path, half=True)
    pixels = make_pixels(2, 64, 32)
    np.testing.assert_allclose(pair.bound.run(pair.fill(pixels)), pair.expected(pixels), atol=2e-3)


def test_a_batch_of_a_shape_lies_where_the_last_one_lay(tmp_path: Path) -> None:
    """Nothing is allocated while it serves; a smaller shape has its place in the memory of a larger one."""
    bound = Pair(tmp_path).bound
    first = bound.new_batch((2, 64, 32, 3))
    assert first.dtype == np.uint8
    assert bound.new_batch((2, 64, 32, 3)) is first
    assert np.shares_memory(bound.new_batch((1, 64, 32, 3)), first)
    bound.run(first)
    assert bound.new_batch((2, 64, 32, 3)) is first


def test_pixels_from_elsewhere_are_copied_to_where_they_belong(tmp_path: Path) -> None:
    """The warm-up has its own."""
    pair = Pair(tmp_path)
    pixels = make_pixels(2, 64, 32)
    np.testing.assert_allclose(pair.bound.run(pixels), pair.expected(pixels), atol=1e-6)
    np.testing.assert_array_equal(pair.bound.new_batch(pixels.shape), pixels)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_graph_of_one_fixed_batch_size_is_filled_up(tmp_path: Path, count: int) -> None:
    """Fewer images than it wants get fewer maps, and right ones."""
    pair = Pair(tmp_path, dims=(3, 64, 32))
    assert pair.bound.graph.batch_sizes(8) == (3,)
    for seed in (1, 2):
        pixels = make_pixels(count, 64, 32, seed)
        np.testing.assert_allclose(pair.bound.run(pair.fill(pixels)), pair.expected(pixels), atol=1e-6)


def test_what_a_graph_takes_is_told_as_pixels(tmp_path: Path) -> None:
    """The detector's memory and the warm-up go by it."""
    graph = Pair(tmp_path, dims=("n", 64, 32)).bound.graph
    assert graph.takes_pixels
    assert graph.batch_shape(2, 64, 32) == (2, 64, 32, 3)
    assert (graph.static_height, graph.static_width, graph.static_batch) == (64, 32, None)


def test_a_graph_that_was_not_rewritten_is_refused(tmp_path: Path) -> None:
    """It would take a tensor for pixels."""
    with pytest.raises(ManifestInvalid, match="ocrdet:pixels"):
        BoundSession(detector_graph(tmp_path / "tiny.onnx"), MANIFEST, SessionPlan("cpu"), memory="cpu")


def test_a_device_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """Rule 9: nothing falls back to the CPU by itself."""
    _, pixels = pixel_detector(tmp_path, MANIFEST)
    with pytest.raises(ConfigurationError, match=r"OCRDET_DEVICE=cuda needs CUDAExecutionProvider"):
        BoundSession(pixels, MANIFEST, SessionPlan("cuda"))


class Script:
    """An ONNX Runtime session whose runs do what the test says.

    Attributes:
        fails: What runs raise.
        captures: The name of the captured graph of each run.
    """

    def __init__(self, real: ort.InferenceSession) -> None:
        """Run as the real one does."""
        self._real = real
        self.fails: Exception | None = None
        self.captures: list[str] = []

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - those of ONNX Runtime
        """All else is the real one's."""
        return getattr(self._real, name)

    def run_with_iobinding(self, binding: ort.IOBinding, options: ort.RunOptions) -> None:
        """One run."""
        self.captures.append(options.get_run_config_entry(GRAPH_KEY))
        if self.fails is not None:
            raise self.fails
        self._real.run_with_iobinding(binding, options)


def script(session: BoundSession) -> Script:
    """Take a session's runs over."""
    session._session = script = Script(session._session)
    return script


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ("CUDA failure 2: out of memory", OutOfDeviceMemory),
        ("an illegal memory access was encountered", DeviceLost),
        ("something else", InferenceFailed),
    ],
)
@pytest.mark.parametrize("bound", [False, True], ids=["a new shape", "a known shape"])
def test_a_run_that_fails_is_said_in_the_words_of_the_house(
    tmp_path: Path, error: str, kind: type[InferenceFailed], bound: bool
) -> None:
    """The scheduler halves its batches, or gives the device up; the next batch may be all right again."""
    pair = Pair(tmp_path)
    pixels = make_pixels(2, 64, 32)
    if bound:
        pair.bound.run(pixels)
    running = script(pair.bound)
    running.fails = RuntimeError(error)
    with pytest.raises(InferenceFailed) as caught:
        pair.bound.run(pixels)
    assert type(caught.value) is kind
    if not bound:
        with pytest.raises(kind):
            pair.bound.new_batch(pixels.shape)
    running.fails = None
    np.testing.assert_allclose(pair.bound.run(pixels), pair.expected(pixels), atol=1e-6)


def test_each_shape_is_a_captured_graph_of_its_own(tmp_path: Path) -> None:
    """The first run of a shape, for the size of its maps, is not to be captured."""
    bound = Pair(tmp_path, captures=True).bound
    running = script(bound)
    for _ in range(2):
        for count in (1, 2):
            bound.run(make_pixels(count, 32, 32))
    assert running.captures == ["-1", "1", "-1", "2", "1", "2"]


def test_without_capturing_no_run_is_captured(tmp_path: Path) -> None:
    """The provider was not told to."""
    bound = Pair(tmp_path).bound
    running = script(bound)
    bound.run(make_pixels(1, 32, 32))
    assert running.captures == ["-1", "-1"]


class Lock:
    """Counts what is locked and unlocked."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.taken: list[tuple[int, ...]] = []
        self.released = 0

    def allocate(self, shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:  # noqa: ANN401 - whatever numpy takes
        """Ordinary memory."""
        self.taken.append(shape)
        return np.empty(shape, dtype)

    def release(self) -> None:
        """Count it."""
        self.released += 1


def test_input_and_maps_lie_in_locked_memory_until_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of each for a shape, unlocked when the session is closed."""
    lock = Lock()
    monkeypatch.setattr(bound_session, "PageLock", lambda: lock)
    bound = Pair(tmp_path).bound
    for _ in range(2):
        bound.run(make_pixels(2, 64, 32))
    assert lock.taken == [(2 * 64 * 32 * 3,), (2 * 64 * 32 * 4,)]
    assert lock.released == 0
    bound.close()
    assert lock.released == 1
    assert not bound._bindings
