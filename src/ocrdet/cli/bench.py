"""`ocrdet bench`: how fast a server answers under a load, and whether that is fast enough."""

from __future__ import annotations

import contextlib
import json
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ocrdet import __version__
from ocrdet.api.options import read_options
from ocrdet.cli.flags import (
    add_detect_flags,
    allow_mixed,
    amount,
    given_options,
    more_than_nothing,
    positive,
    read_api_key,
)
from ocrdet.cli.progress import rewrite_line
from ocrdet.cli.sources import find_sources
from ocrdet.errors import ImageRejected, InvalidParameter
from ocrdet.settings import Settings

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace, _SubParsersAction
    from collections.abc import Iterable, Iterator

    from ocrdet.lab.load import Load

SECONDS = 30.0
WARM_UP_SECONDS = 2.0
CONNECTIONS = 256
TIMEOUT_SECONDS = 30.0
SEED = 1
REFRESH_SECONDS = 0.5
INTERRUPTED = 130


def add_command(commands: _SubParsersAction[ArgumentParser]) -> None:
    """Add `bench` to the commands."""
    parser = commands.add_parser(
        "bench",
        help="put a load on a server and measure its answers",
        description="Sends images to POST /detect of a running server at a fixed rate, whether or not "
        "earlier ones were answered, and times each from the moment it was due. "
        "docs/bench.md explains the report.",
        epilog="Exit status: 0 every objective of --slo was met (without any: some image was answered), "
        "1 not, 2 wrong usage or no server, 130 interrupted, with the report of what was measured.",
    )
    parser.add_argument("url", metavar="URL", help="where the server listens, as http://127.0.0.1:8000")
    parser.add_argument(
        "images",
        nargs="*",
        metavar="IMAGE",
        help="file, folder (with all below it), glob pattern, or - for stdin; sent in turn "
        "(default: a drawn page)",
    )
    how = parser.add_mutually_exclusive_group(required=True)
    how.add_argument(
        "--rate", type=more_than_nothing, metavar="N", help="images a second, come what may (open loop)"
    )
    how.add_argument(
        "--concurrency",
        type=positive,
        metavar="N",
        help="instead of --rate: always so many at one time, the next when one was answered (closed loop); "
        "hides what callers wait while the server stalls",
    )
    parser.add_argument(
        "--arrivals",
        choices=("constant", "poisson"),
        default="constant",
        metavar="constant|poisson",
        help="evenly spaced, or as of many callers who know nothing of each other (default: constant)",
    )
    parser.add_argument(
        "--seed", type=int, default=SEED, metavar="N", help=f"of the Poisson arrivals (default: {SEED})"
    )
    parser.add_argument(
        "--seconds",
        type=more_than_nothing,
        default=SECONDS,
        metavar="N",
        help=f"how long to measure (default: {SECONDS:g})",
    )
    parser.add_argument(
        "--warm-up-seconds",
        type=amount,
        default=WARM_UP_SECONDS,
        metavar="N",
        help=f"the same load before that, not counted (default: {WARM_UP_SECONDS:g})",
    )
    parser.add_argument(
        "--timeout-seconds",
        type=more_than_nothing,
        default=TIMEOUT_SECONDS,
        metavar="N",
        help=f"an image is given up so long after it was due (default: {TIMEOUT_SECONDS:g})",
    )
    parser.add_argument(
        "--connections",
        type=positive,
        default=CONNECTIONS,
        metavar="N",
        help=f"most connections at one time with --rate (default: {CONNECTIONS})",
    )
    parser.add_argument(
        "--slo",
        action="append",
        default=[],
        metavar="OBJECTIVE",
        help='what must hold, as "p99<500ms", "errors<1%%" or "rate>20", in quotes; once for each',
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report here as well")
    parser.add_argument(
        "--api-key-file", type=Path, metavar="FILE", help="holds the key that the server wants"
    )
    add_detect_flags(parser, without=("model",))
    allow_mixed(parser)
    parser.set_defaults(run=run)


def run(arguments: Namespace) -> int:
    """Put the load on the server and report; 1 where it was not good enough.

    Raises:
        InvalidParameter: A flag is wrong, or an image cannot be read.
        ConfigurationError: No ocrdet answers there, or the key cannot be read.
    """
    from ocrdet.lab.load import Load, Target
    from ocrdet.lab.load_report import report_dict, write_report
    from ocrdet.lab.measurement import Measurement
    from ocrdet.lab.server import Server
    from ocrdet.lab.slo import Objective

    options = given_options(arguments)
    read_options(options)
    objectives = [Objective.read(text) for text in arguments.slo]
    if arguments.json is not None and not arguments.json.parent.is_dir():
        raise InvalidParameter(f"--json: there is no folder {arguments.json.parent}.")
    key = read_api_key(arguments.api_key_file)
    bodies = _read_images(arguments.images)
    with contextlib.closing(Server(arguments.url, options, key)) as server:
        model = server.model()

    end_s = arguments.warm_up_seconds + arguments.seconds
    measurement = Measurement(arguments.warm_up_seconds, end_s)
    target = Target(arguments.url, bodies, options, key, arguments.timeout_seconds)
    load = Load(target, measurement, arguments.concurrency or arguments.connections)
    configuration = _configuration(arguments) | {
        "ocrdet": __version__,
        "model": model,
        "options": options,
        "images": len(bodies),
        "image_bytes": sum(map(len, bodies)),
    }
    print(_headline(configuration), flush=True)
    with _watching(load):
        whole = load.run(_arrivals(arguments, load, end_s))
    verdicts = [objective.judge(measurement) for objective in objectives]
    report = report_dict(load, configuration, verdicts, whole=whole)
    print(write_report(report))
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    if not whole:
        return INTERRUPTED
    met = all(verdict.passed for verdict in verdicts) if verdicts else measurement.answered > 0
    return 0 if met else 1


def _read_images(arguments: list[str]) -> list[bytes]:
    """What is sent, held in memory: a load must not read files.

    Raises:
        InvalidParameter: One of them cannot be read.
    """
    if not arguments:
        from ocrdet.vision.draw import encode_image
        from ocrdet.vision.golden import draw_golden

        return [encode_image(draw_golden(), "jpeg")]
    max_bytes = Settings.from_environment().max_body_bytes
    bodies = []
    for source in find_sources(arguments):
        try:
            bodies.append(source.read(max_bytes))
        except ImageRejected as error:
            raise InvalidParameter(f"{source.name}: {error.detail}") from error
    return bodies


def _arrivals(arguments: Namespace, load: Load, end_s: float) -> Iterable[float]:
    from ocrdet.lab.arrivals import constant_arrivals, poisson_arrivals

    if arguments.rate is None:
        return load.closed_loop(end_s)
    if arguments.arrivals == "poisson":
        return poisson_arrivals(arguments.rate, end_s, arguments.seed)
    return constant_arrivals(arguments.rate, end_s)


def _configuration(arguments: Namespace) -> dict[str, Any]:
    names = ("url", "rate", "concurrency", "arrivals", "seed", "connections")
    times = ("seconds", "warm_up_seconds", "timeout_seconds")
    return {name: getattr(arguments, name) for name in (*names, *times)}


def _headline(configuration: dict[str, Any]) -> str:
    model, images = configuration["model"], configuration["images"]
    how = f"open loop, {configuration['rate'] or 0:g}/s {configuration['arrivals']}"
    if configuration["concurrency"] is not None:
        how = f"closed loop, {configuration['concurrency']} at one time"
    kb = configuration["image_bytes"] / images / 1e3
    what = f"1 image of {kb:.0f} kB" if images == 1 else f"{images} images of {kb:.0f} kB on average"
    return (
        f"{configuration['url']}: {model['name']} {model['version']} on {model['provider']}\n"
        f"{how}, {configuration['seconds']:g} s after {configuration['warm_up_seconds']:g} s of warm-up; "
        f"{what}\n"
    )


@contextlib.contextmanager
def _watching(load: Load) -> Iterator[None]:
    """Tell on standard error how the load goes: all the time on a terminal, else once at the end."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(REFRESH_SECONDS):
            rewrite_line(_progress_line(load), last=False)

    watcher = threading.Thread(target=watch, name="progress", daemon=True)
    live = sys.stderr.isatty()
    if live:
        watcher.start()
    try:
        yield
    finally:
        over.set()
        line = _progress_line(load)
        if live:
            watcher.join()
            rewrite_line(line, last=True)
        else:
            print(line, file=sys.stderr)


def _progress_line(load: Load) -> str:
    progress, measured = load.progress(), load.measurement
    if progress.now_s < measured.begin_s:
        return f"warm-up, {measured.begin_s - progress.now_s:.0f} s left: {progress.in_flight} in flight"
    left_s = measured.end_s - progress.now_s
    state = f"{left_s:.0f} s left" if left_s > 0 else "waiting" if progress.in_flight else "done"
    errors = f", {progress.failed} failed" if progress.failed else ""
    p50, p99 = (
        "-" if seconds is None else f"{seconds * 1e3:.0f}" for seconds in (progress.p50_s, progress.p99_s)
    )
    return (
        f"{state}: {progress.sent} sent, {progress.answered} ok{errors}, {progress.in_flight} in flight, "
        f"{progress.rate:.1f}/s, p50 {p50} p99 {p99} ms"
    )
