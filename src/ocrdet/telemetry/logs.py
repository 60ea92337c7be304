"""Log lines on standard output: JSON for machines, short lines on a terminal.

A thread of its own writes them, so that a slow reader of standard output never stalls the event loop.
"""

from __future__ import annotations

import atexit
import json
import logging
import queue
import sys
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TextIO

from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Mapping

QUEUE_RECORDS = 10_000
FLUSH_SECONDS = 2.0
# `logger.info("...", extra={FACTS: {...}})` puts the facts beside the message.
FACTS = "facts"
# uvicorn tells at INFO what the lines of ocrdet already say.
QUIET_LOGGERS = ("uvicorn", "uvicorn.error", "uvicorn.access", "asyncio", "PIL")


def configure_logging(
    level: str = "info", log_format: str = "auto", stream: TextIO | None = None
) -> LineWriter:
    """Send everything that is logged in this process to one stream, one line each.

    Args:
        level: Least level logged: debug, info, warning or error.
        log_format: json, console, or auto: console on a terminal, JSON elsewhere.
        stream: Where lines go; standard output if none is given.

    Returns:
        The handler that writes them; `close` writes what is left.
    """
    stream = stream or sys.stdout
    console = log_format == "console" or (log_format == "auto" and stream.isatty())
    writer = LineWriter(stream)
    writer.setFormatter(ConsoleLines() if console else JsonLines())
    root = logging.getLogger()
    for handler in list(root.handlers):
        if isinstance(handler, LineWriter):
            root.removeHandler(handler)
            handler.close()
    root.addHandler(writer)
    root.setLevel(level.upper())
    for name in QUIET_LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
        logger.setLevel(logging.NOTSET if level == "debug" else logging.WARNING)
    logging.captureWarnings(capture=True)
    return writer


class LineWriter(logging.Handler):
    """A handler whose callers never wait: a bounded queue, one thread, dropped lines counted."""

    def __init__(self, stream: TextIO) -> None:
        """Start the writing thread."""
        super().__init__()
        self._stream = stream
        self._records: queue.Queue[logging.LogRecord | None] = queue.Queue(QUEUE_RECORDS)
        self._dropped = 0
        self._closed = False
        self._thread = threading.Thread(target=self._write_all, name="ocrdet-logs", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    @override
    def emit(self, record: logging.LogRecord) -> None:
        """Hand one record to the thread, or count it as dropped."""
        # The message is made here: what its arguments refer to may change before the thread gets there.
        record.message = record.getMessage()
        record.args = None
        record.msg = record.message
        try:
            self._records.put_nowait(record)
        except queue.Full:
            self._dropped += 1

    @override
    def close(self) -> None:
        """Write what is left, for two seconds at most, and stop."""
        atexit.unregister(self.close)
        if not self._closed:
            self._closed = True
            try:
                self._records.put(None, timeout=FLUSH_SECONDS)
            except queue.Full:
                pass  # nobody reads standard output; waiting longer would hold up the exit
            else:
                self._thread.join(FLUSH_SECONDS)
        super().close()

    def _write_all(self) -> None:
        while (record := self._records.get()) is not None:
            try:
                dropped, self._dropped = self._dropped, 0
                if dropped:
                    self._stream.write(self.format(_dropped_record(dropped)) + "\n")
                self._stream.write(self.format(record) + "\n")
                if self._records.empty():
                    self._stream.flush()
            except (OSError, ValueError):
                # The stream is gone, and there is nowhere else to say so.
                continue


def _dropped_record(dropped: int) -> logging.LogRecord:
    message = f"{dropped} log lines were dropped: standard output is read too slowly."
    return logging.LogRecord("ocrdet.telemetry.logs", logging.WARNING, "", 0, message, None, None)


class JsonLines(logging.Formatter):
    """One JSON object per record: time, level, logger, message, then its facts."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        """The record as one line of JSON."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= facts_of(record)
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, separators=(",", ":"), default=str)


class ConsoleLines(logging.Formatter):
    """Time, level, message and facts, for a person at a terminal."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        """The record as one line, with its traceback below if there is one."""
        clock = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S")
        parts = [clock, f"{record.levelname.lower():7}", record.getMessage()]
        parts += [f"{name}={value}" for name, value in facts_of(record).items() if value not in (None, {})]
        # A value may come from a request: no line breaks, no terminal control sequences.
        line = " ".join(
            "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in p) for p in parts
        )
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line


def facts_of(record: logging.LogRecord) -> Mapping[str, object]:
    """What was passed as `extra={"facts": ...}`, or nothing."""
    facts = getattr(record, FACTS, None)
    return facts if isinstance(facts, dict) else {}
