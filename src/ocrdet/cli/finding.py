"""What `ocrdet doctor` says of one thing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's report.

    Attributes:
        name: What was looked at.
        status: ok, warn (it serves, but) or fail (it will not serve).
        detail: What was found and, unless it is ok, what to do.
    """

    name: str
    status: Literal["ok", "warn", "fail"]
    detail: str
