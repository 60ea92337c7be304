"""Sends requests when they are due, on as many connections as it takes, and notes how each went."""

from __future__ import annotations

import contextlib
import http.client
import queue
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from ocrdet.lab.measurement import BROKEN, TIMEOUT, Outcome, percentile
from ocrdet.lab.server import read_url

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from ocrdet.lab.measurement import Measurement


@dataclass(frozen=True, slots=True)
class Target:
    """What is sent, and where.

    Attributes:
        url: Where the server listens, as http://127.0.0.1:8000.
        bodies: Images, sent in turn.
        options: Options of `POST /detect` by name.
        api_key: Sent as `Authorization: Bearer`, where the server wants a key.
        timeout_s: Seconds after it was due when a request is given up.
    """

    url: str
    bodies: Sequence[bytes]
    options: Mapping[str, str] = field(default_factory=dict)
    api_key: str | None = None
    timeout_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a load is; counts of the window that is measured.

    Attributes:
        now_s: Seconds since it began; when it is over, at least the end of the window.
        sent: Requests handed over.
        answered: Answered with 200.
        failed: Ended in any other way.
        in_flight: Not ended, also those of the warm-up.
        rate: Answers a second so far.
        p50_s: Median latency, seconds; None where it cannot be told yet.
        p99_s: The same of the 99th percentile.
    """

    now_s: float
    sent: int
    answered: int
    failed: int
    in_flight: int
    rate: float
    p50_s: float | None
    p99_s: float | None


@dataclass(frozen=True, slots=True)
class _Job:
    number: int
    due_s: float
    handed_s: float
    free: bool


class Load:
    """`POST /detect` again and again, each on a kept connection of its own.

    Attributes:
        measurement: Of the requests that were due in its window.
        most_in_flight: The most requests that had not ended at one time.
        waited: Requests that found every connection busy.
        cpu_s: CPU seconds that this process took for it.
    """

    def __init__(self, target: Target, measurement: Measurement, connections: int) -> None:
        """Prepare it; nothing is sent yet.

        Args:
            target: What is sent, and where.
            measurement: Takes how each request went.
            connections: At most so many; what is due while all are busy waits.

        Raises:
            InvalidParameter: The target's URL is none of a server.
        """
        self.measurement = measurement
        self.most_in_flight = 0
        self.waited = 0
        self.cpu_s = 0.0
        self._target = target
        self._connect, prefix = read_url(target.url)
        self._path = f"{prefix}/detect" + (f"?{urlencode(target.options)}" if target.options else "")
        self._headers = {"Content-Type": "application/octet-stream"}
        if target.api_key:
            self._headers["Authorization"] = f"Bearer {target.api_key}"
        self._connections = connections
        self._began = time.perf_counter()
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._senders: list[threading.Thread] = []
        self._in_flight = 0
        self._abandoned = self._over = False
        self._changed = threading.Condition()  # guards every count, and tells that one has ended

    def run(self, due: Iterable[float]) -> bool:
        """Send a request at each moment that is due, then wait for the last answers.

        An interrupt (Ctrl-C) ends the sending, another one the waiting.

        Args:
            due: Seconds since the begin, ascending; `closed_loop` gives those of a closed loop.

        Returns:
            Whether everything was sent and has ended; False after an interrupt.
        """
        cpu_began = time.process_time()
        self._began = time.perf_counter()
        whole = True
        try:
            for number, due_s in enumerate(due):
                time.sleep(max(0.0, due_s - self._now()))
                self._hand_over(number, due_s)
        except KeyboardInterrupt:
            whole = False
            self.measurement.cut(self._now())
        try:
            for _ in self._senders:
                self._jobs.put(None)
            for sender in self._senders:
                sender.join()
        except KeyboardInterrupt:
            whole = False
            with self._changed:
                self._abandoned = True
        self.cpu_s = time.process_time() - cpu_began
        self._over = True
        return whole

    def closed_loop(self, until_s: float) -> Iterator[float]:
        """Yields the present each time that a connection is free: the moments of a closed loop."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._in_flight < self._connections)
            if (now_s := self._now()) >= until_s:
                return
            yield now_s

    def progress(self) -> Progress:
        """How far it is now; for another thread."""
        with self._changed:
            measured = self.measurement
            # The last answer may come before the window's end, where no other request was due.
            now_s = max(self._now(), measured.end_s if self._over else 0.0)
            return Progress(
                now_s=now_s,
                sent=measured.sent,
                answered=measured.answered,
                failed=measured.failed,
                in_flight=self._in_flight,
                rate=measured.rate(now_s),
                p50_s=percentile(measured.latencies_s, "p50"),
                p99_s=percentile(measured.latencies_s, "p99"),
            )

    def _now(self) -> float:
        return time.perf_counter() - self._began

    def _hand_over(self, number: int, due_s: float) -> None:
        with self._changed:
            self.measurement.note_sent(due_s)
            self._in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self._in_flight)
            free = self._in_flight <= self._connections
            self.waited += not free
            wanted = min(self._in_flight, self._connections)
        if wanted > len(self._senders):
            # As daemons they end with the process when they are abandoned.
            sender = threading.Thread(target=self._send_jobs, name="load", daemon=True)
            self._senders.append(sender)
            sender.start()
        self._jobs.put(_Job(number, due_s, self._now(), free))

    def _send_jobs(self) -> None:
        connection = self._connect()
        while (job := self._jobs.get()) is not None:
            # Where all connections were busy, what came after handing over is no lag of the generator.
            lag_s = (self._now() if job.free else job.handed_s) - job.due_s
            status, body = self._exchange(connection, job)
            outcome = Outcome(job.due_s, self._now(), lag_s, status, body)
            with self._changed:
                if self._abandoned:
                    break
                self._in_flight -= 1
                self.measurement.note(outcome)
                self._changed.notify()
        connection.close()

    def _exchange(self, connection: http.client.HTTPConnection, job: _Job) -> tuple[str, bytes]:
        """Status and body of one request; an attempt on a kept connection that was closed is made anew."""
        body = self._target.bodies[job.number % len(self._target.bodies)]
        until_s = job.due_s + self._target.timeout_s
        while True:
            reused = connection.sock is not None
            try:
                return self._ask(connection, body, until_s - self._now())
            except TimeoutError:
                connection.close()
                return TIMEOUT, b""
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                if not (reused and isinstance(error, ConnectionError)):
                    return BROKEN, str(error).encode()

    def _ask(
        self, connection: http.client.HTTPConnection, body: bytes, timeout_s: float
    ) -> tuple[str, bytes]:
        if timeout_s <= 0:
            raise TimeoutError
        connection.timeout = timeout_s
        if connection.sock is None:
            connection.connect()
        connection.sock.settimeout(timeout_s)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            # A refusal may come, and the connection be closed, before all of the image was sent.
            connection.request("POST", self._path, body, self._headers)
        response = connection.getresponse()
        return str(response.status), response.read()
