"""Log lines."""

from __future__ import annotations

import io
import json
import logging
import threading
from typing import TYPE_CHECKING

import pytest
from typing_extensions import override

from ocrdet.telemetry.logs import FACTS, QUIET_LOGGERS, configure_logging

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def restored_logging() -> Iterator[None]:
    """Logging is the process's own; each test leaves it as it was."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    levels = {name: logging.getLogger(name).level for name in QUIET_LOGGERS}
    yield
    for handler in set(root.handlers) - set(handlers):
        root.removeHandler(handler)
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, was in levels.items():
        logging.getLogger(name).setLevel(was)
    logging.captureWarnings(capture=False)


def test_a_record_is_one_line_of_json_with_its_facts() -> None:
    """Machines read one object per line; text stays readable."""
    stream = io.StringIO()
    writer = configure_logging("info", "json", stream)
    logging.getLogger("ocrdet.test").info("took %d", 3, extra={FACTS: {"route": "/detect", "name": "票\n据"}})
    writer.close()
    (text,) = stream.getvalue().splitlines()
    line = json.loads(text)
    assert line["message"] == "took 3"
    assert line["level"] == "info"
    assert line["route"] == "/detect"
    assert line["name"] == "票\n据"
    assert line["time"].endswith("+00:00")


def test_an_exception_stays_inside_its_line() -> None:
    """A traceback must not break line-by-line readers."""
    stream = io.StringIO()
    writer = configure_logging("info", "json", stream)
    try:
        int("broken")
    except ValueError:
        logging.getLogger("ocrdet.test").exception("failed")
    writer.close()
    (text,) = stream.getvalue().splitlines()
    assert "ValueError: invalid literal" in json.loads(text)["exception"]


def test_console_lines_hide_control_characters() -> None:
    """What a client sends cannot steer the operator's terminal or fake a line."""
    stream = io.StringIO()
    writer = configure_logging("info", "console", stream)
    logging.getLogger("ocrdet.test").info("hello", extra={FACTS: {"id": "a\x1b[31m\nb", "empty": None}})
    writer.close()
    (line,) = stream.getvalue().splitlines()
    assert "\x1b" not in line
    assert "hello" in line
    assert "empty" not in line


def test_auto_is_json_where_there_is_no_terminal() -> None:
    """Containers and service managers get JSON without being asked."""
    stream = io.StringIO()
    writer = configure_logging("info", "auto", stream)
    logging.getLogger("ocrdet.test").info("x")
    writer.close()
    assert json.loads(stream.getvalue())["message"] == "x"


def test_auto_is_console_on_a_terminal() -> None:
    """A person gets lines to read."""

    class Terminal(io.StringIO):
        @override
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    writer = configure_logging("info", "auto", stream)
    logging.getLogger("ocrdet.test").info("hello there")
    writer.close()
    assert not stream.getvalue().startswith("{")


def test_uvicorn_speaks_through_the_same_stream_and_only_when_it_matters() -> None:
    """Its start-up chatter is left out, its warnings are not."""
    stream = io.StringIO()
    writer = configure_logging("info", "json", stream)
    logging.getLogger("uvicorn.error").info("chatter")
    logging.getLogger("uvicorn.error").warning("matters")
    writer.close()
    assert [json.loads(line)["message"] for line in stream.getvalue().splitlines()] == ["matters"]


def test_configuring_again_does_not_double_lines() -> None:
    """The last configuration is the only one."""
    first, second = io.StringIO(), io.StringIO()
    configure_logging("info", "json", first)
    writer = configure_logging("info", "json", second)
    logging.getLogger("ocrdet.test").info("once")
    writer.close()
    assert first.getvalue() == ""
    assert len(second.getvalue().splitlines()) == 1


def test_a_stream_that_nobody_reads_does_not_hold_up_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines beyond the queue are dropped and counted; logging itself never waits."""
    monkeypatch.setattr("ocrdet.telemetry.logs.QUEUE_RECORDS", 4)
    reading, stuck = threading.Event(), threading.Event()

    class Slow(io.StringIO):
        @override
        def write(self, text: str) -> int:
            stuck.set()
            assert reading.wait(10)
            return super().write(text)

    stream = Slow()
    writer = configure_logging("info", "json", stream)
    logger = logging.getLogger("ocrdet.test")
    logger.info("first")
    assert stuck.wait(10)
    for _ in range(10):
        logger.info("more")
    reading.set()
    writer.close()
    messages = [json.loads(line)["message"] for line in stream.getvalue().splitlines()]
    assert messages.count("more") == 4
    assert any("6 log lines were dropped" in message for message in messages)
