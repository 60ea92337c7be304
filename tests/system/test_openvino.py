"""The OpenVINO variant, for real: `make test-openvino` sets it up, without it these tests are skipped.

Its distribution overwrites the files of the CPU variant, so it runs in an environment of its own, and these
tests ask its server over HTTP.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from bench.pages import draw_page
from ocrdet.engine.precision import BF16_FLAGS, cpu_flags
from ocrdet.vision.geometry import quad_area, quad_overlap
from tests.system.conftest import write_model
from tests.system.server import ServerProcess, regions_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

COMMAND = Path(__file__).resolve().parents[2] / ".venv-openvino" / "bin" / "ocrdet"
SHAPES = [[320, 320], [320, 640]]

pytestmark = pytest.mark.skipif(not COMMAND.exists(), reason="make test-openvino sets OpenVINO up")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedded model with two small shapes."""
    return write_model(tmp_path_factory.mktemp("model"), shapes=SHAPES)


@pytest.fixture(scope="module")
def pages() -> list[bytes]:
    """Pages of both shapes."""
    return [draw_page(seed, width, 600) for seed, width in enumerate((600, 1200))]


@pytest.fixture(scope="module")
def expected(
    model: Path, pages: list[bytes], tmp_path_factory: pytest.TempPathFactory
) -> list[list[dict[str, Any]]]:
    """What ONNX Runtime's own provider finds."""
    folder = tmp_path_factory.mktemp("cpu")
    with ServerProcess(folder, OCRDET_MODEL=str(model), OCRDET_DEVICE="cpu") as server:
        return [server.found(page)["regions"] for page in pages]


@pytest.fixture(scope="module")
def openvino(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """The server of the variant, as it is by default."""
    folder = tmp_path_factory.mktemp("openvino")
    with ServerProcess(folder, command=[str(COMMAND)], OCRDET_MODEL=str(model)) as server:
        yield server
        assert server.stop() == 0


def overlaps(one: list[dict[str, Any]], other: list[dict[str, Any]]) -> NDArray[np.float64]:
    """The IoU of regions in the same order."""
    a, b = (np.array([region["quad"] for region in regions]) for regions in (one, other))
    common = quad_overlap(a, b)
    ious: NDArray[np.float64] = common / (quad_area(a) + quad_area(b) - common)
    return ious


def test_openvino_is_what_runs(openvino: ServerProcess) -> None:
    """The installed distribution decides, and the answer says so; nothing fell back to the CPU provider."""
    facts = openvino.client.get("/info").json()
    assert (facts["provider"], facts["precision"]) == ("OpenVINOExecutionProvider", "fp32")


def test_in_fp32_it_finds_the_same_regions(
    openvino: ServerProcess, pages: list[bytes], expected: list[list[dict[str, Any]]]
) -> None:
    """At an IoU of 0.99, and scores within a thousandth."""
    for page, regions in zip(pages, expected, strict=True):
        found = openvino.found(page)["regions"]
        assert len(found) == len(regions) > 5
        assert overlaps(found, regions).min() >= 0.99
        for one, other in zip(found, regions, strict=True):
            assert one["score"] == pytest.approx(other["score"], abs=1e-3)


def test_under_load_it_finds_what_it_finds_alone(openvino: ServerProcess, pages: list[bytes]) -> None:
    """Shapes alternate, and no answer is another's."""
    alone = [regions_of(openvino.detect(page)) for page in pages]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda number: regions_of(openvino.detect(pages[number % 2])), range(24)))
    assert answers == [alone[number % 2] for number in range(24)]


@pytest.mark.skipif(not BF16_FLAGS & cpu_flags(), reason="this CPU has no bf16 instructions")
def test_bf16_is_served_where_the_manifest_allows_it_and_finds_the_same_regions(
    model: Path,
    pages: list[bytes],
    expected: list[list[dict[str, Any]]],
    tmp_path: Path,
) -> None:
    """At the IoU of 0.7 that the manifest's agreement speaks of, on these pages for every region."""
    settings = {"OCRDET_MODEL": str(model), "OCRDET_PRECISION": "bf16"}
    with ServerProcess(tmp_path, command=[str(COMMAND)], **settings) as server:
        assert server.client.get("/info").json()["precision"] == "bf16"
        for page, regions in zip(pages, expected, strict=True):
            found = server.found(page)["regions"]
            assert len(found) == len(regions)
            assert overlaps(found, regions).min() >= 0.7
