"""The caller's trace, so that a log line can be found from it."""

from __future__ import annotations

import re
from dataclasses import dataclass

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")


@dataclass(frozen=True, slots=True)
class TraceContext:
    """Where this request stands in the caller's trace.

    Attributes:
        trace_id: 32 hex digits, the same for everything the trace holds.
        parent_id: 16 hex digits, the caller's own span.
        sampled: Whether the caller keeps this trace.
    """

    trace_id: str
    parent_id: str
    sampled: bool


def parse_traceparent(value: str | None) -> TraceContext | None:
    """The trace that a W3C `traceparent` header names; None where it is absent or invalid."""
    match = _TRACEPARENT.fullmatch(value.strip()) if value else None
    if match is None:
        return None
    version, trace_id, parent_id, flags, more = match.groups()
    # Version ff is forbidden, version 00 has no further fields, and all-zero ids mean "none".
    if version == "ff" or (version == "00" and more) or not int(trace_id, 16) or not int(parent_id, 16):
        return None
    return TraceContext(trace_id, parent_id, bool(int(flags, 16) & 1))
