"""What a load has shown: counts and times of the requests that were due within a window of time."""

from __future__ import annotations

import contextlib
import json
import random
import statistics
from bisect import insort
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

# Statuses of requests: those of HTTP as text, and two of our own.
OK = "200"
TIMEOUT = "timeout"
BROKEN = "connection error"
REFUSED = ("429", "503")

# In thousandths, because 0.999 is not exactly a float and ranks must be exact.
PERCENTILES = {"p50": 500, "p90": 900, "p95": 950, "p99": 990, "p99.9": 999}
SAMPLE_SIZE = 256


def needed_samples(name: str) -> int:
    """How many samples it takes until one of them can lie above a percentile of `PERCENTILES`."""
    return -(-1000 // (1000 - PERCENTILES[name]))


def percentile(ordered: Sequence[float], name: str) -> float | None:
    """The least sample that at least this share of all samples does not exceed (nearest rank).

    Args:
        ordered: Samples in ascending order.
        name: A percentile of `PERCENTILES`.

    Returns:
        One of the samples; None where they are too few to tell.
    """
    if len(ordered) < needed_samples(name):
        return None
    return ordered[-(-len(ordered) * PERCENTILES[name] // 1000) - 1]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one request went; all times in seconds since the load began.

    Attributes:
        due_s: When it was to be sent.
        ended_s: When its answer was complete, or it was given up.
        lag_s: By how much the generator alone was late: not what a connection was waited for.
        status: HTTP status as text, `TIMEOUT` or `BROKEN`.
        body: Of the answer; of a broken connection, the reason.
    """

    due_s: float
    ended_s: float
    lag_s: float
    status: str
    body: bytes = b""


class Measurement:
    """Counts and times of the requests that were due from `begin_s` until `end_s`.

    A request is timed from the moment it was due. So whatever it waited for counts, and a server that stalls
    cannot hide the requests that it kept from being sent (coordinated omission; Gil Tene, "How NOT to
    Measure Latency"). Nothing here knows a clock or a thread.

    Attributes:
        begin_s: Start of the window; what is before it is warm-up.
        end_s: Its end.
        sent: Requests that were due in the window and handed over so far.
        statuses: Those of them that have ended, by status.
        first_body: The first body that came with a status other than `OK`, by status.
        latencies_s: From due to ended, ascending: of answers, and of timeouts, which took at least that long.
        refusals_s: The same of each status in `REFUSED`, which says nothing of how fast answers are.
        lags_s: The generator's own lateness, ascending.
        sample: Some of the answers.
    """

    def __init__(self, begin_s: float, end_s: float) -> None:
        """Measure in this window, seconds since the load began."""
        self.begin_s = begin_s
        self.end_s = end_s
        self.sent = 0
        self.statuses: Counter[str] = Counter()
        self.first_body: dict[str, bytes] = {}
        self.latencies_s: list[float] = []
        self.refusals_s: dict[str, list[float]] = {status: [] for status in REFUSED}
        self.lags_s: list[float] = []
        self.sample = AnswerSample(SAMPLE_SIZE)
        self._answered_within = 0

    def note_sent(self, due_s: float) -> None:
        """Count a request that is being sent."""
        self.sent += self._covers(due_s)

    def note(self, outcome: Outcome) -> None:
        """Take a request that has ended."""
        answered = outcome.status == OK
        self._answered_within += answered and self._covers(outcome.ended_s)
        if not self._covers(outcome.due_s):
            return
        self.statuses[outcome.status] += 1
        latency_s = outcome.ended_s - outcome.due_s
        # Inserted in order: percentiles are asked for all the time, and sorting would hold up the senders.
        insort(self.lags_s, outcome.lag_s)
        if answered or outcome.status == TIMEOUT:
            insort(self.latencies_s, latency_s)
        elif outcome.status in REFUSED:
            insort(self.refusals_s[outcome.status], latency_s)
        if answered:
            self.sample.offer(outcome.body)
        else:
            self.first_body.setdefault(outcome.status, outcome.body)

    def cut(self, now_s: float) -> None:
        """End the window early."""
        self.end_s = min(self.end_s, now_s)

    @property
    def seconds(self) -> float:
        """Length of the window."""
        return max(0.0, self.end_s - self.begin_s)

    @property
    def ended(self) -> int:
        """Requests that have ended, in whatever way."""
        return self.statuses.total()

    @property
    def answered(self) -> int:
        """Requests that were answered with `OK`."""
        return self.statuses[OK]

    @property
    def failed(self) -> int:
        """Requests that ended in any other way."""
        return self.ended - self.answered

    def rate(self, now_s: float | None = None) -> float:
        """Answers a second: those that came within the window, also to requests of the warm-up.

        Args:
            now_s: Count until here where the window is not over yet.
        """
        seconds = min(self.end_s, self.end_s if now_s is None else now_s) - self.begin_s
        return self._answered_within / seconds if seconds > 0 else 0.0

    def _covers(self, moment_s: float) -> bool:
        return self.begin_s <= moment_s < self.end_s


class AnswerSample:
    """Some of the answers, each as likely as any other, read only when the load has ended.

    Reading each of them as it comes would take time from the senders and from a server on the same machine.
    The choice is reservoir sampling, algorithm R (Vitter 1985).
    """

    def __init__(self, size: int) -> None:
        """Keep at most this many."""
        self._size = size
        self._seen = 0
        self._bodies: list[bytes] = []
        self._choice = random.Random(0)  # noqa: S311 - a sample, no secret

    def offer(self, body: bytes) -> None:
        """Keep this answer, perhaps."""
        self._seen += 1
        if len(self._bodies) < self._size:
            self._bodies.append(body)
        elif (place := self._choice.randrange(self._seen)) < self._size:
            self._bodies[place] = body

    def medians(self) -> tuple[dict[str, float], float | None, int]:
        """What the server said of its work.

        Returns:
            The median milliseconds of each stage, the median number of regions in an image (None where no
            answer could be read), and how many answers that is of.
        """
        stages: dict[str, list[float]] = {}
        regions: list[int] = []
        for body in self._bodies:
            with contextlib.suppress(ValueError, LookupError, TypeError, AttributeError):  # another's 200
                answer = json.loads(body)
                timings, found = answer["timings_ms"].items(), len(answer["regions"])
                regions.append(found)
                for stage, ms in timings:
                    stages.setdefault(stage, []).append(float(ms))
        medians = {stage: statistics.median(times) for stage, times in stages.items()}
        return medians, statistics.median(regions) if regions else None, len(regions)
