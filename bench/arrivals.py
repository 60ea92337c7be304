"""The server in the open: requests come at a fixed rate, whether or not earlier ones were answered.

    python -m bench.arrivals [--seconds 15]

The rates are parts of the capacity, which a closed loop of 8 callers finds on the same server just before.
Times count from the moment that a request was due. The server admits 16 images at a time instead of 64, so
that what is too much is refused within the seconds measured here.
"""

from __future__ import annotations

import argparse
import http.client
import json
import sys
from typing import TYPE_CHECKING, Any

from bench.pages import draw_page
from bench.posting import load
from bench.processes import server
from bench.rounds import percentile
from ocrdet.lab.arrivals import constant_arrivals
from ocrdet.lab.load import Load, Target
from ocrdet.lab.measurement import Measurement

if TYPE_CHECKING:
    from collections.abc import Sequence

SHARES = (0.5, 0.8, 0.95, 1.2)
BUSY = 8
ADMITTED = 16
PAGES = 8
WARM_UP_S = 5.0
CONNECTIONS = 64
REFUSED = str(int(http.client.TOO_MANY_REQUESTS))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=15.0)
    print(json.dumps(measure_arrivals(parser.parse_args().seconds), indent=1))


def measure_arrivals(seconds: float) -> dict[str, Any]:
    """The capacity, and of every rate what became of the requests."""
    pages = [draw_page(seed) for seed in range(PAGES)]
    with server(OCRDET_MAX_INFLIGHT_IMAGES=str(ADMITTED)) as (port, _):
        capacity = load(port, pages, BUSY, min(seconds, 8.0))["per_second"]
        rows = [_offer(port, pages, share, share * capacity, seconds) for share in SHARES]
    return {"capacity_per_second": round(capacity, 2), "admitted": ADMITTED, "rates": rows}


def _offer(port: int, pages: Sequence[bytes], share: float, rate: float, seconds: float) -> dict[str, Any]:
    warm_up_s = min(WARM_UP_S, seconds)
    measured = Measurement(warm_up_s, warm_up_s + seconds)
    generator = Load(Target(f"http://127.0.0.1:{port}", pages), measured, CONNECTIONS)
    generator.run(constant_arrivals(rate, warm_up_s + seconds))
    figures = {
        "share": share,
        "offered_per_second": round(rate, 2),
        "answered_per_second": round(measured.rate(), 2),
        "due": measured.sent,
        "answered": measured.answered,
        "refused": measured.statuses[REFUSED],
        "failed": measured.failed - measured.statuses[REFUSED],
        "p50_ms": _ms(measured.latencies_s, 0.5),
        "p99_ms": _ms(measured.latencies_s, 0.99),
        "refused_p50_ms": _ms(measured.refusals_s[REFUSED], 0.5),
        "late_p99_ms": _ms(measured.lags_s, 0.99),
    }
    print(f"  {share:.0%}: {figures}", file=sys.stderr, flush=True)
    return figures


def _ms(ordered_s: Sequence[float], share: float) -> float | None:
    return round(1e3 * percentile(ordered_s, share), 2) if ordered_s else None


if __name__ == "__main__":
    main()
