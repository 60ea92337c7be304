"""What several commands take: the options of `POST /detect`, the model, how many images at one time."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ocrdet.api.options import OPTIONS

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Collection

# What the command line leaves to other means: here pictures are drawn into a folder.
NO_FLAG = "output"


def add_detect_flags(parser: argparse.ArgumentParser, *, without: Collection[str] = ()) -> None:
    """Add a flag for the model and one for each option of `POST /detect`.

    Args:
        parser: Of the command.
        without: Options that the command decides itself.
    """
    parser.add_argument("--model", help="built-in name, model folder or .onnx file (default: OCRDET_MODEL)")
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
