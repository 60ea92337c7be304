"""docs/performance-gpu.md, written from the results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.gpu_plan import BUILT_IN, RESNET

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bench.gpu_plan import Row

MEMORY_GOAL_MIB = 1.8e9 / 2**20
INTRODUCTION = """\
Written by `make bench-gpu`; `bench/results-gpu.json` has every figure. Each session and each server is a
process of its own. ResNet-18 has random weights: its speed and memory are those of the architecture, its
regions say nothing. Memory is what `nvidia-smi` counts for the process, or, in a container that hides
processes, by how much the card has filled up; CUDA's own part of some hundred MiB is in it."""
SESSIONS = """\
Milliseconds for one image, from uint8 pixels that fit the model to its probability map on the host. `plain`
normalises on the host and calls `session.run`; `bound` is what the service does: pixels in page-locked
memory, normalised inside the graph, buffers bound. The difference is the largest one between its
probabilities and those of the CPU provider in fp32, on a page."""
AGREEMENT = """\
Regions held against those of the CPU provider in fp32, one to one at an IoU of at least 0.7. fp16 may be
served from 0.99 on, and is only where the model's manifest says so."""
SERVING = """\
Closed loops of 1600x1200 JPEGs of about 400 kB. CPU time is the server's; `busy` is the share of time in
which the card ran a kernel; `load` is the CPU time of the program that asks, which takes its share of the
host's CPUs."""
HOSTS = """\
The same at a concurrency of 64, with the host's part bounded: `OCRDET_THREADS` sets two workers for each,
at least four. Two processes share the card and the callers."""
FUSE = """\
`OCRDET_GPU_MEM_LIMIT_BYTES` bounds the memory that ONNX Runtime takes for tensors."""
OPTIONS = """\
At 800x800 with one option of ONNX Runtime's provider set otherwise: times of one image alone, memory after
every batch size."""


def write_document(results: Mapping[str, Any]) -> str:
    """The document; parts that were not measured are not in it."""
    parts = {
        "sessions": ("Sessions", SESSIONS, _sessions),
        "agreement": ("Agreement", AGREEMENT, _agreement),
        "serving": ("Server", SERVING, _serving),
        "hosts": ("Threads and processes of the host", HOSTS, _hosts),
        "fuse": ("A fuse for memory", FUSE, _fuse),
        "options": ("Options of the provider", OPTIONS, _options),
        "tensorrt": ("TensorRT", "As above, compiled by TensorRT.", _sessions),
        "tests": ("Tests", "Tests that need a card.", _tests),
    }
    lines = [
        "<!-- Written by bench/gpu.py; `make bench-gpu` measures and writes it anew. -->",
        "",
        "# Performance on CUDA",
        "",
        f"Measured on {results['machine']}.",
        "",
        INTRODUCTION,
    ]
    for name, (title, text, write) in parts.items():
        if name not in results:
            continue
        rows: list[Row] = results[name]
        measured = [row for row in rows if "reason" not in row]
        lines += ["", f"## {title}", "", text]
        lines += ["", *write(measured)] if measured else []
        lines += ["", *_reasons(rows)] if len(measured) < len(rows) else []
    return "\n".join(lines) + "\n"


def _sessions(rows: Sequence[Row]) -> Iterator[str]:
    yield from _table(
        ("model", "precision", "way", "images in a run", "p50 ms", "p99 ms", "MiB", "start s", "difference"),
        (
            (
                *(row[label] for label in ("model", "precision", "way")),
                size,
                *(batch[figure] for figure in ("p50_ms", "p99_ms", "memory_mib")),
                row["start_s"],
                f"{row['largest_difference']:.2g}",
            )
            for row in rows
            for size, batch in row["batches"].items()
        ),
    )
    named = {(row["model"], row["precision"], row["way"]): row for row in rows}
    wanted = named.get((RESNET.format(800), "fp32", "bound"))
    if wanted is not None:
        yield ""
        yield _memory_verdict(wanted["batches"]["1"]["memory_mib"], wanted["memory_by"])


def _memory_verdict(taken: float | None, counted: str) -> str:
    subject = "ResNet-18 at 800x800 in fp32, one image at a time, shall take less than 1.8 GB of the card: "
    if taken is None:
        return f"{subject}not known, for nobody tells."
    verdict = "met" if taken < MEMORY_GOAL_MIB else "missed"
    return f"{subject}**{verdict}** with {taken * 2**20 / 1e9:.2f} GB (by {counted})."


def _agreement(rows: Sequence[Row]) -> Iterator[str]:
    names = ["images of", "precision", "images", "regions", "agreement", "median_iou", "iou_above_0.99"]
    names.append("largest_score_difference")
    return _table([name.replace("_", " ") for name in names], ([row[name] for name in names] for row in rows))


def _serving(rows: Sequence[Row]) -> Iterator[str]:
    yield from _table(
        ("settings", "concurrency", *LOAD_TITLES),
        (
            (row["settings"], concurrency, *_load(load))
            for row in rows
            for concurrency, load in row["loads"].items()
        ),
    )
    yield ""
    for row in rows:
        yield (
            f"- {row['settings']}: ready after {row['start_s']} s; {_shown(row['memory_mib'])} MiB of the "
            f"card at the end (by {row['memory_by']})."
        )


def _hosts(rows: Sequence[Row]) -> Iterator[str]:
    titles = ("processes", "OCRDET_THREADS")
    return _table((*titles, *LOAD_TITLES), ((*(row[each] for each in titles), *_load(row)) for row in rows))


def _fuse(rows: Sequence[Row]) -> Iterator[str]:
    return _table(
        ("limit, MiB", f"`{BUILT_IN}`", "images/s", "images in a run"),
        ((row["limit MiB"], row["became"], row.get("per_second"), row.get("images_per_run")) for row in rows),
    )


def _options(rows: Sequence[Row]) -> Iterator[str]:
    return _table(
        ("model", "precision", "options", "p50 ms", "p99 ms", "MiB", "start s", "difference"),
        (
            (
                *(row[label] for label in ("model", "precision", "options")),
                *(row["batches"]["1"][figure] for figure in ("p50_ms", "p99_ms")),
                list(row["batches"].values())[-1]["memory_mib"],
                row["start_s"],
                f"{row['largest_difference']:.2g}",
            )
            for row in rows
        ),
    )


def _tests(rows: Sequence[Row]) -> Iterator[str]:
    for row in rows:
        yield f"{'Passed' if row['passed'] else '**Failed**'}: {row['said']}"


LOAD_TITLES = (
    "images/s",
    "p50 ms",
    "p99 ms",
    "CPU ms/image",
    "load, % of a CPU",
    "images in a run",
    "busy, %",
)
LOAD_FIGURES = (
    "per_second",
    "p50_ms",
    "p99_ms",
    "cpu_ms_per_image",
    "load_cpu_percent",
    "images_per_run",
    "gpu_percent",
)


def _load(row: Row) -> Iterator[object]:
    return (row[figure] for figure in LOAD_FIGURES)


def _table(titles: Sequence[str], rows: Any) -> Iterator[str]:  # noqa: ANN401 - rows of anything that is shown
    yield f"| {' | '.join(titles)} |"
    yield "|---" * len(titles) + "|"
    for row in rows:
        yield f"| {' | '.join(map(_shown, row))} |"


def _shown(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _reasons(rows: Sequence[Row]) -> Iterator[str]:
    yield "Not measured:"
    yield ""
    for row in rows:
        if "reason" in row:
            labels = ", ".join(str(value) for name, value in row.items() if name != "reason")
            yield f"- {labels}: {row['reason']}"
