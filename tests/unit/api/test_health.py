"""Probes and information."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from ocrdet.errors import ManifestInvalid
from tests.fakes import PATIENCE_S, FakeDetector, client_of, make_app, running

if TYPE_CHECKING:
    from tests.fakes import Client

import httpx


def statuses(client: Client) -> list[int]:
    """Of the three probes."""
    return [client.get(path).status_code for path in ("/livez", "/readyz", "/healthz")]


def test_a_ready_service_says_so_everywhere() -> None:
    """Health names the live model truthfully."""
    with client_of(make_app(FakeDetector())) as client:
        assert statuses(client) == [200, 200, 200]
        assert client.get("/healthz").json() == {
            "status": "ok",
            "model": "fake",
            "version": "1.0",
            "provider": "CPUExecutionProvider",
        }
        assert client.get("/readyz").json()["checks"] == {"model": "ok", "device": "ok", "shutdown": "ok"}


def test_a_failing_check_is_named_and_leaves_the_process_alone() -> None:
    """Readiness says no; liveness would have the process killed."""
    detector = FakeDetector()
    detector.state["device"] = "out of memory twice"
    with client_of(make_app(detector)) as client:
        assert statuses(client) == [200, 503, 503]
        assert client.get("/readyz").json()["checks"]["device"] == "out of memory twice"
        assert client.get("/healthz").json() == {"status": "error", "reason": "device: out of memory twice"}


def test_an_engine_that_makes_no_progress_is_not_alive() -> None:
    """The one thing that only a new process mends."""
    detector = FakeDetector()
    detector.heartbeat = "lane 0 has not moved for 60 s"
    with client_of(make_app(detector)) as client:
        response = client.get("/livez")
        assert (response.status_code, response.json()["reason"]) == (503, "lane 0 has not moved for 60 s")


def test_a_full_queue_changes_neither_readiness_nor_liveness() -> None:
    """Load is no illness."""
    detector = FakeDetector(max_images=1)
    with client_of(make_app(detector)) as client:
        slot = detector.gate.admit(size_bytes=1)
        assert client.post("/detect", content=b"x").status_code == 429
        assert statuses(client) == [200, 200, 200]
        slot.release()


def test_while_the_model_loads_the_process_lives_but_is_not_ready() -> None:
    """And work is refused with the time after which to come back."""
    loaded = threading.Event()

    def load() -> FakeDetector:
        assert loaded.wait(PATIENCE_S)
        return FakeDetector()

    app = make_app(load)
    app.state.service.settled.set()
    with running(app) as live:
        assert httpx.get(f"{live.url}/livez").status_code == 200
        assert httpx.get(f"{live.url}/readyz").json()["checks"]["model"] == "loading"
        refused = httpx.post(f"{live.url}/detect", content=b"x")
        assert (refused.status_code, refused.json()["type"]) == (503, "urn:ocrdet:problem:not-ready")
        assert int(refused.headers["retry-after"]) > 0
        app.state.service.settled.clear()
        loaded.set()
        assert app.state.service.settled.wait(PATIENCE_S)
        assert httpx.get(f"{live.url}/readyz").status_code == 200


def test_a_model_that_cannot_be_loaded_ends_the_server_with_exit_code_1() -> None:
    """A supervisor sees it, and nobody is left waiting for a model that never comes."""

    def load() -> FakeDetector:
        raise ManifestInvalid("manifest.json names no preset.")

    with running(make_app(load)) as live:
        assert live.join() == 1


def test_health_answers_have_no_memory() -> None:
    """A cache between prober and service must not keep them."""
    with client_of(make_app(FakeDetector())) as client:
        for path in ("/livez", "/readyz", "/healthz"):
            assert client.get(path).headers["cache-control"] == "no-store"
            assert client.request("HEAD", path).status_code == 200


def test_info_tells_limits_and_provider() -> None:
    """What an operator asks first."""
    with client_of(make_app(FakeDetector(), max_batch_images=7)) as client:
        info = client.get("/info").json()
        assert info["limits"]["max_batch_images"] == 7
        assert info["provider"] == "CPUExecutionProvider"
        assert client.get("/models").json()["live"]["name"] == "fake"


def test_documents_are_off_unless_asked_for() -> None:
    """An instance does not describe itself to everybody."""
    with client_of(make_app(FakeDetector())) as client:
        for path in ("/docs", "/openapi.json", "/redoc"):
            assert client.get(path).json()["type"] == "urn:ocrdet:problem:not-found"
    with client_of(make_app(FakeDetector(), api_docs=True)) as client:
        assert client.get("/openapi.json").json()["info"]["title"] == "ocrdet"
        assert client.get("/docs").status_code == 200
