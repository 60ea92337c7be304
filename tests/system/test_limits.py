"""Keys, slots, sizes and deadlines: what the operator allows and no more, over real HTTP."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from tests.system.images import draw_page, noise, save
from tests.system.server import ServerProcess, assert_problem, regions_of, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PNG = draw_page().file("png")
BODY_LIMIT, BATCH_LIMIT = 100_000, 300_000
FIRST_KEY, SECOND_KEY, ADMIN_KEY = "first-key", "second-key", "admin-key"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, small_model: Path) -> Iterator[ServerProcess]:
    """A server with keys, a small limit for bodies and little patience."""
    folder = tmp_path_factory.mktemp("guarded")
    (folder / "keys").write_text(f"# old and new\n{FIRST_KEY}\n\n{SECOND_KEY}\nadmin:{ADMIN_KEY}\n")
    settings = {
        "OCRDET_API_KEYS_FILE": str(folder / "keys"),
        "OCRDET_BODY_TIMEOUT_MS": "500",
        "OCRDET_MAX_BODY_BYTES": str(BODY_LIMIT),
        "OCRDET_MAX_BATCH_BODY_BYTES": str(BATCH_LIMIT),
        "OCRDET_MODEL": str(small_model),
    }
    with ServerProcess(folder, **settings) as server:
        yield server
        assert server.stop() == 0


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory, small_model: Path) -> Iterator[ServerProcess]:
    """A server that admits one image at a time."""
    folder = tmp_path_factory.mktemp("narrow")
    settings = {"OCRDET_MAX_INFLIGHT_IMAGES": "1", "OCRDET_MODEL": str(small_model)}
    with ServerProcess(folder, **settings) as server:
        yield server
        assert server.stop() == 0


def key(text: str) -> dict[str, str]:
    """The header that shows a key."""
    return {"Authorization": f"Bearer {text}"}


def test_a_large_body_is_refused_before_it_is_sent(guarded: ServerProcess) -> None:
    """Its length is known from the header, and its first byte is not waited for."""
    with guarded.uploading(bytes(BODY_LIMIT + 1), 0, **key(FIRST_KEY)) as upload:
        problem = assert_problem(upload.answer(), 413, "body-too-large")
    assert problem["limit_bytes"] == BODY_LIMIT


def test_a_large_body_of_unknown_length_is_refused_while_it_comes(guarded: ServerProcess) -> None:
    """Chunks are counted."""
    pieces = (bytes(10_000) for _ in range(20))
    response = guarded.client.post("/detect", content=pieces, headers=key(FIRST_KEY))
    assert_problem(response, 413, "body-too-large")


def test_a_body_of_just_the_limit_is_taken(guarded: ServerProcess) -> None:
    """A limit is what may be sent."""
    picture = save(Image.new("RGB", (160, 160), "white"), "bmp")
    data = picture + bytes(BODY_LIMIT - len(picture))
    assert guarded.detect(data, headers=key(FIRST_KEY)).status_code == 200


def test_a_batch_has_its_own_limit_and_each_image_that_of_one(guarded: ServerProcess) -> None:
    """One image that is too large never fails another; a body that is too large is refused as a whole."""
    too_large = bytes(BODY_LIMIT + 1)
    request = {"files": [("file", PNG), ("file", too_large), ("file", PNG)], "headers": key(FIRST_KEY)}
    response = guarded.client.post("/detect/batch", **request)  # type: ignore[arg-type]
    assert [result["status"] for result in response.json()["results"]] == [200, 413, 200]
    request["files"] = [("file", too_large)] * 3
    response = guarded.client.post("/detect/batch", **request)  # type: ignore[arg-type]
    assert_problem(response, 413, "body-too-large")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        key("wrong"),
        key(f"{FIRST_KEY}x"),
        {"Authorization": FIRST_KEY},
        {"Authorization": f"Basic {FIRST_KEY}"},
    ],
)
def test_without_a_valid_key_nothing_is_detected(guarded: ServerProcess, headers: dict[str, str]) -> None:
    """The body is not even read."""
    for path in ("/detect", "/detect/batch"):
        response = guarded.client.post(path, content=PNG, headers=headers)
        assert_problem(response, 401, "unauthorized")
        assert response.headers["www-authenticate"].startswith("Bearer")
    assert_problem(guarded.client.get("/info", headers=headers), 401, "unauthorized")


@pytest.mark.parametrize("text", [FIRST_KEY, SECOND_KEY, ADMIN_KEY])
def test_each_key_opens_the_service(guarded: ServerProcess, text: str) -> None:
    """Several at once, so that they can be rotated."""
    assert guarded.detect(PNG, headers=key(text)).status_code == 200


def test_probes_need_no_key(guarded: ServerProcess) -> None:
    """Orchestrators and scrapers have none."""
    for path in ("/livez", "/readyz", "/healthz", "/metrics"):
        assert guarded.client.get(path).status_code == 200


@pytest.mark.parametrize("sent", [0, 100])
def test_an_upload_that_stalls_is_given_up(guarded: ServerProcess, sent: int) -> None:
    """And its slot is free again."""
    with guarded.uploading(PNG, sent, **key(FIRST_KEY)) as upload:
        assert_problem(upload.answer(), 408, "body-timeout")
    assert wait_for(guarded.idle, "the slot to be free")


def test_a_full_server_refuses_at_once_and_says_when_to_come_back(narrow: ServerProcess) -> None:
    """Before a byte of the body is sent; the request that holds the slot is not disturbed."""
    with narrow.uploading(PNG, 100) as first:
        wait_for(lambda: not narrow.idle(), "the first request to hold the slot")
        with narrow.uploading(PNG, 0) as second:
            response = second.answer()
        assert_problem(response, 429, "overloaded")
        assert 1 <= int(response.headers["retry-after"]) <= 60
        assert narrow.client.get("/readyz").status_code == 200
        answer = first.finish()
    assert answer.status_code == 200
    assert len(answer.json()["regions"]) == 2
    assert wait_for(narrow.idle, "the slot to be free")
    assert narrow.detect(PNG).status_code == 200


def test_of_many_at_once_some_are_answered_and_the_others_refused(narrow: ServerProcess) -> None:
    """Nothing else happens to them, and afterwards all is as before."""
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(narrow.detect, [PNG] * 24))
    refused = [answer for answer in answers if answer.status_code != 200]
    assert 0 < len(refused) < len(answers)
    for answer in refused:
        assert_problem(answer, 429, "overloaded")
    assert len({regions_of(answer) for answer in answers if answer not in refused}) == 1
    assert wait_for(narrow.idle, "the slot to be free")


def test_a_batch_of_more_images_than_slots_is_worked_off(narrow: ServerProcess) -> None:
    """Its images share the one slot that it has."""
    response = narrow.client.post("/detect/batch", files=[("file", PNG)] * 3)
    assert [result["status"] for result in response.json()["results"]] == [200] * 3
    assert wait_for(narrow.idle, "the slot to be free")


def test_a_deadline_that_cannot_be_kept_is_told(server: ServerProcess) -> None:
    """No model runs in a millisecond."""
    response = server.detect(save(noise(1200, 900), "png"), headers={"X-Request-Timeout-Ms": "1"})
    assert_problem(response, 504, "deadline-exceeded")
    assert wait_for(server.idle, "the slot to be free")
