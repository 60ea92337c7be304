"""W3C trace context."""

from __future__ import annotations

import pytest

from ocrdet.telemetry.tracing import trace_id_of

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"


def test_a_valid_header_names_its_trace() -> None:
    """Whether or not the caller keeps it."""
    assert trace_id_of(f"00-{TRACE}-{SPAN}-01") == trace_id_of(f" 00-{TRACE}-{SPAN}-00 ") == TRACE


def test_a_later_version_may_hold_more_fields() -> None:
    """The standard asks readers to take what they know."""
    assert trace_id_of(f"01-{TRACE}-{SPAN}-00-more") == TRACE


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "nonsense",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE[:-1]}-{SPAN}-01",
    ],
)
def test_anything_else_is_no_trace(value: str | None) -> None:
    """A broken header is ignored, never an error."""
    assert trace_id_of(value) is None
