"""The caller's trace, so that a log line can be found from it."""

from __future__ import annotations

import re

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?")


def trace_id_of(traceparent: str | None) -> str | None:
    """The 32 hex digits that a W3C `traceparent` header names its trace by; None where it is invalid."""
    match = _TRACEPARENT.fullmatch(traceparent.strip()) if traceparent else None
    if match is None:
        return None
    version, trace_id, parent_id, more = match.groups()
    # Version ff is forbidden, version 00 has no further fields, and all-zero ids mean "none".
    if version == "ff" or (version == "00" and more) or not int(trace_id, 16) or not int(parent_id, 16):
        return None
    return str(trace_id)
