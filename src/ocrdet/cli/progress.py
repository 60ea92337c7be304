"""A bar on standard error for commands that take many images."""

from __future__ import annotations

import sys

BAR_WIDTH = 30
LINE_WIDTH = 79


def show_progress(done: int, total: int, failed: int, elapsed_s: float) -> None:
    """Draw how far it is, where a person sees it; nothing for a single image.

    Args:
        done: Images so far.
        total: Images to do.
        failed: Those of `done` that failed.
        elapsed_s: Seconds so far.
    """
    if total == 1 or not sys.stderr.isatty():
        return
    bar = "#" * (BAR_WIDTH * done // total)
    left_s = elapsed_s / done * (total - done)
    failures = f", {failed} failed" if failed else ""
    line = f"[{bar:.<{BAR_WIDTH}}] {done}/{total}, {done / elapsed_s:.1f}/s, {left_s:.0f} s left{failures}"
    rewrite_line(line, last=done == total)


def rewrite_line(line: str, *, last: bool) -> None:
    """Put a line in place of the one before, on standard error.

    Args:
        line: At most 79 characters, so that it does not wrap; what is longer is cut.
        last: Whether the next output begins on a line of its own.
    """
    # Blanks at the end wipe out what a longer line left behind.
    sys.stderr.write(f"\r{line[:LINE_WIDTH]:<{LINE_WIDTH}}" + ("\n" if last else ""))
    sys.stderr.flush()
