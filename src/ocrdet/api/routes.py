"""Every path, its handler, and what the API documents say of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.responses import Response

from ocrdet.api import health, schemas
from ocrdet.api.batch import NDJSON_MEDIA_TYPE, detect_batch
from ocrdet.api.detect import detect
from ocrdet.api.options import OPTIONS
from ocrdet.api.problems import KINDS, MEDIA_TYPE, METHOD_NOT_ALLOWED, NOT_FOUND

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from fastapi import FastAPI
    from starlette.requests import Request

IMAGE_BYTES = {"type": "string", "format": "binary"}
BASE64 = {"type": "string", "description": "base64, or a data: URI"}
# Problems that a path without a body, or without a key, cannot have.
WORK_STATUSES = sorted(
    {kind.status for kind in KINDS.values()} - {NOT_FOUND.status, METHOD_NOT_ALLOWED.status, 403, 409, 499}
)


@dataclass(frozen=True, slots=True)
class RouteSpec:
    """One path.

    Attributes:
        path: As clients write it; also the route label of metrics and logs.
        method: GET or POST.
        handler: Answers it.
        answer: Shape of its 200.
        errors: Shapes of its other answers, by status; None is a problem.
        extra: OpenAPI members that FastAPI cannot know: parameters and bodies.
        content: Media types of its 200; JSON of the `answer` where left out.
    """

    path: str
    method: str
    handler: Callable[[Request], Awaitable[Response]]
    answer: type[BaseModel] | None
    errors: dict[int, type[BaseModel] | None] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)
    content: dict[str, Any] = field(default_factory=dict)


def _reference(shape: type[BaseModel]) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{shape.__name__}"}


def _parameters(*, without: frozenset[str] = frozenset()) -> list[dict[str, Any]]:
    return [
        {"name": option.name, "in": "query", "description": option.description, "schema": option.schema}
        for option in OPTIONS.values()
        if option.name not in without
    ] + [
        {
            "name": "X-Request-Timeout-Ms",
            "in": "header",
            "description": "Longest wait for the answer, capped by the server's own limit.",
            "schema": {"type": "integer", "minimum": 1},
        },
        {
            "name": "X-Request-Id",
            "in": "header",
            "description": "Kept if it is a sane token; else a new one is made.",
            "schema": {"type": "string"},
        },
    ]


def _object(
    properties: dict[str, Any], required: str, *, without: frozenset[str] = frozenset()
) -> dict[str, Any]:
    options = {option.name: option.schema for option in OPTIONS.values() if option.name not in without}
    return {"schema": {"type": "object", "required": [required], "properties": properties | options}}


_NO_OUTPUT = frozenset({"output"})
_NAMED_IMAGE = {
    "type": "object",
    "required": ["image"],
    "properties": {"image": BASE64, "name": {"type": "string"}},
}
DETECT_EXTRA = {
    "parameters": _parameters(),
    "requestBody": {
        "required": True,
        "content": {
            "application/octet-stream": {"schema": IMAGE_BYTES},
            "image/*": {"schema": IMAGE_BYTES},
            "multipart/form-data": _object({"file": IMAGE_BYTES}, "file"),
            "application/json": _object({"image": BASE64}, "image"),
        },
    },
}
BATCH_EXTRA = {
    "parameters": _parameters(without=_NO_OUTPUT),
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": _object(
                {"file": {"type": "array", "items": IMAGE_BYTES}}, "file", without=_NO_OUTPUT
            ),
            "application/json": _object(
                {"images": {"type": "array", "items": {"anyOf": [BASE64, _NAMED_IMAGE]}}},
                "images",
                without=_NO_OUTPUT,
            ),
        },
    },
}
_WORK_ERRORS: dict[int, type[BaseModel] | None] = dict.fromkeys(WORK_STATUSES)
_KEYED_ERRORS: dict[int, type[BaseModel] | None] = dict.fromkeys((401, 503))

ROUTES = (
    RouteSpec(
        "/detect",
        "POST",
        detect,
        schemas.DetectionAnswer,
        _WORK_ERRORS,
        DETECT_EXTRA,
        {
            "application/json": {
                "schema": {"anyOf": [_reference(schemas.DetectionAnswer), _reference(schemas.WebuiAnswer)]}
            },
            "image/png": {"schema": IMAGE_BYTES},
            "image/jpeg": {"schema": IMAGE_BYTES},
        },
    ),
    RouteSpec(
        "/detect/batch",
        "POST",
        detect_batch,
        schemas.BatchAnswer,
        _WORK_ERRORS,
        BATCH_EXTRA,
        {NDJSON_MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/BatchResult"}}},
    ),
    RouteSpec("/livez", "GET", health.livez, schemas.StatusAnswer, {503: schemas.ErrorAnswer}),
    RouteSpec("/readyz", "GET", health.readyz, schemas.ChecksAnswer, {503: schemas.ChecksAnswer}),
    RouteSpec("/healthz", "GET", health.healthz, schemas.HealthAnswer, {503: schemas.ErrorAnswer}),
    RouteSpec(
        "/metrics", "GET", health.metrics, None, content={"text/plain": {"schema": {"type": "string"}}}
    ),
    RouteSpec("/info", "GET", health.info, schemas.InfoAnswer, _KEYED_ERRORS),
    RouteSpec("/models", "GET", health.models, schemas.ModelsAnswer, _KEYED_ERRORS),
)


def add_routes(app: FastAPI) -> None:
    """Put every path on an application."""
    for route in ROUTES:
        app.add_api_route(
            route.path,
            route.handler,
            methods=[route.method],
            response_class=Response,
            response_model=None,
            responses=_responses(route),
            openapi_extra=route.extra or None,
            summary=(route.handler.__doc__ or "").splitlines()[0],
            description="",
        )
        if route.method == "GET":
            # Monitors like to ask with HEAD; it is the same answer without its body.
            app.add_route(route.path, route.handler, methods=["HEAD"], include_in_schema=False)


def openapi_document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document, with the shapes that FastAPI never sees because answers are bytes."""
    document = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes
    )
    shapes = [
        value for value in vars(schemas).values() if isinstance(value, type) and issubclass(value, BaseModel)
    ]
    _, components = models_json_schema(
        [
            (shape, "serialization")
            for shape in shapes
            if not shape.__name__.startswith("_") and shape is not BaseModel
        ],
        ref_template="#/components/schemas/{model}",
    )
    document["components"] = {"schemas": components["$defs"]}
    return document


def _responses(route: RouteSpec) -> dict[int | str, dict[str, Any]]:
    success: dict[str, Any] = {"description": "Success", "content": dict(route.content)}
    if route.answer is not None:
        success["content"] = {"application/json": {"schema": _reference(route.answer)}} | success["content"]
    responses: dict[int | str, dict[str, Any]] = {200: success}
    for status, shape in route.errors.items():
        content = (
            {MEDIA_TYPE: {"schema": _reference(schemas.Problem)}}
            if shape is None
            else {"application/json": {"schema": _reference(shape)}}
        )
        responses[status] = {"description": _describe(status), "content": content}
    return responses


def _describe(status: int) -> str:
    slugs = sorted({kind.slug for kind in KINDS.values() if kind.status == status})
    return ", ".join(slugs) or "Error"
