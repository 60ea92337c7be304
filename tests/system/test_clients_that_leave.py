"""A client that goes away costs no more than it must."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from tests.system.images import draw_page
from tests.system.server import ServerProcess, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CLIENTS = 24
# A few workers are kept busy by the first of them for a good while.
LEFT_QUEUED = 16
LARGE_PNG = draw_page(3000, 2000).file("png")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, small_model: Path) -> Iterator[ServerProcess]:
    """A server that thinks it has two CPUs, however many there are."""
    settings = {"OCRDET_THREADS": "2", "OCRDET_MODEL": str(small_model)}
    with ServerProcess(tmp_path_factory.mktemp("small"), **settings) as server:
        yield server
        assert server.stop() == 0


def test_queued_requests_of_clients_that_left_are_dropped(small: ServerProcess) -> None:
    """Each is counted once, their slots are free, and little more than what had begun was finished."""
    given_up = small.metric("ocrdet_cancelled_total")
    finished = small.metric("ocrdet_regions_per_image_count")
    with contextlib.ExitStack() as stack:
        uploads = [stack.enter_context(small.uploading(LARGE_PNG, len(LARGE_PNG))) for _ in range(CLIENTS)]
        wait_for(lambda: small.metric("ocrdet_inflight_images") >= LEFT_QUEUED, "requests to be admitted")
        for upload in uploads:
            upload.abandon()
    wait_for(small.idle, "all slots to be free")
    given_up = small.metric("ocrdet_cancelled_total") - given_up
    finished = small.metric("ocrdet_regions_per_image_count") - finished
    assert given_up + finished == CLIENTS
    assert given_up > finished
    assert small.detect(draw_page().file("png")).status_code == 200


def test_a_client_that_leaves_during_its_upload_frees_its_slot(small: ServerProcess) -> None:
    """It is counted and logged under its own id."""
    before = small.metric("ocrdet_cancelled_total", stage="body")
    data = draw_page().file("png")
    with small.uploading(data, 100, **{"X-Request-Id": "left-1"}) as upload:
        wait_for(lambda: not small.idle(), "the request to be admitted")
        upload.abandon()
    (line,) = small.log_of("left-1")
    assert line["outcome"] == "client-closed-request"
    assert small.metric("ocrdet_cancelled_total", stage="body") == before + 1
    assert wait_for(small.idle, "the slot to be free")
