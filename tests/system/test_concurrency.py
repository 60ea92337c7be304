"""The same bits for everybody: alone, in company, over HTTP and as a library."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import ocrdet
from tests.system.images import mixed_files
from tests.system.server import ENVIRONMENT, regions_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.system.server import ServerProcess

IMAGES = 64
CALLERS = 16
LIBRARY_CALLERS = 8


def test_64_mixed_images_at_once_give_the_regions_of_the_serial_run(server: ServerProcess) -> None:
    """Byte for byte, whichever lane and company an image meets, and again in another order."""
    files = mixed_files(IMAGES)
    serial = [regions_of(server.detect(data)) for data in files]
    assert sum(regions == b"[]" for regions in serial) == 0
    assert len(set(serial)) == IMAGES
    with ThreadPoolExecutor(CALLERS) as pool:
        at_once = list(pool.map(lambda data: regions_of(server.detect(data)), files))
        backwards = list(pool.map(lambda data: regions_of(server.detect(data)), reversed(files)))
    assert at_once == serial
    assert backwards[::-1] == serial


def test_eight_threads_share_one_library_detector(small_model: Path) -> None:
    """`open_detector().detect(data)` gives each of them what it gives to one alone."""
    files = mixed_files(2 * LIBRARY_CALLERS)
    with ocrdet.open_detector(str(small_model)) as detector:
        serial = [detector.detect(data).regions for data in files]
        with ThreadPoolExecutor(LIBRARY_CALLERS) as pool:
            at_once = list(pool.map(lambda data: detector.detect(data).regions, files))
    assert any(serial)
    assert at_once == serial


def test_importing_ocrdet_starts_and_loads_nothing_heavy() -> None:
    """No thread, no OpenCV, no ONNX Runtime, no web framework, no NumPy."""
    code = (
        "import sys, threading, ocrdet; "
        "heavy = {'cv2', 'onnxruntime', 'fastapi', 'uvicorn', 'numpy'} & set(sys.modules); "
        "sys.exit(str(heavy) if heavy or threading.active_count() > 1 else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=ENVIRONMENT, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
