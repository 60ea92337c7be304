"""`ocrdet models`: what is built in."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ocrdet.errors import ModelError

if TYPE_CHECKING:
    import argparse
    from argparse import Namespace, _SubParsersAction


def add_command(commands: _SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `models` and what it can do to the commands."""
    parser = commands.add_parser("models", help="list models", description="Says which models there are.")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    listing = actions.add_parser(
        "list",
        help="list the built-in models",
        description="Lists the built-in models: version, preset, licence, where the file lies, and whether "
        "it is there and the one described.",
        epilog="Exit status: 0 all are there and right, 1 otherwise.",
    )
    listing.add_argument("--json", action="store_true", help="write one JSON array in place of lines")
    listing.set_defaults(run=run)


def run(arguments: Namespace) -> int:
    """Write the list; 1 if a model is missing or not the one described."""
    from ocrdet.engine.store import built_in_names

    rows = [_describe(name) for name in built_in_names()]
    if arguments.json:
        print(json.dumps(rows, ensure_ascii=False, indent=1))
    else:
        for row in rows:
            print(f"{row['name']} {row['version']}")
            for field in ("description", "preset", "license", "source", "sha256", "state"):
                print(f"  {field:12}{row[field]}")
    return 0 if all(row["state"] == "ok" for row in rows) else 1


def _describe(name: str) -> dict[str, str]:
    from ocrdet.engine.manifest import read_manifest
    from ocrdet.engine.store import BUILT_IN_FOLDER, MANIFEST_FILE, find_model

    manifest = read_manifest(BUILT_IN_FOLDER / name / MANIFEST_FILE)
    source = manifest.source
    try:
        find_model(name)
    except ModelError as error:
        state = error.detail
    else:
        state = "ok"
    return {
        "name": manifest.name,
        "version": manifest.version,
        "description": manifest.description,
        "preset": manifest.preset,
        "license": manifest.license,
        "source": f"{source.resource} in the distribution {source.distribution}"
        if source
        else "ocrdet itself",
        "sha256": manifest.sha256 or "not stated",
        "state": state,
    }
