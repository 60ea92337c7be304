"""What probes, scrapers and operators ask. Nothing here waits: no thread pool, no lock held by work."""

from __future__ import annotations

import dataclasses

from pydantic_core import to_json
from starlette.requests import Request  # FastAPI looks at the handlers' annotations at run time
from starlette.responses import Response

from ocrdet.api.answers import JSON_MEDIA_TYPE
from ocrdet.api.service import service_of
from ocrdet.telemetry.metrics import CONTENT_TYPE

UNAVAILABLE = 503


async def livez(request: Request) -> Response:
    """200 while the process should be left alone, whatever its load."""
    detector = service_of(request).loaded()
    reason = "ok" if detector is None else detector.alive()
    return _json({"status": "ok"}) if reason == "ok" else _error(reason)


async def readyz(request: Request) -> Response:
    """200 only when a request would succeed now; every check by name."""
    checks = service_of(request).checks()
    if failing_check(checks) is None:
        return _json({"status": "ok", "checks": checks})
    return _json({"status": "error", "checks": checks}, UNAVAILABLE)


async def healthz(request: Request) -> Response:
    """Readiness for people and for Nginx: the live model, or why there is none."""
    service = service_of(request)
    reason = failing_check(service.checks())
    detector = service.loaded()
    if reason is not None or detector is None:
        return _error(reason or "model: loading")
    identity = detector.identity
    return _json(
        {"status": "ok", "model": identity.name, "version": identity.version, "provider": identity.provider}
    )


async def metrics(request: Request) -> Response:
    """Prometheus text."""
    return Response(service_of(request).metrics.render(), headers={"Content-Type": CONTENT_TYPE})


async def info(request: Request) -> Response:
    """Versions, provider, threads and limits."""
    service = service_of(request)
    service.require_key(request)
    described = service.require_detector().describe()
    return _json(described | {"limits": dataclasses.asdict(service.limits)})


async def models(request: Request) -> Response:
    """The models of this instance; until models can be changed, the live one."""
    service = service_of(request)
    service.require_key(request)
    detector = service.require_detector()
    live = dataclasses.asdict(detector.identity) | {"sha256": detector.sha256}
    return _json({"live": live, "models": [live]})


def failing_check(checks: dict[str, str]) -> str | None:
    """The first check that is not ok, with its reason."""
    return next((f"{name}: {state}" for name, state in checks.items() if state != "ok"), None)


def _error(reason: str) -> Response:
    return _json({"status": "error", "reason": reason}, UNAVAILABLE)


def _json(content: dict[str, object], status: int = 200) -> Response:
    # A cached health answer would be a lie.
    return Response(to_json(content), status, {"Cache-Control": "no-store"}, media_type=JSON_MEDIA_TYPE)
