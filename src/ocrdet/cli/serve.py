"""`ocrdet serve`: the REST service."""

from __future__ import annotations

import argparse
import textwrap
from typing import TYPE_CHECKING

from ocrdet.cli.temporary import prepare_temporary_folder
from ocrdet.settings import Settings, variable_name

if TYPE_CHECKING:
    from argparse import Namespace, _SubParsersAction

# The settings that people change at a prompt; every other one has its variable alone.
FLAGS = ("host", "port", "uds", "model", "model_preset", "device", "threads", "log_level", "log_format")


def add_command(commands: _SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `serve` to the commands."""
    parser = commands.add_parser(
        "serve",
        help="serve POST /detect over HTTP",
        description="Serves POST /detect until SIGTERM or Ctrl-C. A flag wins over its environment variable.",
        epilog=_all_variables(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for field in FLAGS:
        meaning = (Settings.model_fields[field].description or "").replace("`", "")
        # The settings know types and limits; here every value is text, as in the environment.
        parser.add_argument(
            "--" + field.replace("_", "-"),
            metavar=field.rsplit("_", maxsplit=1)[-1].upper(),
            help=f"{variable_name(field)}: {meaning}",
        )
    parser.set_defaults(run=run)


def run(arguments: Namespace) -> int:
    """Check what can be checked before anything starts, then serve until told to end."""
    from ocrdet.engine.installation import require_sound_installation
    from ocrdet.engine.store import find_model

    settings = Settings.from_environment(**{field: getattr(arguments, field) for field in FLAGS})
    require_sound_installation()
    prepare_temporary_folder(settings.tmp_dir)
    find_model(settings.model, settings.model_preset)
    from ocrdet.api.app import serve

    return serve(settings)


def _all_variables() -> str:
    """Every variable with its default and meaning, for the end of the help text."""
    lines = ["environment variables:"]
    for field, info in Settings.model_fields.items():
        default = "" if info.default is None else f" (default: {info.default})"
        lines.append(f"  {variable_name(field)}{default}")
        meaning = (info.description or "").replace("`", "")
        lines += textwrap.wrap(meaning, 90, initial_indent="      ", subsequent_indent="      ")
    return "\n".join(lines)
