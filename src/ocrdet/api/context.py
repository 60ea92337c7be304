"""What every request that asks for work passes first, and what it carries from then on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ocrdet.api.body import Body, requested_timeout_ms
from ocrdet.api.record import record_of
from ocrdet.api.service import service_of
from ocrdet.engine.ticket import Ticket

if TYPE_CHECKING:
    from starlette.requests import Request

    from ocrdet.api.record import Record
    from ocrdet.api.service import Service
    from ocrdet.detector import Detector


@dataclass(frozen=True, slots=True)
class RequestContext:
    """One request on its way.

    Attributes:
        service: The process's service.
        detector: The detector that was live when the request came.
        record: What the request leaves behind.
        ticket: Its deadline and cancellation.
    """

    service: Service
    detector: Detector
    record: Record
    ticket: Ticket

    @classmethod
    def enter(cls, request: Request) -> RequestContext:
        """Check the key, that there is a model, and how long the client waits; errors are the answer."""
        service = service_of(request)
        if service.keys is not None:
            service.keys.require(request.headers.get("authorization"))
        detector = service.require_detector()
        timeout_ms = requested_timeout_ms(request.headers, service.limits.request_timeout_ms)
        return cls(service, detector, record_of(request.scope), Ticket(timeout_ms / 1e3))

    def body_of(self, request: Request, limit_bytes: int) -> Body:
        """The request's body, to be read within its limit."""
        stall_s = self.service.limits.body_timeout_ms / 1e3
        return Body(request.receive, self.ticket, limit_bytes=limit_bytes, stall_s=stall_s)
