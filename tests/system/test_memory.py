"""The server's memory does not grow with the number of requests."""

from __future__ import annotations

import base64
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from tests.system.images import noise, save
from tests.system.server import ServerProcess

if TYPE_CHECKING:
    from pathlib import Path

CALLERS = 6
WARM_UP, MEASURED = 45, 150
# No file is smaller, encoded or decoded: a leak of one per request shows more than twice over.
FILE_BYTES = 1_000_000
ALLOWED_BYTES = 60_000_000


def mixed_requests() -> list[tuple[str, dict[str, Any]]]:
    """Every way in and out, and refusals after the image has been decoded in part."""
    image = noise(800, 600)
    files = [
        save(image, "bmp"),
        save(image, "png", compress_level=1),
        save(image, "jpeg", quality=100, subsampling=0),
        save(image, "tiff"),
        save(image.convert("RGBA"), "png", compress_level=1),
    ]
    files.append(files[1][:-200_000])
    assert min(map(len, files)) >= FILE_BYTES
    text = base64.b64encode(files[0]).decode()
    return [
        *(("/detect", {"content": data}) for data in files),
        ("/detect", {"files": {"file": ("a.bmp", files[0])}}),
        ("/detect", {"json": {"image": text}}),
        ("/detect?output=image", {"content": files[0], "headers": {"Accept": "image/jpeg"}}),
        ("/detect", {"content": files[0], "headers": {"X-Request-Timeout-Ms": "2"}}),
        ("/detect/batch", {"files": [("file", files[0]), ("file", files[2])]}),
    ]


def test_150_mixed_requests_leave_no_image_behind(tmp_path: Path, small_model: Path) -> None:
    """What a request took is given back, however it ended."""
    requests = mixed_requests()

    def send(server: ServerProcess, count: int) -> set[int]:
        def post(number: int) -> int:
            path, request = requests[number % len(requests)]
            return server.client.post(path, **request).status_code

        with ThreadPoolExecutor(CALLERS) as pool:
            return set(pool.map(post, range(count)))

    with ServerProcess(tmp_path, OCRDET_MODEL=str(small_model)) as server:
        send(server, WARM_UP)
        before = server.metric("ocrdet_memory_bytes", kind="resident")
        statuses = send(server, MEASURED)
        grown = server.metric("ocrdet_memory_bytes", kind="resident") - before
        assert server.stop() == 0
    assert statuses == {200, 422, 504}
    assert grown < ALLOWED_BYTES
