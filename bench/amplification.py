"""Measure how much memory decoding one image takes, over the bytes of its file.

    python -m bench.amplification [FOLDER ...] [--megapixels 24]

Every file of the folders, and drawn files that take as much as each format can, is decoded in a process of
its own. Reported: peak memory beyond what the process had before, in all and for each pixel that the header
states.
Exit status 1 where a file takes more than PIXEL_BYTES for each of its pixels, its own size once more and
FIXED_BYTES besides.
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.bombs import draw_bombs
from bench.processes import ROOT

MIB = 1024 * 1024
# As docs/images.md states them.
PIXEL_BYTES = 32
FIXED_BYTES = 32 * MIB


def main() -> int:
    """Measure and print; 1 where the bound does not hold."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", nargs="*", type=Path, metavar="FOLDER")
    parser.add_argument("--megapixels", type=float, default=24, help="size of the drawn files")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure_file(arguments.one)))
        return 0
    broken = 0
    with tempfile.TemporaryDirectory() as folder:
        drawn = draw_bombs(Path(folder), arguments.megapixels)
        for path in itertools.chain(_files(arguments.folders), drawn):
            found = _in_a_process(path)
            within = found["peak"] <= PIXEL_BYTES * found["pixels"] + found["bytes"] + FIXED_BYTES
            broken += not within
            each = found["peak"] / found["pixels"] if found["pixels"] else 0
            print(
                f"{path.name:60} {found['bytes']:>10} bytes {found['pixels'] / 1e6:>7.2f} MP "
                f"{found['peak'] / MIB:>7.1f} MiB {each:>8.1f} B/px {found['seconds']:>6.2f} s "
                f"{found['outcome']}{'' if within else '  BEYOND THE BOUND'}",
                flush=True,
            )
    print(f"{broken} beyond {PIXEL_BYTES} bytes per pixel, the file and {FIXED_BYTES // MIB} MiB")
    return 1 if broken else 0


def _files(folders: list[Path]) -> list[Path]:
    return sorted(path for folder in folders for path in folder.rglob("*") if path.suffix != ".json")


def _in_a_process(path: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "bench.amplification", "--one", str(path)]
    answer = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    found: dict[str, float] = json.loads(answer.stdout)
    return found


def measure_file(path: Path) -> dict[str, object]:
    """Peak memory, time and outcome of one file, in this process."""
    import io
    import time

    from PIL import Image

    from ocrdet.errors import OcrdetError
    from ocrdet.vision.decode import check_limits, decode_image, prepare_decoders, read_header

    prepare_decoders()
    for name in ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "AVIF", "JPEG2000"):
        stream = io.BytesIO()
        Image.new("RGBA" if name in {"PNG", "WEBP"} else "RGB", (64, 64)).save(stream, name)
        decode_image(stream.getvalue(), read_header(stream.getvalue()))
    data, pixels = path.read_bytes(), 0
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before, begun = _peak_bytes(), time.perf_counter()
    try:
        header = read_header(data)
        check_limits(header, max_pixels=50_000_000, max_side_px=65_500)
        pixels = header.pixels
        decode_image(data, header)
        outcome = header.mode
    except OcrdetError as error:
        outcome = type(error).__name__
    return {
        "bytes": len(data),
        "pixels": pixels,
        "peak": _peak_bytes() - before,
        "seconds": time.perf_counter() - begun,
        "outcome": outcome,
    }


def _peak_bytes() -> int:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


if __name__ == "__main__":
    sys.exit(main())
