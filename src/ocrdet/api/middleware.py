"""Around every request: its id, its time, its headers, its metrics, one log line; a last net for errors."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from starlette.datastructures import MutableHeaders
from starlette.responses import Response

from ocrdet.api.problems import INTERNAL, MEDIA_TYPE, problem_of
from ocrdet.api.record import SCOPE_KEY, Record
from ocrdet.errors import Draining
from ocrdet.telemetry.logs import FACTS
from ocrdet.telemetry.metrics import OTHER

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from ocrdet.api.problems import Problem
    from ocrdet.api.service import Service

logger = logging.getLogger(__name__)

# Probes and scrapers come every few seconds; while they get a 200 they are told at debug level only.
QUIET_ROUTES = frozenset({"/livez", "/readyz", "/healthz", "/metrics"})
SUCCESS = 200
UNAVAILABLE = 503


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
        except Exception:
            logger.exception("A bug: unexpected error", extra={FACTS: {"request_id": record.request_id}})
            problem = problem_of(Exception())
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
        self._service.metrics.count_request(route, status, record.elapsed_s())
        quiet = route in QUIET_ROUTES and status == SUCCESS
        level = logging.DEBUG if quiet else logging.ERROR if status == INTERNAL.status else logging.INFO
        if not logger.isEnabledFor(level):
            return
        facts: dict[str, object] = {
            "request_id": record.request_id,
            "method": record.method,
            "route": route,
            "status": status,
            "outcome": "unavailable" if status == UNAVAILABLE and record.outcome == "ok" else record.outcome,
            "client": record.client,
            "trace_id": record.trace_id,
            "model": f"{record.model.name}/{record.model.version}" if record.model else None,
            "stages_ms": {stage: round(ms, 2) for stage, ms in record.stages_ms.items()},
            "total_ms": round(record.elapsed_s() * 1e3, 2),
        }
        logger.log(level, "request", extra={FACTS: facts | record.facts})


def problem_response(problem: Problem, record: Record) -> Response:
    """A problem as the answer to one request."""
    record.outcome = problem.kind.slug
    return Response(
        problem.body(record.request_id), problem.kind.status, dict(problem.headers), media_type=MEDIA_TYPE
    )
