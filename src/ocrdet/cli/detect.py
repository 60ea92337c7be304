"""`ocrdet detect`: files in, JSON Lines out."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from ocrdet.api.options import read_options
from ocrdet.cli.flags import add_detect_flags, given_options, positive
from ocrdet.cli.progress import show_progress
from ocrdet.cli.sources import find_sources
from ocrdet.settings import Settings

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace, _SubParsersAction


def add_command(commands: _SubParsersAction[ArgumentParser]) -> None:
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
        type=positive,
        metavar="N",
        help="images in work at one time (default: twice the CPU threads)",
    )
    add_detect_flags(parser)
    parser.set_defaults(run=run)


def run(arguments: Namespace) -> int:
    """Detect on every image named; 1 if any of them failed."""
    from ocrdet.engine.installation import require_sound_installation

    options = read_options(given_options(arguments)).detect
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
            if not sys.stdout.isatty():  # where it would stand between the answers
                show_progress(done, len(sources), failed, time.monotonic() - started)
    return 1 if failed else 0
