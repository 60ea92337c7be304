"""What a yardstick process does: say `ready`, then run for a moment on each command."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from bench.closed_loop import closed_loop

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

WARM_S = 0.5


def obey(work: Mapping[str, Sequence[Callable[[], object]]]) -> None:
    """Warm everything up, then read lines `WHAT SECONDS` and answer each with one line of JSON.

    Args:
        work: The callers of a closed loop, by what they are called.
    """
    for callers in work.values():
        closed_loop(callers, WARM_S)
    print("ready", flush=True)
    for line in sys.stdin:
        what, seconds = line.split()
        print(json.dumps(closed_loop(work[what], float(seconds))), flush=True)
