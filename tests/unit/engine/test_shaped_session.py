"""OpenVINO's sessions, one for each shape, with the CPU's in their place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ocrdet.engine import shaped_session
from ocrdet.engine.providers import SessionPlan
from ocrdet.engine.session import OrtSession
from ocrdet.engine.shaped_session import ShapedSession
from ocrdet.errors import ManifestInvalid
from tests.graphs import detector_graph, recogniser_graph
from tests.unit.engine.pixels import make_manifest

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from ocrdet.engine.manifest import Manifest

MANIFEST = make_manifest(shapes=[[64, 64], [64, 32], [32, 64]])
PLAN = SessionPlan("openvino", threads=4, lanes=2, precision="bf16")


class Session:
    """A session on the CPU for any plan, which refuses every shape but the one it was made for.

    Attributes:
        made: All of them, in order.
        plan: What was asked for.
        plain: The session that really runs.
        closed: Whether it was closed.
        runs: How often it ran.
    """

    made: list[Session]

    def __init__(self, path: Path, manifest: Manifest, plan: SessionPlan) -> None:
        """Remember the plan."""
        self.made.append(self)
        self.plan = plan
        self.plain = OrtSession(path, manifest, SessionPlan())
        self.graph, self.new_batch = self.plain.graph, self.plain.new_batch
        self.provider = f"{plan.device}Provider"
        self.closed = False
        self.runs = 0

    def run(self, batch: NDArray[np.generic]) -> NDArray[np.float32]:
        """As OpenVINO would, compiled for one shape."""
        shape = (self.graph.static_batch or 1, *batch.shape[1:])
        assert self.plan.input_shape == f"{self.graph.input.name}[{','.join(map(str, shape))}]"
        self.runs += 1
        return self.plain.run(batch)

    def close(self) -> None:
        """Remember it."""
        self.closed = True


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Session]:
    """The sessions that are made."""
    made: list[Session] = []
    monkeypatch.setattr(Session, "made", made, raising=False)
    monkeypatch.setattr(shaped_session, "OrtSession", Session)
    return made


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_a_graph_is_compiled_for_every_shape_of_its_manifest(
    tmp_path: Path,
    made: list[Session],
    layout: Any,  # noqa: ANN401 - a Literal
) -> None:
    """By its input's name and axis order; what it says of itself is asked on the CPU."""
    path = detector_graph(tmp_path / "tiny.onnx", names=("image", "map"), layout=layout)
    ShapedSession(path, MANIFEST, PLAN)
    asked, *shaped = made
    assert asked.plan == SessionPlan()
    assert asked.closed
    sides = [(64, 64), (64, 32), (32, 64)]
    texts = [
        f"1,3,{height},{width}" if layout == "NCHW" else f"1,{height},{width},3" for height, width in sides
    ]
    assert [session.plan.input_shape for session in shaped] == [f"image[{text}]" for text in texts]
    for session in shaped:
        assert (session.plan.device, session.plan.threads, session.plan.lanes) == ("openvino", 4, 2)
        assert session.plan.precision == "bf16"


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_each_image_runs_where_its_shape_was_compiled(
    tmp_path: Path,
    made: list[Session],
    layout: Any,  # noqa: ANN401 - a Literal
) -> None:
    """And gets its own map."""
    path = detector_graph(tmp_path / "tiny.onnx", layout=layout)
    session = ShapedSession(path, MANIFEST, PLAN)
    for number, (height, width) in enumerate([(32, 64), (64, 64), (32, 64), (64, 32)]):
        batch = session.new_batch(session.graph.batch_shape(1, height, width))
        assert batch.dtype == np.float32
        batch[...] = np.random.default_rng(number).standard_normal(batch.shape)
        maps = session.run(batch)
        assert maps.shape == (1, height, width)
        np.testing.assert_array_equal(maps, made[0].plain.run(batch))
    assert [each.runs for each in made[1:]] == [1, 1, 2]


def test_a_static_graph_is_compiled_for_its_own_shape_and_batch(tmp_path: Path, made: list[Session]) -> None:
    """Its other images are filled in."""
    session = ShapedSession(detector_graph(tmp_path / "tiny.onnx", dims=(2, 96, 32)), MANIFEST, PLAN)
    assert [each.plan.input_shape for each in made[1:]] == ["x[2,3,96,32]"]
    assert session.run(np.zeros((1, 3, 96, 32), np.float32)).shape == (1, 96, 32)


def test_it_says_where_it_runs_and_what_it_takes(tmp_path: Path, made: list[Session]) -> None:
    """The provider is OpenVINO's; the sides are those of the graph, still open."""
    session = ShapedSession(detector_graph(tmp_path / "tiny.onnx"), MANIFEST, PLAN)
    assert session.provider == "openvinoProvider"
    assert session.graph == made[0].graph
    assert session.graph.static_height is None


def test_a_graph_that_is_no_detector_is_refused_before_anything_is_compiled(
    tmp_path: Path, made: list[Session]
) -> None:
    """Compiling takes seconds for each shape."""
    with pytest.raises(ManifestInvalid, match="a text recogniser"):
        ShapedSession(recogniser_graph(tmp_path / "tiny.onnx"), MANIFEST, PLAN)
    assert [each.plan for each in made] == [SessionPlan()]


def test_all_of_them_are_closed_together(tmp_path: Path, made: list[Session]) -> None:
    """None is left over."""
    session = ShapedSession(detector_graph(tmp_path / "tiny.onnx"), MANIFEST, PLAN)
    session.close()
    assert all(each.closed for each in made)
