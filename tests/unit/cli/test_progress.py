"""The bar that a person watches while many images are detected."""

from __future__ import annotations

import io
import sys

import pytest
from typing_extensions import override

from ocrdet.cli.progress import show_progress


class Terminal(io.StringIO):
    """A stream that somebody looks at."""

    @override
    def isatty(self) -> bool:
        """Yes."""
        return True


def shown(monkeypatch: pytest.MonkeyPatch, error: io.StringIO, *args: float) -> str:
    """What is written to standard error."""
    monkeypatch.setattr(sys, "stderr", error)
    done, total, failed, elapsed_s = args
    show_progress(int(done), int(total), int(failed), elapsed_s)
    return error.getvalue()


def test_a_bar_tells_how_far_how_fast_and_how_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """A third done in five seconds leaves ten."""
    line = shown(monkeypatch, Terminal(), 10, 30, 2, 5.0)
    assert line.strip() == "[##########....................] 10/30, 2.0/s, 10 s left, 2 failed"
    assert not line.endswith("\n")


def test_the_last_image_ends_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """The prompt comes back on a line of its own."""
    assert shown(monkeypatch, Terminal(), 3, 3, 0, 1.0).endswith("\n")


def test_nothing_is_drawn_into_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody watches, standard error holds messages alone."""
    assert shown(monkeypatch, io.StringIO(), 1, 30, 0, 1.0) == ""


def test_a_single_image_has_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is done or not."""
    assert shown(monkeypatch, Terminal(), 1, 1, 0, 1.0) == ""
