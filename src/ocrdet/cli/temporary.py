"""The folder for temporary files, checked before something needs it."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from ocrdet.errors import ConfigurationError

MIB = 1024 * 1024
LEAST_FREE_BYTES = 64 * MIB


def prepare_temporary_folder(folder: Path | None) -> None:
    """Make a folder the one where this process puts temporary files.

    Where none is given, the one that TMPDIR names is kept. Python would go on to another, perhaps on another
    disk, when it cannot write there.

    Raises:
        ConfigurationError: The given folder is not there, not writable or nearly full.
    """
    if folder is not None:
        check_temporary_folder(folder)
        tempfile.tempdir = str(folder)
    elif named := os.environ.get("TMPDIR"):
        tempfile.tempdir = named


def check_temporary_folder(folder: Path) -> int:
    """Free bytes of a folder that can be used for temporary files.

    Raises:
        ConfigurationError: It is not there, not writable or nearly full.
    """
    if not folder.is_dir():
        raise ConfigurationError(
            f"The folder for temporary files {folder} does not exist. Make it, or set OCRDET_TMP_DIR "
            f"to another."
        )
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"\0")
    except OSError as error:
        raise ConfigurationError(
            f"Nothing can be written to the folder for temporary files {folder} ({error.strerror}). "
            f"Set OCRDET_TMP_DIR to a folder that this user may write to."
        ) from error
    free = shutil.disk_usage(folder).free
    if free < LEAST_FREE_BYTES:
        raise ConfigurationError(
            f"The folder for temporary files {folder} has {free // MIB} MiB left, at least "
            f"{LEAST_FREE_BYTES // MIB} are needed. Free some space, or set OCRDET_TMP_DIR to another folder."
        )
    return free
