"""Bad input of every class gets its documented problem over real HTTP, and never a 500."""

from __future__ import annotations

import base64
import struct
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from tests.system.images import FORMATS, draw_page, noise, save
from tests.system.server import assert_problem
from tests.unit.vision.drawing import png_chunk

if TYPE_CHECKING:
    from tests.system.server import ServerProcess

PNG = draw_page().file("png")
HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64)
MP4 = b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41" + bytes(64)


def png_of_size(width: int, height: int) -> bytes:
    """A PNG of a few bytes whose header states any size."""
    head = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n" + head + png_chunk(b"IDAT", zlib.compress(bytes(100))) + png_chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("scene", "street"),
        ("score_threshold", "1.5"),
        ("score_threshold", "nan"),
        ("iou_threshold", "-0.1"),
        ("iou_threshold", ""),
        ("fit", "crop"),
        ("max_regions", "0"),
        ("max_regions", "2.5"),
        ("polygons", "maybe"),
        ("coordinates", "model"),
        ("normalized", "2"),
        ("output", "xml"),
        ("score_treshold", "0.3"),
        ("\u6587\u5b57", "1"),
    ],
)
def test_a_wrong_option_is_named(server: ServerProcess, option: str, value: str) -> None:
    """With its range, or the names that there are."""
    problem = assert_problem(server.detect(PNG, params={option: value}), 422, "invalid-parameter")
    assert problem["field"] == option
    assert option in problem["detail"]
    assert problem.keys() & {"allowed", "minimum", "maximum"} or option in {"polygons", "normalized"}


def test_a_misspelt_option_gets_a_suggestion(server: ServerProcess) -> None:
    """As do the options of forms and JSON."""
    data = base64.b64encode(PNG).decode()
    for response in (
        server.detect(PNG, params={"score_treshold": 0.3}),
        server.client.post("/detect", files={"file": PNG}, data={"score_treshold": "0.3"}),
        server.client.post("/detect", json={"image": data, "score_treshold": 0.3}),
    ):
        problem = assert_problem(response, 422, "invalid-parameter")
        assert "did you mean score_threshold?" in problem["detail"]


def test_an_option_given_twice_is_refused(server: ServerProcess) -> None:
    """Nobody guesses which one was meant."""
    response = server.client.post("/detect?fit=stretch&fit=letterbox", content=PNG)
    assert assert_problem(response, 422, "invalid-parameter")["field"] == "fit"


@pytest.mark.parametrize("value", ["0", "-1", "soon", "1.5"])
def test_a_wrong_deadline_is_refused(server: ServerProcess, value: str) -> None:
    """It is a whole number of milliseconds."""
    response = server.detect(PNG, headers={"X-Request-Timeout-Ms": value})
    assert assert_problem(response, 422, "invalid-parameter")["field"] == "X-Request-Timeout-Ms"


@pytest.mark.parametrize(
    ("status", "slug", "request_"),
    [
        (400, "missing-image", {"content": b""}),
        (400, "missing-image", {}),
        (400, "missing-image", {"files": {"file": b""}}),
        (400, "missing-image", {"json": {"score_threshold": 0.3}}),
        (400, "missing-image", {"json": {"image": ""}}),
        (422, "invalid-parameter", {"files": {"picture": PNG}}),
        (422, "invalid-parameter", {"json": {"image": "not base64!"}}),
        (422, "invalid-parameter", {"json": {"image": 7}}),
        (422, "invalid-parameter", {"json": [1]}),
        (422, "invalid-parameter", {"content": b"{", "headers": {"Content-Type": "application/json"}}),
        (422, "invalid-parameter", {"content": b"x", "headers": {"Content-Type": "multipart/form-data"}}),
    ],
)
def test_a_request_without_an_image_says_what_is_missing(
    server: ServerProcess, status: int, slug: str, request_: dict[str, Any]
) -> None:
    """In every way in."""
    assert_problem(server.client.post("/detect", **request_), status, slug)


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_that_ends_too_early_is_truncated(server: ServerProcess, name: str) -> None:
    """Whether the end is missing, most of it, or all but the first bytes of the header."""
    data = save(noise(200, 150), name)
    for share in (0.98, 0.3):
        assert_problem(server.detect(data[: int(len(data) * share)]), 422, "truncated-image")
    assert_problem(server.detect(data[:20]), 422, "truncated-image")


def corrupt_files() -> dict[str, bytes]:
    """Files that contradict their own format."""
    stripes = save(Image.fromarray(np.indices((90, 90)).sum(0).astype(np.uint8)), "png")
    start = stripes.index(b"IDAT")
    size = int.from_bytes(stripes[start - 4 : start])
    jpeg = save(noise(64, 64), "jpeg")
    codes = jpeg.index(b"\xff\xc4") + 5
    return {
        "png with a wrong checksum": stripes[: start + 20] + b"\0\0\0\0" + stripes[start + 24 :],
        "png whose pixels are no zlib": stripes[: start - 4]
        + png_chunk(b"IDAT", b"\xff" * size)
        + stripes[start + 8 + size :],
        "png of no width": png_of_size(0, 10),
        "jpeg without its Huffman codes": jpeg[:codes] + bytes(16) + jpeg[codes + 16 :],
    }


@pytest.mark.parametrize("kind", corrupt_files())
def test_a_file_that_contradicts_its_format_is_corrupt(server: ServerProcess, kind: str) -> None:
    """It is the file's fault, not the service's."""
    assert_problem(server.detect(corrupt_files()[kind]), 422, "corrupt-image")


@pytest.mark.parametrize(
    ("looks", "data"),
    [
        ("text", b"To whom it may concern: see the attached picture."),
        ("PDF", b"%PDF-1.7\n1 0 obj\n"),
        ("SVG", b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>'),
        ("HEIC", HEIC),
        ("video", MP4),
        ("HTML", b"<!DOCTYPE html><html></html>"),
        ("no known", b"\x01\x02\x03\x04"),
    ],
)
def test_other_formats_are_named_with_those_supported(server: ServerProcess, looks: str, data: bytes) -> None:
    """Whatever type the client claims."""
    problem = assert_problem(
        server.detect(data, headers={"Content-Type": "image/png"}), 415, "unsupported-format"
    )
    assert looks in problem["detail"]
    assert problem["supported"] == list(FORMATS)


@pytest.mark.parametrize(
    ("width", "height", "limit"),
    [(100_000, 100_000, 65_500), (65_501, 1, 65_500), (1, 65_501, 65_500), (50_000, 1_001, 50_000_000)],
)
def test_a_huge_image_is_refused_from_its_header(
    server: ServerProcess, width: int, height: int, limit: int
) -> None:
    """Its pixels never come to be: with all of them in memory, the server could not stay this small."""
    before = server.metric("ocrdet_memory_bytes", kind="resident")
    problem = assert_problem(server.detect(png_of_size(width, height)), 413, "image-too-large")
    assert (problem["width"], problem["height"], problem["limit"]) == (width, height, limit)
    assert server.metric("ocrdet_memory_bytes", kind="resident") < before + 50e6


def test_other_paths_and_methods_are_told_which_there_are(server: ServerProcess) -> None:
    """As problems, like everything else."""
    for path in ("/", "/detection", "/detect/", "/docs", "/openapi.json", "/metrics/x"):
        assert "/detect" in assert_problem(server.client.get(path), 404, "not-found")["detail"]
    for method, path, allowed in (
        ("GET", "/detect", "POST"),
        ("PUT", "/detect", "POST"),
        ("POST", "/livez", "GET"),
    ):
        response = server.client.request(method, path)
        assert_problem(response, 405, "method-not-allowed")
        assert allowed in response.headers["allow"]
