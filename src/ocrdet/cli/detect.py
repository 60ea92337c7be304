"""`ocrdet detect`: files in, JSON Lines out."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from ocrdet.api.options import OPTIONS, read_options
from ocrdet.cli.sources import find_sources
from ocrdet.settings import Settings

if TYPE_CHECKING:
    from argparse import Namespace, _SubParsersAction

# What the command line leaves to other means: here pictures are drawn with --draw.
NO_FLAG = "output"
BAR_WIDTH = 30


def add_command(commands: _SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `detect` to the commands."""
    parser = commands.add_parser(
        "detect",
        help="find the text regions of files",
        description="Writes one JSON object per image to standard output: the answer of POST /detect with "
        "the image's path, or its problem. Settings are read from the environment, as by serve.",
        epilog="Exit status: 0 all done, 1 some image failed, 2 wrong usage or configuration.",
    )
    parser.add_argument(
        "paths",
        nargs="+",
        metavar="PATH",
        help="file, folder (with all below it), glob pattern, or - for stdin",
    )
    parser.add_argument(
        "--draw", type=Path, metavar="DIR", help="write the images with their regions drawn to here"
    )
    parser.add_argument(
        "--jobs",
        type=_positive,
        metavar="N",
        help="images in work at one time (default: twice the CPU threads)",
    )
    parser.add_argument("--model", help="built-in name, model folder or .onnx file (default: OCRDET_MODEL)")
    for option in OPTIONS.values():
        if option.name == NO_FLAG:
            continue
        flag = "--" + option.name.replace("_", "-")
        if option.schema["type"] == "boolean":
            parser.add_argument(flag, action="store_const", const="true", help=option.description)
        else:
            about = f"{option.description} Must be {option.expects}."
            parser.add_argument(flag, metavar="VALUE", help=about)
    parser.set_defaults(run=run)


def run(arguments: Namespace) -> int:
    """Detect on every image named; 1 if any of them failed."""
    from ocrdet.engine.installation import require_sound_installation

    given = {name: getattr(arguments, name) for name in OPTIONS if name != NO_FLAG}
    options = read_options(given).detect
    sources = find_sources(arguments.paths)
    settings = Settings.from_environment(model=arguments.model)
    require_sound_installation()
    from ocrdet.cli.batch import Job, detect_in_order
    from ocrdet.detector import open_detector

    failed = 0
    with open_detector(settings=settings) as detector:
        started = time.monotonic()
        job = Job(detector, options, settings.max_body_bytes, arguments.draw)
        for done, outcome in enumerate(detect_in_order(job, sources, arguments.jobs), 1):
            failed += outcome.failed
            sys.stdout.buffer.write(outcome.line)
            sys.stdout.buffer.flush()
            _show_progress(done, len(sources), failed, time.monotonic() - started)
    return 1 if failed else 0


def _show_progress(done: int, total: int, failed: int, elapsed_s: float) -> None:
    """Draw a bar on standard error, where a person sees it and it does not mix with the answers."""
    if total == 1 or not sys.stderr.isatty() or sys.stdout.isatty():
        return
    bar = "#" * (BAR_WIDTH * done // total)
    left_s = elapsed_s / done * (total - done)
    failures = f", {failed} failed" if failed else ""
    line = f"[{bar:.<{BAR_WIDTH}}] {done}/{total}, {done / elapsed_s:.1f}/s, {left_s:.0f} s left{failures}"
    # Blanks at the end wipe out what a longer line left behind.
    sys.stderr.write(f"\r{line:<79}" + ("\n" if done == total else ""))
    sys.stderr.flush()


def _positive(text: str) -> int:
    number = int(text) if text.isascii() and text.isdigit() else 0
    if number < 1:
        raise argparse.ArgumentTypeError("must be a whole number of at least 1")
    return number
