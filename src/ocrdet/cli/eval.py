"""`ocrdet eval`: how well a server or this machine's detector does on labelled images."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ocrdet import __version__
from ocrdet.api.options import read_options
from ocrdet.cli.flags import add_detect_flags, given_options, positive, read_api_key
from ocrdet.cli.progress import show_progress
from ocrdet.cli.sources import SUFFIXES
from ocrdet.errors import ConfigurationError, InvalidParameter
from ocrdet.settings import Settings

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace, _SubParsersAction
    from collections.abc import Iterator, Mapping, Sequence

    from ocrdet.lab.evaluation import JudgedImage
    from ocrdet.lab.ground_truth import ImageSet, LabelledImage
    from ocrdet.lab.prediction import Predictor
    from ocrdet.options import DetectOptions

# Labels are in stored pixels, so that is what is asked for.
DECIDED = {"coordinates": "stored", "normalized": "false"}
JOBS = 2
WORST_COUNT = 20


def add_command(commands: _SubParsersAction[ArgumentParser]) -> None:
    """Add `eval` to the commands."""
    parser = commands.add_parser(
        "eval",
        help="measure accuracy on labelled images",
        description="Detects on every image that has ground truth and says how well the regions fit: "
        "precision, recall and hmean at an IoU of 0.5, the same tolerant of lines for words, and average "
        "precision. docs/eval.md describes folders and measures.",
        epilog="Exit status: 0 all done, 1 some image failed, 2 wrong usage, ground truth or configuration.",
    )
    parser.add_argument(
        "folders",
        nargs="+",
        type=Path,
        metavar="DIR",
        help="folder with images and ground truth, or with several such folders",
    )
    parser.add_argument("--url", help="ask this server, as http://127.0.0.1:8000 (default: detect here)")
    parser.add_argument(
        "--api-key-file", type=Path, metavar="FILE", help="holds the key that the server of --url wants"
    )
    parser.add_argument(
        "--jobs",
        type=positive,
        default=JOBS,
        metavar="N",
        help=f"images in work at one time (default: {JOBS})",
    )
    parser.add_argument(
        "--half",
        choices=("even", "odd"),
        metavar="even|odd",
        help="only the images whose names hash to this half: tune on even, report odd",
    )
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write everything here, each image by itself"
    )
    parser.add_argument("--worst", type=Path, metavar="DIR", help="draw the worst images into this folder")
    parser.add_argument(
        "--worst-count",
        type=positive,
        default=WORST_COUNT,
        metavar="N",
        help=f"how many of them (default: {WORST_COUNT})",
    )
    parser.add_argument(
        "--worst-by",
        choices=("iou", "tolerant"),
        metavar="iou|tolerant",
        default="iou",
        help="what they are the worst by; tolerant where labels are words (default: iou)",
    )
    add_detect_flags(parser, without=DECIDED)
    parser.set_defaults(run=run)


def run(arguments: Namespace) -> int:
    """Judge every image; 1 if any of them failed.

    Raises:
        ConfigurationError: shapely is not installed.
        InvalidParameter: A flag or a file of ground truth is wrong.
    """
    given = given_options(arguments) | DECIDED
    options = read_options(given).detect
    if arguments.json is not None and not arguments.json.parent.is_dir():
        raise InvalidParameter(f"--json: there is no folder {arguments.json.parent}.")
    if find_spec("shapely") is None:
        raise ConfigurationError(
            'ocrdet eval needs shapely: type pip install "ocrdet[eval]", or make install EXTRAS=eval.'
        )
    from ocrdet.lab.ground_truth import find_sets
    from ocrdet.lab.report import write_table

    sets = find_sets(arguments.folders, SUFFIXES)
    for each in sets:
        for sentence in each.left_out:
            print(f"ocrdet: {each.name}: left out {sentence}", file=sys.stderr)
    chosen = _choose_half(sets, arguments.half)
    with contextlib.ExitStack() as stack:
        if arguments.url is None:
            predictor = stack.enter_context(_open_detector(arguments, options))
        else:
            predictor = stack.enter_context(_open_server(arguments, given))
        model = predictor.model()
        judged_of = _judge(predictor, chosen, arguments.jobs)
    print(f"{model['name']} {model['version']} on {model['provider']}\n\n{write_table(judged_of)}")
    failures = [
        f"{name}/{each.image.path.name}: {each.prediction.problem}"
        for name, judged in judged_of.items()
        for each in judged
        if each.prediction.problem is not None
    ]
    if failures:
        print("\nfailed, counted as images in which nothing was found:", *failures, sep="\n")
    facts = {"ocrdet": __version__, "model": model, "options": given, "half": arguments.half}
    _write_files(arguments, judged_of, {each.name: each.left_out for each in sets}, facts)
    return 1 if failures else 0


@contextlib.contextmanager
def _open_detector(arguments: Namespace, options: DetectOptions) -> Iterator[Predictor]:
    from ocrdet.engine.installation import require_sound_installation

    settings = Settings.from_environment(model=arguments.model)
    require_sound_installation()
    from ocrdet.detector import open_detector
    from ocrdet.lab.prediction import InProcess

    with open_detector(settings=settings) as detector:
        yield InProcess(detector, options)


@contextlib.contextmanager
def _open_server(arguments: Namespace, given: Mapping[str, str]) -> Iterator[Predictor]:
    from ocrdet.lab.server import Server

    if arguments.model is not None:
        raise InvalidParameter("--model is for detecting here; the server of --url has a model of its own.")
    key = read_api_key(arguments.api_key_file)
    with contextlib.closing(Server(arguments.url, given, key)) as server:
        yield server


def _choose_half(sets: Sequence[ImageSet], half: str | None) -> dict[str, list[LabelledImage]]:
    from ocrdet.lab.summary import half_of

    chosen = {
        each.name: [image for image in each.images if half in {None, half_of(image.path.name)}]
        for each in sets
    }
    if not any(chosen.values()):
        raise InvalidParameter(f"No image belongs to the {half} half; leave --half out.")
    return chosen


def _judge(
    predictor: Predictor, chosen: Mapping[str, Sequence[LabelledImage]], jobs: int
) -> dict[str, list[JudgedImage]]:
    """The judged images by set, without the sets that have none."""
    from ocrdet.lab.evaluation import judge_images

    total = sum(map(len, chosen.values()))
    started = time.monotonic()
    done = failed = 0
    judged_of: dict[str, list[JudgedImage]] = {}
    for name, images in chosen.items():
        for judged in judge_images(predictor, images, jobs):
            judged_of.setdefault(name, []).append(judged)
            done += 1
            failed += judged.prediction.problem is not None
            show_progress(done, total, failed, time.monotonic() - started)
    return judged_of


def _write_files(
    arguments: Namespace,
    judged_of: Mapping[str, Sequence[JudgedImage]],
    left_out: Mapping[str, Sequence[str]],
    facts: Mapping[str, Any],
) -> None:
    from ocrdet.lab.report import report_dict
    from ocrdet.lab.worst import write_worst

    if arguments.json is not None:
        report = {**facts, "sets": report_dict(judged_of, left_out)}
        text = json.dumps(report, indent=1, ensure_ascii=False)
        arguments.json.write_text(text + "\n", "utf-8", "replace")
    if arguments.worst is not None:
        print(f"\nworst, drawn into {arguments.worst}:")
        for line in write_worst(judged_of, arguments.worst, arguments.worst_count, arguments.worst_by):
            print(line)
