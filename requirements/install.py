"""Makes a virtual environment of one lock, those of extras, and the project.

`make install` and `make test` run it. It runs on a bare interpreter, so it imports the standard library
alone. A stamp inside the environment says what was installed: when nothing changed since, there is nothing
to do.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
import venv
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ROOT / "requirements"
STAMP = "ocrdet-install.json"

#: Their locks hold what they add to the lock of any variant; dev has all of it already.
EXTRAS = ("eval", "pdf")

#: The CUDA 13 wheels in gpu.lock run on this NVIDIA driver and every later one.
OLDEST_DRIVER = "580.65.06"

#: Distributions that put their files into one folder: whichever came last has overwritten the others.
FAMILIES = (
    frozenset({"onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino"}),
    frozenset(
        {
            "opencv-python",
            "opencv-python-headless",
            "opencv-contrib-python",
            "opencv-contrib-python-headless",
        }
    ),
)


@dataclass(frozen=True)
class Stamp:
    """What an environment holds: when all of it is still true, there is nothing to do."""

    folder: str
    python: str
    variant: str
    extras: list[str]
    locks: list[str]
    project: str
    packages: list[str]


class SetUpError(Exception):
    """Why the environment could not be made, and what to do about it."""


def main() -> int:
    """Returns the exit status: 0 when the environment is ready."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--venv", type=Path, default=ROOT / ".venv", help="the folder to make")
    parser.add_argument("--variant", default="auto", help="auto, cpu, gpu, openvino, dev or lab")
    parser.add_argument("--extras", default="", help=f"any of {', '.join(EXTRAS)}, with spaces between")
    options = parser.parse_args()
    try:
        set_up(options.venv.absolute(), options.variant, options.extras.split())
    except SetUpError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def set_up(folder: Path, asked: str, extras: Sequence[str] = ()) -> None:
    """Brings the environment in `folder` up to date and says what it does; extras it has, it keeps.

    Raises:
        SetUpError: A step could not be done.
    """
    variant, reason = choose_variant(asked)
    found = read_stamp(folder)
    # `make run EXTRAS=pdf`, then a plain `make demo`: the server under way goes on reading PDF files.
    extras = sorted({*extras, *(found.extras if found else ())})
    locks = choose_locks(variant, extras)
    wanted = Stamp(
        folder=str(folder),
        python=platform.python_version(),
        variant=variant,
        extras=extras,
        locks=[digest(lock) for lock in locks],
        project=digest(ROOT / "pyproject.toml"),
        packages=sorted(set().union(*map(locked_packages, locks))),
    )
    what = f"{variant} ({reason})" if reason else variant
    if wanted.extras:
        what += f" with {' and '.join(wanted.extras)}"
    if found == wanted:
        print(f"{folder.name} is up to date for {what}")
        return
    started = time.monotonic()
    moved = found is not None and (found.folder, found.python) != (wanted.folder, wanted.python)
    fresh = moved or not usable(folder)
    step(1, f"{'making' if fresh else 'updating'} {folder.name} with Python {wanted.python}")
    pip = prepare_pip(folder, fresh=fresh)
    (folder / STAMP).unlink(missing_ok=True)
    remove_leftovers(pip, folder, found, wanted)
    step(2, f"installing {len(wanted.packages)} locked packages for {what}")
    requirements = [word for lock in locks for word in ("-r", str(lock))]
    exactly = ["--no-deps", "--require-hashes", "--only-binary=:all:"]
    call([*pip, "install", *exactly, *requirements], count=len(wanted.packages))
    step(3, "installing ocrdet itself")
    call([*pip, "install", "--no-deps", "--no-build-isolation", "--editable", str(ROOT)])
    (folder / STAMP).write_text(json.dumps(asdict(wanted), indent=1) + "\n")
    print(f"{folder.name} is ready after {time.monotonic() - started:.0f} s")


def choose_locks(variant: str, extras: Sequence[str]) -> list[Path]:
    """Returns the lock of the variant, and those of the extras that it does not hold yet.

    Raises:
        SetUpError: There is no such variant or extra.
    """
    known = sorted(path.stem for path in LOCKS.glob("*.lock") if path.stem not in EXTRAS)
    if variant not in known:
        raise SetUpError(f"There is no variant {variant!r}: choose auto or one of {', '.join(known)}.")
    if unknown := sorted(set(extras) - set(EXTRAS)):
        raise SetUpError(f"There is no extra {unknown[0]!r}: choose among {', '.join(EXTRAS)}.")
    own = LOCKS / f"{variant}.lock"
    held = locked_packages(own)
    added = [LOCKS / f"{extra}.lock" for extra in sorted(set(extras))]
    return [own, *(lock for lock in added if not locked_packages(lock) <= held)]


def choose_variant(asked: str) -> tuple[str, str]:
    """Returns the variant to install and, where it was not asked for by name, the reason for it."""
    if asked != "auto":
        return asked, ""
    if sys.platform != "linux" or platform.machine() not in {"x86_64", "aarch64"}:
        return "cpu", "no CUDA wheels for this machine"
    driver = nvidia_driver()
    if driver is None:
        return "cpu", "nvidia-smi finds no GPU"
    if numbers(driver) < numbers(OLDEST_DRIVER):
        return "cpu", f"NVIDIA driver {driver} is older than {OLDEST_DRIVER}, which the CUDA wheels need"
    return "gpu", f"NVIDIA driver {driver}"


def nvidia_driver() -> str | None:
    """Returns the driver's version, or None where nvidia-smi does not answer with one."""
    query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    version = re.match(r"\d+(\.\d+)+", answer.stdout.strip())
    return version[0] if version else None


def numbers(version: str) -> list[int]:
    """Returns a version in a form that compares."""
    return [int(part) for part in version.split(".")]


def locked_packages(lock: Path) -> set[str]:
    """Returns the names a lock installs on some platform, normalised."""
    return {line.split("==")[0] for line in lock.read_text().splitlines() if re.match(r"[a-z0-9]", line)}


def usable(folder: Path) -> bool:
    """Returns whether the folder is an environment whose interpreter exists and has this one's version."""
    library = folder / f"lib/python{sys.version_info.major}.{sys.version_info.minor}"
    return library.is_dir() and (folder / "bin/python").exists()


def installed_packages(folder: Path) -> set[str]:
    """Returns the names of the distributions in an environment, normalised."""
    found = folder.glob("lib/python*/site-packages/*.dist-info")
    return {re.sub(r"[-_.]+", "-", path.name.split("-")[0]).lower() for path in found}


def prepare_pip(folder: Path, *, fresh: bool) -> list[str]:
    """Returns the command that runs pip for the environment, which is made first if `fresh`.

    Raises:
        SetUpError: This Python has neither ensurepip nor pip.
    """
    bundled = importlib.util.find_spec("ensurepip") is not None
    if not bundled and importlib.util.find_spec("pip") is None:
        raise SetUpError(f"{sys.executable} has neither ensurepip nor pip.\n{missing_package()}")
    if fresh:
        venv.EnvBuilder(clear=True, symlinks=True, with_pip=False).create(folder)
    python = str(folder / "bin/python")
    if bundled:
        call([python, "-m", "ensurepip", "--default-pip"])
        return [python, "-m", "pip"]
    return [sys.executable, "-m", "pip", "--python", python]


def missing_package() -> str:
    """Returns what to type, on this system, for a Python that can fill an environment."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    other = "or name another Python: make PYTHON=/path/to/python3"
    if shutil.which("apt-get"):
        return f"Type: sudo apt install python{version}-venv\n{other}"
    for tool, package in (("dnf install", "python3-pip"), ("apk add", "py3-pip")):
        if shutil.which(tool.split()[0]):
            return f"Type: sudo {tool} {package}\n{other}"
    return f"Install pip for it, {other}"


def remove_leftovers(pip: list[str], folder: Path, found: Stamp | None, wanted: Stamp) -> None:
    """Removes what the lock before brought and this one does not, and all of a family that clashes."""
    installed, keep = installed_packages(folder), set(wanted.packages)
    leftovers = (installed & set(found.packages if found else ())) - keep
    for family in FAMILIES:
        if (installed & family) - keep:
            leftovers |= installed & family
    if leftovers:
        print(f"      removing {', '.join(sorted(leftovers))}", flush=True)
        call([*pip, "uninstall", "--yes", *sorted(leftovers)])


def call(command: list[str], *, count: int = 0) -> None:
    """Runs a step quietly; on a terminal it counts the packages that pip collects, up to `count`.

    Raises:
        SetUpError: The command failed; its output is in the text.
    """
    settings = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1", "PIP_USER": "0"}
    output: list[str] = []
    collected = 0
    with subprocess.Popen(
        command,
        env=os.environ | settings,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        for line in process.stdout or ():
            output.append(line)
            collected += line.startswith("Collecting ")
            if count and sys.stdout.isatty():
                print(f"\r      {min(collected, count)} of {count}", end="\r", flush=True)
    if process.returncode:
        raise SetUpError(f"{''.join(output[-30:])}\nThis failed: {' '.join(command)}")


def read_stamp(folder: Path) -> Stamp | None:
    """Returns what the environment holds, or None where that is not known."""
    try:
        return Stamp(**json.loads((folder / STAMP).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def digest(path: Path) -> str:
    """Returns the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def step(number: int, text: str) -> None:
    """Says which of the three steps begins."""
    print(f"[{number}/3] {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
