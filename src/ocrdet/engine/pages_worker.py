"""The process that renders PDF pages, for `ocrdet.engine.pages` alone.

A PDF is a program from a stranger, and PDFium is a large interpreter for it. So it runs here, in a process
that holds one document and nothing else: it is started as a script of its own, loads nothing of ocrdet, takes
limits upon itself before it looks at a byte, may write no file, and ends when the service does.

Every message is a length of eight bytes, big-endian, and as many bytes. The first one that comes in is the
document, all others are JSON. Each is answered by one in JSON; after that of a rendering follow its pixels.
"""

from __future__ import annotations

import ctypes
import json
import math
import os
import queue
import resource
import struct
import sys
import threading
import time
from typing import IO, Any

import pypdfium2
from pypdfium2 import raw

LENGTH = struct.Struct(">Q")
WHITE = 0xFFFFFFFF
MOST_OPEN_FILES = 64  # PDFium opens the system's fonts
DRAW = raw.FPDF_ANNOT | raw.FPDF_REVERSE_BYTE_ORDER  # what is stamped and filled in too; RGB


def main(memory_bytes: int, page_seconds: float) -> None:
    """Answer until the service says no more.

    Args:
        memory_bytes: Most address space, where the system can limit it (macOS does not).
        page_seconds: Most processor time for one request.
    """
    # What a library prints must not be taken for an answer.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=0)
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    requests: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_read_requests, args=(requests,), daemon=True).start()
    _limit_process(memory_bytes)
    document: pypdfium2.PdfDocument | None = None
    while True:
        request = requests.get()
        _limit_seconds(page_seconds)
        pixels: Any = b""
        try:
            if document is None:
                document = _open(request)
                answer: dict[str, object] = {"pages": len(document)}
            else:
                answer, pixels = _answer(document, json.loads(request))
        except MemoryError:
            answer = {"error": "memory"}
        except (pypdfium2.PdfiumError, ValueError) as error:
            code = getattr(error, "err_code", None)
            locked = code in {raw.FPDF_ERR_PASSWORD, raw.FPDF_ERR_SECURITY}
            answer = {"error": "encrypted" if locked else "broken"}
        _write(answers, json.dumps(answer).encode())
        _write_all(answers, pixels)


def _open(data: bytes) -> pypdfium2.PdfDocument:
    document = pypdfium2.PdfDocument(data)
    document.init_forms()
    return document


def _answer(document: pypdfium2.PdfDocument, request: dict[str, Any]) -> tuple[dict[str, object], Any]:
    if "size" in request:
        width, height = document.get_page_size(request["size"])
        if not (math.isfinite(width) and math.isfinite(height)):
            raise ValueError
        return {"size": [width, height]}, b""
    return {}, _render(document, *request["render"])


def _render(document: pypdfium2.PdfDocument, index: int, width: int, height: int) -> ctypes.Array[Any]:
    """The page on white, scaled to this size: height * width * 3 bytes of RGB.

    Raises:
        MemoryError: There is not enough for them.
    """
    pixels = (ctypes.c_ubyte * (width * height * 3))()
    page = document[index]
    bitmap = raw.FPDFBitmap_CreateEx(width, height, raw.FPDFBitmap_BGR, pixels, width * 3)
    if not bitmap:
        raise MemoryError
    raw.FPDFBitmap_FillRect(bitmap, 0, 0, width, height, WHITE)
    raw.FPDF_RenderPageBitmap(bitmap, page, 0, 0, width, height, 0, DRAW)
    if page.formenv:
        raw.FPDF_FFLDraw(page.formenv, bitmap, page, 0, 0, width, height, 0, DRAW)
    raw.FPDFBitmap_Destroy(bitmap)
    page.close()
    return pixels


def _read_requests(into: queue.SimpleQueue[bytes]) -> None:
    """Read on while a page is rendered, so that the end of the service is noticed in the middle of it."""
    requests = sys.stdin.buffer
    while len(length := requests.read(LENGTH.size)) == LENGTH.size:
        into.put(requests.read(*LENGTH.unpack(length)))
    os._exit(0)


def _limit_process(memory_bytes: int) -> None:
    for what, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, MOST_OPEN_FILES),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_AS, memory_bytes),
    ):
        try:
            resource.setrlimit(what, (most, most))
        except (OSError, ValueError):
            if sys.platform == "linux":  # macOS has no limit of address space
                raise


def _limit_seconds(page_seconds: float) -> None:
    """The service ends what takes too long; this holds even where it was stopped or is gone."""
    most = math.ceil(time.process_time() + page_seconds) + 1
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    if hard != resource.RLIM_INFINITY:
        most = min(most, hard)
    resource.setrlimit(resource.RLIMIT_CPU, (most, hard))


def _write(answers: IO[bytes], message: bytes) -> None:
    _write_all(answers, LENGTH.pack(len(message)) + message)


def _write_all(answers: IO[bytes], data: Any) -> None:  # noqa: ANN401 - any buffer
    rest = memoryview(data).cast("B")
    while rest:
        rest = rest[answers.write(rest) :]


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
