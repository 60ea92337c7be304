"""The API documents are the precise form of the HTTP contract, and they tell the truth.

`python -m tests.contract.test_openapi` writes the snapshot anew after a change that is meant.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ocrdet.api import schemas
from ocrdet.api.options import OPTIONS
from ocrdet.api.problems import KINDS, MEDIA_TYPE
from ocrdet.api.routes import ROUTES
from ocrdet.errors import CorruptImage
from tests.fakes import IMAGE, FakeDetector, client_of, make_app
from tests.system.images import noise, save

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import BaseModel

    from tests.fakes import Client

SNAPSHOT = Path(__file__).with_name("openapi.json")


def document() -> dict[str, Any]:
    """The OpenAPI document, without the release's version."""
    found: dict[str, Any] = make_app(FakeDetector()).openapi()
    found["info"]["version"] = "any"
    return found


def text_of(content: dict[str, Any]) -> str:
    """A document as the snapshot holds it."""
    return json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def test_the_contract_changes_only_with_its_snapshot() -> None:
    """Whoever changes it sees what clients will see."""
    assert text_of(document()) == SNAPSHOT.read_text(encoding="utf-8"), (
        "The OpenAPI document has changed. If that is meant: python -m tests.contract.test_openapi"
    )


def test_every_path_and_every_option_is_described() -> None:
    """Nothing works that is not written down."""
    found = document()
    assert set(found["paths"]) == {route.path for route in ROUTES}
    operation = found["paths"]["/detect"]["post"]
    named = {parameter["name"] for parameter in operation["parameters"] if parameter["in"] == "query"}
    assert named == set(OPTIONS)
    bodies = operation["requestBody"]["content"]
    assert set(bodies) == {"application/octet-stream", "image/*", "multipart/form-data", "application/json"}
    assert set(OPTIONS) < set(bodies["multipart/form-data"]["schema"]["properties"])


def test_every_status_that_a_request_can_get_is_promised_and_no_other() -> None:
    """A promise that is never kept is as bad as a surprise."""
    found = document()
    possible = {kind.status for kind in KINDS.values()} - {404, 403, 409, 499}
    for path in ("/detect", "/detect/batch", "/detect/pages"):
        responses = found["paths"][path]["post"]["responses"]
        assert {int(status) for status in responses} == possible | {200}
        for status in possible:
            assert set(responses[str(status)]["content"]) == {MEDIA_TYPE}


def test_every_reference_leads_somewhere() -> None:
    """A code generator would stumble."""

    def references(node: object) -> Iterator[str]:
        if isinstance(node, dict):
            if "$ref" in node:
                yield node["$ref"]
            for value in node.values():
                yield from references(value)
        elif isinstance(node, list):
            for value in node:
                yield from references(value)

    found = document()
    shapes = found["components"]["schemas"]
    used = {reference.rpartition("/")[2] for reference in references(found)}
    assert used <= set(shapes)


@pytest.fixture
def client() -> Iterator[Client]:
    """A client of the application around a detector that calls one image corrupt."""
    detector = FakeDetector()
    detector.failures[b"bad"] = CorruptImage("Not an image.")
    with client_of(make_app(detector)) as client:
        yield client


@pytest.mark.parametrize(
    ("method", "path", "options", "shape"),
    [
        ("POST", "/detect", {"content": IMAGE}, schemas.DetectionAnswer),
        (
            "POST",
            "/detect?polygons=true&normalized=true&coordinates=stored",
            {"content": IMAGE},
            schemas.DetectionAnswer,
        ),
        ("POST", "/detect?output=webui", {"content": IMAGE}, schemas.WebuiAnswer),
        ("POST", "/detect", {"content": b"bad"}, schemas.Problem),
        ("POST", "/detect/batch", {"files": [("file", IMAGE), ("file", b"bad")]}, schemas.BatchAnswer),
        ("POST", "/detect/pages", {"content": save(noise(8, 8), "tiff")}, schemas.PagesAnswer),
        ("GET", "/livez", {}, schemas.StatusAnswer),
        ("GET", "/readyz", {}, schemas.ChecksAnswer),
        ("GET", "/healthz", {}, schemas.HealthAnswer),
        ("GET", "/info", {}, schemas.InfoAnswer),
        ("GET", "/models", {}, schemas.ModelsAnswer),
        ("GET", "/nowhere", {}, schemas.Problem),
    ],
)
def test_real_answers_have_the_documented_shape(
    client: Client, method: str, path: str, options: dict[str, Any], shape: type[BaseModel]
) -> None:
    """Answers are written without the documented shapes, so they are compared."""
    response = client.request(method, path, **options)
    shape.model_validate_json(response.content, strict=True)


if __name__ == "__main__":
    SNAPSHOT.write_text(text_of(document()), encoding="utf-8")
