"""POST /detect/batch."""

from __future__ import annotations

import base64
import json
import threading
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from ocrdet.errors import CorruptImage, InferenceFailed
from ocrdet.telemetry.logs import FACTS
from tests.fakes import PATIENCE_S, FakeDetector, client_of, make_app, running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocrdet.engine.admission import Slot
    from ocrdet.engine.ticket import Ticket
    from tests.fakes import Client


JSON = {"content-type": "application/json"}


@pytest.fixture
def detector() -> FakeDetector:
    """One that finds two regions, with two workers."""
    return FakeDetector()


@pytest.fixture
def client(detector: FakeDetector) -> Iterator[Client]:
    """A client of the application around it; images up to 4 KiB, 16 in a batch."""
    with client_of(make_app(detector, max_body_bytes=4096, max_batch_images=16)) as client:
        yield client


def files(*images: bytes) -> list[tuple[str, tuple[str, bytes]]]:
    """Images as file parts named after their place."""
    return [("file", (f"{index}.png", data)) for index, data in enumerate(images)]


def texts(*images: bytes) -> list[str]:
    """Images as base64."""
    return [base64.b64encode(data).decode() for data in images]


def slugs(results: list[dict[str, Any]]) -> list[str]:
    """`ok`, or the problem, of each result."""
    return [
        result["problem"]["type"].rpartition(":")[2] if "problem" in result else "ok" for result in results
    ]


def test_every_image_of_a_form_has_its_own_result_in_order(client: Client, detector: FakeDetector) -> None:
    """With the client's own names."""
    images = [b"image %d" % index for index in range(10)]
    results = client.post("/detect/batch", files=files(*images)).json()["results"]
    assert [result["index"] for result in results] == list(range(10))
    assert [result["name"] for result in results] == [f"{index}.png" for index in range(10)]
    assert slugs(results) == ["ok"] * 10
    assert all(len(result["detection"]["regions"]) == 2 for result in results)
    assert sorted(detector.seen) == sorted(images)
    assert detector.gate.inflight_images == 0


def test_json_takes_texts_and_named_images(client: Client) -> None:
    """Both forms in one list."""
    first, second = texts(b"one", b"two")
    answer = client.post("/detect/batch", json={"images": [first, {"image": second, "name": "b"}]}).json()
    assert [(result["name"], result["status"]) for result in answer["results"]] == [("", 200), ("b", 200)]


def test_one_bad_image_never_fails_another(client: Client, detector: FakeDetector) -> None:
    """Corrupt, too large, empty, or a failure of the model itself."""
    detector.failures = {b"bad": CorruptImage("Not a PNG."), b"nan": InferenceFailed("NaN in /secret")}
    response = client.post("/detect/batch", files=files(b"good", b"bad", b"x" * 5000, b"", b"nan", b"fine"))
    results = response.json()["results"]
    assert response.status_code == 200
    assert slugs(results) == ["ok", "corrupt-image", "body-too-large", "missing-image", "internal", "ok"]
    assert [result["status"] for result in results] == [200, 422, 413, 400, 500, 200]
    assert "secret" not in response.text

    odd = ["%%", 7, {"name": "a"}, {"image": "QQ==", "x": 1}, [1, 2], [["image", "QQ=="]]]
    images = [*texts(b"good", b"bad", b"x" * 5000), *odd, ""]
    results = client.post("/detect/batch", json={"images": images}).json()["results"]
    assert slugs(results) == [
        "ok",
        "corrupt-image",
        "body-too-large",
        *["invalid-parameter"] * len(odd),
        "missing-image",
    ]


def test_a_bug_fails_its_own_image_alone_and_is_logged(
    client: Client, detector: FakeDetector, caplog: pytest.LogCaptureFixture
) -> None:
    """Under the id that the client got."""
    detector.failures = {b"bug": ZeroDivisionError("in /secret"), b"nan": InferenceFailed("NaN")}
    response = client.post("/detect/batch", files=files(b"good", b"bug", b"nan"))
    assert slugs(response.json()["results"]) == ["ok", "internal", "internal"]
    assert "secret" not in response.text
    logged = [record for record in caplog.records if record.exc_info]
    assert len(logged) == 2
    assert all(getattr(record, FACTS)["request_id"] == response.headers["x-request-id"] for record in logged)


def test_options_hold_for_every_image(client: Client, detector: FakeDetector) -> None:
    """From the query, from fields before the images, from JSON keys."""
    client.post("/detect/batch?max_regions=5", files=files(b"a", b"b"))
    client.post("/detect/batch?max_regions=5", files=files(b"a"), data={"max_regions": "6"})
    client.post("/detect/batch", json={"images": texts(b"a"), "max_regions": 7})
    assert [options.max_regions for options in detector.options] == [5, 5, 6, 7]


@pytest.mark.parametrize(
    ("request_options", "status", "slug"),
    [
        ({"content": b"raw"}, 422, "invalid-parameter"),
        ({"files": files(*[b"x"] * 17)}, 422, "invalid-parameter"),
        ({"json": {"images": texts(*[b"x"] * 17)}}, 422, "invalid-parameter"),
        ({"json": {"images": []}}, 400, "missing-image"),
        ({"json": {"images": "QQ=="}}, 422, "invalid-parameter"),
        ({"json": {"images": {"a": "QQ=="}}}, 422, "invalid-parameter"),
        (
            {"content": b'{"images": [{"image": "QQ==", "name": "\\ud800"}]}', "headers": JSON},
            422,
            "invalid-parameter",
        ),
        ({"content": b'{"images": ["QQ=="], "images": []}', "headers": JSON}, 422, "invalid-parameter"),
        ({"json": {"images": texts(b"a"), "fit": "crop"}}, 422, "invalid-parameter"),
        ({"json": {"images": texts(b"a"), "output": "webui"}}, 422, "invalid-parameter"),
        ({"json": []}, 422, "invalid-parameter"),
        ({"files": files(b"a"), "data": {"fit": "crop"}}, 422, "invalid-parameter"),
        ({"files": [("fit", (None, b"auto"))]}, 400, "missing-image"),
        ({"files": [*files(b"a"), ("fit", (None, b"auto"))]}, 422, "invalid-parameter"),
        ({"files": files(b"a"), "params": {"output": "image"}}, 422, "invalid-parameter"),
        (
            {"content": b"--x\r\n", "headers": {"content-type": "multipart/form-data; boundary=x"}},
            422,
            "invalid-parameter",
        ),
    ],
)
def test_a_batch_that_cannot_be_understood_is_one_problem(
    client: Client, detector: FakeDetector, request_options: dict[str, Any], status: int, slug: str
) -> None:
    """In both output forms, and nothing stays admitted."""
    for accept in ("application/json", "application/x-ndjson"):
        headers = {"accept": accept, **request_options.get("headers", {})}
        response = client.post("/detect/batch", **(request_options | {"headers": headers}))
        assert (response.status_code, response.json()["type"]) == (status, f"urn:ocrdet:problem:{slug}")
        assert detector.gate.wait_idle(PATIENCE_S)


def test_a_batch_body_has_a_limit_of_its_own(detector: FakeDetector) -> None:
    """Declared or found while reading."""

    async def pieces() -> Any:  # noqa: ANN401 - an async iterator of bytes
        yield b"--x\r\nContent-Disposition: form-data; name=file; filename=a\r\n\r\n"
        for _ in range(9):
            yield b"x" * 1000

    with client_of(make_app(detector, max_batch_body_bytes=4096)) as client:
        assert client.post("/detect/batch", files=files(b"x" * 9000)).status_code == 413
        headers = {"content-type": "multipart/form-data; boundary=x"}
        assert client.post("/detect/batch", content=pieces(), headers=headers).status_code == 413
    assert detector.gate.inflight_images == 0


def test_a_batch_is_refused_whole_when_nothing_is_free(client: Client, detector: FakeDetector) -> None:
    """Before its body is read."""
    slots = [detector.gate.admit(size_bytes=1) for _ in range(8)]
    response = client.post("/detect/batch", files=files(b"a"))
    assert (response.status_code, detector.seen) == (429, [])
    assert len(slots) == 8


def test_one_free_slot_is_enough_for_a_whole_batch(client: Client, detector: FakeDetector) -> None:
    """It works through its images one by one, and none is refused."""
    slots = [detector.gate.admit(size_bytes=1) for _ in range(7)]
    bodies: list[dict[str, Any]] = [
        {"files": files(*[b"x%d" % i for i in range(10)])},
        {"json": {"images": texts(*[b"y"] * 10)}},
    ]
    for body in bodies:
        results = client.post("/detect/batch", **body).json()["results"]
        assert slugs(results) == ["ok"] * 10
    assert detector.most_running == 1
    assert len(slots) == 7


def test_lanes_are_bounded_by_the_workers(client: Client, detector: FakeDetector) -> None:
    """A batch keeps the workers busy and leaves the rest of the gate to others."""
    admitted: list[int] = []
    admit = detector.gate.admit

    def counting_admit(*, size_bytes: int, ticket: Ticket | None = None) -> Slot:
        slot = admit(size_bytes=size_bytes, ticket=ticket)
        admitted.append(detector.gate.inflight_images)
        return slot

    detector.gate.admit = counting_admit  # type: ignore[method-assign]
    results = client.post("/detect/batch", json={"images": texts(*[b"z"] * 12)}).json()["results"]
    assert slugs(results) == ["ok"] * 12
    assert max(admitted) == 3


def test_images_whose_pixels_do_not_fit_together_wait_for_each_other() -> None:
    """An idle server refuses no image of a batch because of the others in it."""
    detector = FakeDetector(max_pixels=640 * 480 + 1)
    with client_of(make_app(detector)) as client:
        results = client.post("/detect/batch", json={"images": texts(*[b"z%d" % i for i in range(8)])}).json()
    assert slugs(results["results"]) == ["ok"] * 8
    assert detector.gate.inflight_images == 0


def test_images_not_done_by_the_deadline_say_so_one_by_one(client: Client, detector: FakeDetector) -> None:
    """What was done in time is not lost, and what is late keeps its pixels until it has really ended."""
    slow = threading.Event()

    original = detector.detect

    def detect(data: bytes, *args: Any, slot: Slot, **options: Any) -> Any:  # noqa: ANN401 - as the original
        if data == b"slow":
            slot.reserve(detector.pixels)
            slow.wait(PATIENCE_S)
        return original(data, *args, slot=slot, **options)

    detector.detect = detect  # type: ignore[method-assign, assignment]
    answer = client.post(
        "/detect/batch",
        json={"images": texts(b"fast", b"slow")},
        headers={"x-request-timeout-ms": "300"},
    )
    assert slugs(answer.json()["results"]) == ["ok", "deadline-exceeded"]
    # The late image's thread has not ended.
    assert detector.gate._pixels == detector.pixels
    slow.set()
    assert detector.gate.wait_idle(PATIENCE_S)
    assert detector.gate._pixels == 0


def test_ndjson_has_one_result_per_line(client: Client) -> None:
    """In the order in which they are done."""
    response = client.post(
        "/detect/batch", files=files(b"a", b"", b"c"), headers={"accept": "application/x-ndjson"}
    )
    assert response.headers["content-type"] == "application/x-ndjson"
    results = [json.loads(line) for line in response.text.splitlines()]
    assert sorted(result["index"] for result in results) == [0, 1, 2]
    assert sorted(slugs(results)) == ["missing-image", "ok", "ok"]


def test_ndjson_lines_arrive_while_others_are_still_worked_on(detector: FakeDetector) -> None:
    """The first result does not wait for the last."""
    gates = {b"one": threading.Event(), b"two": threading.Event()}
    original = detector.detect

    def detect(data: bytes, *args: Any, **options: Any) -> Any:  # noqa: ANN401 - as the original
        assert gates[data].wait(PATIENCE_S)
        return original(data, *args, **options)

    detector.detect = detect  # type: ignore[method-assign]
    headers = {"accept": "application/x-ndjson"}
    with (
        running(make_app(detector)) as live,
        httpx.Client(timeout=PATIENCE_S) as http,
    ):
        gates[b"two"].set()
        images = files(b"one", b"two")
        with http.stream("POST", f"{live.url}/detect/batch", files=images, headers=headers) as response:
            lines = response.iter_lines()
            assert json.loads(next(lines))["index"] == 1
            gates[b"one"].set()
            assert json.loads(next(lines))["index"] == 0


def test_a_client_that_leaves_a_stream_takes_its_work_along(detector: FakeDetector) -> None:
    """What nobody reads is not computed."""
    detector.hold.clear()
    headers = {"accept": "application/x-ndjson"}
    with running(make_app(detector)) as live:
        with (
            httpx.Client(timeout=PATIENCE_S) as http,
            http.stream(
                "POST", f"{live.url}/detect/batch", json={"images": texts(*[b"z"] * 30)}, headers=headers
            ) as response,
        ):
            assert response.status_code == 200
            assert detector.started.wait(PATIENCE_S)
        detector.hold.set()
        assert detector.gate.wait_idle(PATIENCE_S)
    assert len(detector.seen) < 30
