"""Many images in one request, one answer each."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from tests.system.images import assert_found, draw_page, mixed_files, noise, save
from tests.system.server import regions_of

if TYPE_CHECKING:
    import pytest

    from tests.system.server import ServerProcess

IMAGES = 10
BAD = {
    3: (415, "unsupported-format", b"no image at all"),
    7: (422, "truncated-image", save(noise(80, 60), "png")[:5000]),
}
PAGE = draw_page()


def ten_files() -> list[tuple[str, bytes]]:
    """Names and files, of which two are bad."""
    files = mixed_files(IMAGES)
    return [
        (f"\u56fe {index}.bin", BAD[index][2] if index in BAD else data) for index, data in enumerate(files)
    ]


def as_parts(files: list[tuple[str, bytes]]) -> list[tuple[str, tuple[str, bytes]]]:
    """Files as parts of a form."""
    return [("file", file) for file in files]


def as_texts(files: list[tuple[str, bytes]]) -> list[dict[str, str]]:
    """Files as members of JSON."""
    return [{"image": base64.b64encode(data).decode(), "name": name} for name, data in files]


def assert_ten(server: ServerProcess, results: list[dict[str, Any]]) -> None:
    """Each result has its place, name, status, and what the image gives alone."""
    for index, (result, (name, data)) in enumerate(zip(results, ten_files(), strict=True)):
        assert (result["index"], result["name"]) == (index, name)
        if index in BAD:
            assert (result["status"], result["problem"]["type"]) == (
                BAD[index][0],
                f"urn:ocrdet:problem:{BAD[index][1]}",
            )
            assert "detection" not in result
        else:
            assert (result["status"], result.get("problem")) == (200, None)
            assert result["detection"]["regions"] == json.loads(regions_of(server.detect(data)))


def test_a_form_of_ten_images_has_ten_results_in_order(server: ServerProcess) -> None:
    """Two bad ones fail by themselves; the others are what they are alone."""
    response = server.client.post("/detect/batch", files=as_parts(ten_files()))
    assert (response.status_code, response.headers["content-type"]) == (200, "application/json")
    assert_ten(server, response.json()["results"])


def test_json_images_give_the_same_results(server: ServerProcess) -> None:
    """With names, or as bare texts."""
    response = server.client.post("/detect/batch", json={"images": as_texts(ten_files())})
    assert_ten(server, response.json()["results"])
    bare = base64.b64encode(PAGE.file("png")).decode()
    (result,) = server.client.post("/detect/batch", json={"images": [bare]}).json()["results"]
    assert_found(result["detection"], PAGE.boxes)


def test_ndjson_streams_one_line_for_each_image(server: ServerProcess) -> None:
    """In whatever order they are done; every line tells its index."""
    headers = {"Accept": "application/x-ndjson"}
    with server.client.stream(
        "POST", "/detect/batch", files=as_parts(ten_files()), headers=headers
    ) as response:
        assert (response.status_code, response.headers["content-type"]) == (200, "application/x-ndjson")
        results = [json.loads(line) for line in response.iter_lines()]
    assert_ten(server, sorted(results, key=lambda result: result["index"]))


def test_the_options_of_a_batch_are_those_of_every_image(server: ServerProcess) -> None:
    """In the query string, in a field before the images, or as a JSON key."""
    data, client = PAGE.file("png"), server.client
    parts = [("file", data)] * 2
    text = base64.b64encode(data).decode()
    for response in (
        client.post("/detect/batch?max_regions=1", files=parts),
        client.post("/detect/batch", data={"max_regions": "1"}, files=parts),
        client.post("/detect/batch", json={"images": [text, text], "max_regions": 1}),
    ):
        assert [len(result["detection"]["regions"]) for result in response.json()["results"]] == [1, 1]


def test_a_batch_as_a_whole_is_refused_for_what_no_image_can_help(
    server: ServerProcess, subtests: pytest.Subtests
) -> None:
    """Too many images, none, a wrong option, a body of another kind."""
    tiny = save(noise(8, 8), "png")
    texts = [base64.b64encode(tiny).decode()] * 65
    refused: list[tuple[str, int, str, dict[str, Any]]] = [
        ("65 parts", 422, "invalid-parameter", {"files": [("file", tiny)] * 65}),
        ("65 texts", 422, "invalid-parameter", {"json": {"images": texts}}),
        ("no parts", 400, "missing-image", {"files": {"max_regions": (None, "1")}}),
        ("no texts", 400, "missing-image", {"json": {"images": []}}),
        ("a wrong option", 422, "invalid-parameter", {"params": {"fit": "crop"}, "files": {"file": tiny}}),
        ("an image as the body", 422, "invalid-parameter", {"content": tiny}),
    ]
    for kind, status, slug, request in refused:
        with subtests.test(kind):
            response = server.client.post("/detect/batch", **request)
            assert (response.status_code, response.json()["type"]) == (status, f"urn:ocrdet:problem:{slug}")
            assert response.headers["content-type"] == "application/problem+json"


def test_a_batch_of_64_images_is_taken(server: ServerProcess) -> None:
    """The limit is what may be sent, and an idle server never refuses it."""
    bad = [("file", b"no image at all")] * 62
    good = ("file", PAGE.file("png"))
    results = server.client.post("/detect/batch", files=[good, *bad, good]).json()["results"]
    assert [result["status"] for result in results] == [200, *[415] * 62, 200]
