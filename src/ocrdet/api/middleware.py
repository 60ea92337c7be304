"""Around every request: its id, its time, its headers, its metrics, one log line; a last net for errors."""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response

from ocrdet.api.problems import INTERNAL, MEDIA_TYPE, problem_of
from ocrdet.errors import Draining
from ocrdet.telemetry.logs import FACTS
from ocrdet.telemetry.metrics import OTHER
from ocrdet.telemetry.tracing import trace_id_of

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from ocrdet.api.problems import Problem
    from ocrdet.api.service import Service
    from ocrdet.telemetry.metrics import Metrics
    from ocrdet.values import Detection, ModelIdentity, Timings

logger = logging.getLogger(__name__)

# Probes and scrapers come every few seconds; while they get a 200 they are told at debug level only.
QUIET_ROUTES = frozenset({"/livez", "/readyz", "/healthz", "/metrics"})
SUCCESS = 200
UNAVAILABLE = 503
SCOPE_KEY = "ocrdet.record"
_SANE_ID = re.compile(r"[A-Za-z0-9._:@/+=-]{1,128}")


@dataclass(slots=True)
class Record:
    """What one request leaves behind, filled in as it becomes known.

    Attributes:
        request_id: The client's own if that is a sane token, else a new one.
        started: `time.monotonic()` when the request's headers were complete.
        outcome: `ok`, or the problem's name.
        model: The model that answered.
        stages_ms: Time per stage; a batch shows the sums of its images.
        facts: Everything else that belongs in the log line.
    """

    request_id: str
    started: float = field(default_factory=time.monotonic)
    outcome: str = "ok"
    model: ModelIdentity | None = None
    stages_ms: dict[str, float] = field(default_factory=dict)
    facts: dict[str, object] = field(default_factory=dict)

    @classmethod
    def of_scope(cls, scope: Scope) -> Record:
        """A new record for a request."""
        headers = Headers(scope=scope)
        given_id = headers.get("x-request-id", "")
        client = scope.get("client")
        record = cls(given_id if _SANE_ID.fullmatch(given_id) else secrets.token_hex(16))
        record.facts["client"] = client[0] if client else None
        record.facts["trace_id"] = trace_id_of(headers.get("traceparent"))
        return record

    def elapsed_ms(self) -> float:
        """Milliseconds since the request began."""
        return (time.monotonic() - self.started) * 1e3

    def note_detection(self, detection: Detection) -> None:
        """Keep what the log line says of one image."""
        header = detection.header
        self.note_stages(detection.model, detection.timings)
        self.facts |= {
            "width": header.width,
            "height": header.height,
            "format": header.format,
            "regions": len(detection.regions),
        }

    def note_stages(self, model: ModelIdentity, timings: Timings) -> None:
        """Add the model and the stages of one image."""
        self.model = model
        for stage in ("decode", "queue", "preprocess", "inference", "postprocess"):
            self.stages_ms[stage] = self.stages_ms.get(stage, 0.0) + getattr(timings, stage)

    def server_timing(self) -> str:
        """The stages and the total so far, as a `Server-Timing` header."""
        stages = [f"{stage};dur={ms:.2f}" for stage, ms in self.stages_ms.items()]
        return ", ".join([*stages, f"total;dur={self.elapsed_ms():.2f}"])


def record_of(scope: Scope) -> Record:
    """The record that the middleware made for this request."""
    record: Record = scope[SCOPE_KEY]
    return record


def told_problem(error: Exception, record: Record, metrics: Metrics) -> Problem:
    """What a client is told of an error; the error is counted, and logged where only the log may know."""
    problem = problem_of(error)
    metrics.count_rejected(problem.kind.slug)
    if problem.kind.status == INTERNAL.status:
        message = f"{type(error).__name__}: {error}"
        logger.error(message, exc_info=error, extra={FACTS: {"request_id": record.request_id}})
    return problem


def problem_response(problem: Problem, record: Record) -> Response:
    """A problem as the answer to one request."""
    record.outcome = problem.kind.slug
    return Response(
        problem.body(record.request_id), problem.kind.status, dict(problem.headers), media_type=MEDIA_TYPE
    )


class Observed:
    """ASGI middleware that makes the request's record and turns it into headers, metrics and a log line."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        """Wrap an application."""
        self._app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        record = scope[SCOPE_KEY] = Record.of_scope(scope)
        status = 0

        async def send_marked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                self._mark(message, record)
            await send(message)

        try:
            problem = await self._answer(scope, receive, send_marked, record)
            if problem is not None and status == 0:
                await problem_response(problem, record)(scope, receive, send_marked)
        finally:
            self._finish(scope, record, status)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, record: Record) -> Problem | None:
        """The problem to answer with where the application itself did not."""
        try:
            await self._app(scope, receive, send)
        except asyncio.CancelledError:
            # The server gives up on what is left when its drain time is over; saying so comes last.
            problem = problem_of(
                Draining(
                    "This instance shut down before it was done; send the request again.", retry_after_s=1
                )
            )
        except Exception as error:  # noqa: BLE001 - the last net
            problem = told_problem(error, record, self._service.metrics)
        else:
            return None
        record.outcome = problem.kind.slug
        return problem

    def _mark(self, message: Message, record: Record) -> None:
        headers = MutableHeaders(scope=message)
        headers["X-Request-Id"] = record.request_id
        headers["Server-Timing"] = record.server_timing()
        detector = self._service.loaded()
        model = record.model or (detector.identity if detector else None)
        if model is not None:
            headers["X-Model-Version"] = f"{model.name}/{model.version}"

    def _finish(self, scope: Scope, record: Record, status: int) -> None:
        route = getattr(scope.get("route"), "path", OTHER)
        elapsed_ms = record.elapsed_ms()
        self._service.metrics.count_request(route, status, elapsed_ms / 1e3)
        quiet = route in QUIET_ROUTES and status == SUCCESS
        level = logging.DEBUG if quiet else logging.ERROR if status == INTERNAL.status else logging.INFO
        facts: dict[str, object] = {
            "request_id": record.request_id,
            "method": scope["method"],
            "route": route,
            "status": status,
            "outcome": "unavailable" if status == UNAVAILABLE and record.outcome == "ok" else record.outcome,
            "model": f"{record.model.name}/{record.model.version}" if record.model else None,
            "stages_ms": {stage: round(ms, 2) for stage, ms in record.stages_ms.items()},
            "total_ms": round(elapsed_ms, 2),
        }
        logger.log(level, "request", extra={FACTS: facts | record.facts})
