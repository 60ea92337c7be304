"""What one request leaves behind: its headers out, its metrics and its one log line."""

from __future__ import annotations

import re
import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from starlette.datastructures import Headers

from ocrdet.telemetry.tracing import parse_traceparent

if TYPE_CHECKING:
    from starlette.types import Scope

    from ocrdet.values import Detection, ModelIdentity, Timings

SCOPE_KEY = "ocrdet.record"
_SANE_ID = re.compile(r"[A-Za-z0-9._:@/+=-]{1,128}")


@dataclass(slots=True)
class Record:
    """Facts of one request, filled in as they become known.

    Attributes:
        started: `time.monotonic()` when the request's headers were complete.
        facts: Everything else that belongs in the log line.
    """

    request_id: str
    method: str
    client: str | None
    trace_id: str | None
    started: float = field(default_factory=time.monotonic)
    outcome: str = "ok"
    model: ModelIdentity | None = None
    stages_ms: dict[str, float] = field(default_factory=dict)
    facts: dict[str, object] = field(default_factory=dict)

    @classmethod
    def of_scope(cls, scope: Scope) -> Record:
        """A new record for a request; its id is the client's if that is a sane token."""
        headers = Headers(scope=scope)
        given_id = headers.get("x-request-id", "")
        trace = parse_traceparent(headers.get("traceparent"))
        client = scope.get("client")
        return cls(
            request_id=given_id if _SANE_ID.fullmatch(given_id) else secrets.token_hex(16),
            method=scope["method"],
            client=client[0] if client else None,
            trace_id=trace.trace_id if trace else None,
        )

    def elapsed_s(self) -> float:
        """Seconds since the request began."""
        return time.monotonic() - self.started

    def note_detection(self, detection: Detection) -> None:
        """Keep what the log line says of one image."""
        header = detection.header
        self.model = detection.model
        self.note_stages(detection.timings)
        self.facts |= {
            "width": header.width,
            "height": header.height,
            "format": header.format,
            "regions": len(detection.regions),
        }

    def note_stages(self, timings: Timings) -> None:
        """Add the stages of one image; a batch shows their sums."""
        for stage in ("decode", "queue", "preprocess", "inference", "postprocess"):
            self.stages_ms[stage] = self.stages_ms.get(stage, 0.0) + getattr(timings, stage)

    def server_timing(self) -> str:
        """The stages and the total so far, as a `Server-Timing` header."""
        stages = [f"{stage};dur={ms:.2f}" for stage, ms in self.stages_ms.items()]
        return ", ".join([*stages, f"total;dur={self.elapsed_s() * 1e3:.2f}"])


def record_of(scope: Scope) -> Record:
    """The record that the middleware made for this request."""
    record: Record = scope[SCOPE_KEY]
    return record
