"""`ocrdet doctor`: whether this machine, installation and configuration will serve, else what to do."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse
    from argparse import Namespace, _SubParsersAction

WIDTH_OF_NAMES = 14


def add_command(commands: _SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `doctor` to the commands."""
    parser = commands.add_parser(
        "doctor",
        help="check this machine, installation and configuration",
        description="Checks everything that serve depends on, with the same settings from the environment, "
        "and finds the text of a drawn picture. Each line is ok, warn or fail, with what to do.",
        epilog="Exit status: 0 without a fail, 1 with one.",
    )
    parser.add_argument("--json", action="store_true", help="write one JSON object in place of lines")
    parser.set_defaults(run=run)


def run(arguments: Namespace) -> int:
    """Write the findings; 1 if one of them is a fail."""
    from ocrdet.cli.checks import examine

    findings = []
    for finding in examine():
        findings.append(finding)
        if not arguments.json:
            print(f"{finding.status:4}  {finding.name:{WIDTH_OF_NAMES}}  {finding.detail}", flush=True)
    healthy = all(finding.status != "fail" for finding in findings)
    if arguments.json:
        print(
            json.dumps({"ok": healthy, "findings": [dataclasses.asdict(each) for each in findings]}, indent=1)
        )
    return 0 if healthy else 1
