"""What several commands take: the options of `POST /detect`, the model, how many images at one time."""

from __future__ import annotations

import argparse
import math
from typing import TYPE_CHECKING

from ocrdet.api.options import OPTIONS
from ocrdet.errors import ConfigurationError

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Collection, Sequence
    from pathlib import Path

# What the command line leaves to other means: here pictures are drawn into a folder.
NO_FLAG = "output"


def add_detect_flags(parser: argparse.ArgumentParser, *, without: Collection[str] = ()) -> None:
    """Add a flag for the model and one for each option of `POST /detect`.

    Args:
        parser: Of the command.
        without: Options that the command decides itself, or `model`.
    """
    if "model" not in without:
        about = "built-in name, model folder or .onnx file (default: OCRDET_MODEL)"
        parser.add_argument("--model", help=about)
    for option in OPTIONS.values():
        if option.name == NO_FLAG or option.name in without:
            continue
        flag = "--" + option.name.replace("_", "-")
        if option.schema["type"] == "boolean":
            parser.add_argument(flag, action="store_const", const="true", help=option.description)
        else:
            about = f"{option.description} Must be {option.expects}."
            parser.add_argument(flag, metavar="VALUE", help=about)


def given_options(arguments: Namespace) -> dict[str, str]:
    """The options that were given as flags, as text, by name; `read_options` checks them."""
    given = ((name, getattr(arguments, name, None)) for name in OPTIONS)
    return {name: value for name, value in given if value is not None}


def positive(text: str) -> int:
    """A whole number of at least 1, for argparse.

    Raises:
        ArgumentTypeError: It is none.
    """
    number = int(text) if text.isascii() and text.isdigit() else 0
    if number < 1:
        raise argparse.ArgumentTypeError("must be a whole number of at least 1")
    return number


def amount(text: str) -> float:
    """A number of at least 0, for argparse.

    Raises:
        ArgumentTypeError: It is none.
    """
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise argparse.ArgumentTypeError("must be a number, at least 0")
    return number


def more_than_nothing(text: str) -> float:
    """A number above 0, for argparse.

    Raises:
        ArgumentTypeError: It is none.
    """
    if not (number := amount(text)):
        raise argparse.ArgumentTypeError("must be a number above 0")
    return number


def read_api_key(path: Path | None) -> str | None:
    """The key in a file; None without a file.

    Raises:
        ConfigurationError: The file cannot be read.
    """
    if path is None:
        return None
    try:
        return path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}.") from error


def allow_mixed(parser: argparse.ArgumentParser) -> None:
    """Let positional arguments stand on both sides of flags, as Python 3.13 does by itself."""
    plain = parser.parse_known_args

    def parse_mixed(
        args: Sequence[str] | None = None, namespace: Namespace | None = None
    ) -> tuple[Namespace, list[str]]:
        # The mixed parsing is made of two plain ones.
        parser.parse_known_args = plain  # type: ignore[method-assign]
        try:
            return parser.parse_known_intermixed_args(args, namespace)
        finally:
            parser.parse_known_args = parse_mixed  # type: ignore[method-assign,assignment]

    parser.parse_known_args = parse_mixed  # type: ignore[method-assign,assignment]
