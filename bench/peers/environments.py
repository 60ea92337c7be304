"""The peers' own virtual environments, under build/peers: made on demand, never the project's.

    python -m bench.peers.environments

Each holds the packages that its file in `requirements/` pins, and nothing else. What is there already and
still matches its file is used as it is.
"""

from __future__ import annotations

import contextlib
import platform
import sys
from pathlib import Path

from bench.processes import ROOT
from requirements.install import SetUpError, call, digest, prepare_pip, set_up

PEERS = ("rapidocr", "litserve", "mosec", "bentoml")
FOLDER = ROOT / "build" / "peers"
REQUIREMENTS = Path(__file__).parent / "requirements"
STAMP = "peer-install.txt"
LINES_OF_REASON = 3


def prepare_peer(name: str) -> str | None:
    """The interpreter of a peer's environment, or None, with the reason printed, where it cannot be made."""
    folder, file = FOLDER / name, REQUIREMENTS / f"{name}.txt"
    stamp = folder / STAMP
    wanted = f"{platform.python_version()} {digest(file)}\n"
    if stamp.is_file() and stamp.read_text() == wanted:
        return str(folder / "bin" / "python")
    print(
        f"making {folder.relative_to(ROOT)} with Python {platform.python_version()}",
        file=sys.stderr,
        flush=True,
    )
    try:
        pip = prepare_pip(folder, fresh=True)
        # The file names all there is, so that nothing else can come along.
        call([*pip, "install", "--no-deps", "--only-binary=:all:", "-r", str(file)])
    except SetUpError as error:
        _tell(name, error)
        return None
    stamp.write_text(wanted)
    return str(folder / "bin" / "python")


def prepare_openvino() -> str | None:
    """The interpreter of ocrdet's own OpenVINO variant, where `make test-openvino` has it; None as above."""
    folder = ROOT / ".venv-openvino"
    try:
        with contextlib.redirect_stdout(sys.stderr):  # standard output is for results
            set_up(folder, "openvino")
    except SetUpError as error:
        _tell(folder.name, error)
        return None
    return str(folder / "bin" / "python")


def _tell(name: str, error: SetUpError) -> None:
    reason = "\n".join(str(error).splitlines()[-LINES_OF_REASON:])
    print(f"{name} is left out, its environment cannot be made:\n{reason}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    for peer in PEERS:
        print(f"{peer}: {prepare_peer(peer) or 'none'}")
    print(f"ocrdet-openvino: {prepare_openvino() or 'none'}")
