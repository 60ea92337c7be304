"""The commands of `ocrdet`, one file each; what is heavy is imported when a command runs."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING

from ocrdet import __version__
from ocrdet.cli import bench, detect, doctor, models, serve
from ocrdet.cli import eval as evaluate
from ocrdet.errors import (
    ChecksumMismatch,
    ConfigurationError,
    InvalidParameter,
    ManifestInvalid,
    ModelNotFound,
    OcrdetError,
    SelfTestFailed,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

# Exit statuses: what to mend before trying again, and what may pass by itself.
FAILED = 1
MISUSED = 2
INTERRUPTED = 130
PIPE_CLOSED = 141
TO_MEND = (
    ConfigurationError, InvalidParameter, ModelNotFound, ManifestInvalid, ChecksumMismatch, SelfTestFailed
)  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: The arguments after the program's name; those of the process where left out.

    Returns:
        The exit status: 0 done, 1 failed in part or in whole, 2 wrong usage or configuration.
    """
    arguments = build_parser().parse_args(argv)
    try:
        status: int = arguments.run(arguments)
        sys.stdout.flush()
    except OcrdetError as error:
        print(f"ocrdet: {error.detail}", file=sys.stderr)
        return MISUSED if isinstance(error, TO_MEND) else FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader has left. Python flushes once more at its end, which must not fail aloud.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    return status


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands; the documents are made from it too."""
    parser = argparse.ArgumentParser(
        prog="ocrdet", description="Finds where text is in images: as a service, or file by file."
    )
    parser.add_argument("--version", action="version", version=f"ocrdet {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in (serve, detect, doctor, evaluate, bench, models):
        command.add_command(commands)
    return parser
