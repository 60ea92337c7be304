"""Every path, its handler, and what the API documents say of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, Response

from ocrdet.api import health, schemas
from ocrdet.api.batch import NDJSON_MEDIA_TYPE, detect_batch
from ocrdet.api.detect import detect
from ocrdet.api.options import OPTIONS
from ocrdet.api.page_options import PAGE_OPTIONS
from ocrdet.api.pages import detect_pages
from ocrdet.api.problems import KINDS, MEDIA_TYPE, METHOD_NOT_ALLOWED, NOT_FOUND

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from fastapi import FastAPI
    from starlette.requests import Request

    from ocrdet.api.options import Option

IMAGE_BYTES = {"type": "string", "format": "binary"}
BASE64 = {"type": "string", "description": "base64, or a data: URI"}
NAMED_IMAGE = {
    "type": "object",
    "required": ["image"],
    "properties": {"image": BASE64, "name": {"type": "string"}},
}
TIMEOUT = {"type": "integer", "minimum": 1}
HEADERS = (
    ("X-Request-Timeout-Ms", "Longest wait for the answer, capped by the server's own limit.", TIMEOUT),
    ("X-Request-Id", "Kept if it is a sane token; else a new one is made.", {"type": "string"}),
)
# Statuses that a path without a body, or without a key, cannot have are left out.
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
        problems: Its other statuses that are told as problems.
        unwell: Shape of its 503 where that is no problem.
        also: Further media types of its 200.
        documents: Its parameters and bodies, which FastAPI cannot know.
    """

    path: str
    method: str
    handler: Callable[[Request], Awaitable[Response]]
    answer: object = None
    problems: Iterable[int] = ()
    unwell: object = None
    also: dict[str, Any] = field(default_factory=dict)
    documents: dict[str, Any] | None = None


def _documents(bodies: dict[str, Any], known: Iterable[Option] = OPTIONS.values()) -> dict[str, Any]:
    """Parameters and bodies; a body given as (member, schema) is an object that holds the options as well."""
    options = list(known)
    fields = {option.name: option.schema for option in options}
    parameters = [
        {"name": option.name, "in": "query", "description": option.description, "schema": option.schema}
        for option in options
    ] + [
        {"name": name, "in": "header", "description": description, "schema": schema}
        for name, description, schema in HEADERS
    ]
    content: dict[str, Any] = {}
    for media, body in bodies.items():
        schema = body
        if isinstance(body, tuple):
            member, shape = body
            schema = {"type": "object", "required": [member], "properties": {member: shape} | fields}
        content[media] = {"schema": schema}
    return {"parameters": parameters, "requestBody": {"required": True, "content": content}}


ROUTES = (
    RouteSpec(
        "/detect",
        "POST",
        detect,
        schemas.DetectionAnswer | schemas.WebuiAnswer,
        WORK_STATUSES,
        also={"image/png": {"schema": IMAGE_BYTES}, "image/jpeg": {"schema": IMAGE_BYTES}},
        documents=_documents(
            {
                "application/octet-stream": IMAGE_BYTES,
                "image/*": IMAGE_BYTES,
                "multipart/form-data": ("file", IMAGE_BYTES),
                "application/json": ("image", BASE64),
            }
        ),
    ),
    RouteSpec(
        "/detect/batch",
        "POST",
        detect_batch,
        schemas.BatchAnswer,
        WORK_STATUSES,
        also={NDJSON_MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/BatchResult"}}},
        documents=_documents(
            {
                "multipart/form-data": ("file", {"type": "array", "items": IMAGE_BYTES}),
                "application/json": ("images", {"type": "array", "items": {"anyOf": [BASE64, NAMED_IMAGE]}}),
            },
            [option for option in OPTIONS.values() if option.name != "output"],
        ),
    ),
    RouteSpec(
        "/detect/pages",
        "POST",
        detect_pages,
        schemas.PagesAnswer,
        WORK_STATUSES,
        also={NDJSON_MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/PageResult"}}},
        documents=_documents(
            {
                "application/pdf": IMAGE_BYTES,
                "application/octet-stream": IMAGE_BYTES,
                "image/*": IMAGE_BYTES,
                "multipart/form-data": ("file", IMAGE_BYTES),
                "application/json": ("image", BASE64),
            },
            PAGE_OPTIONS.values(),
        ),
    ),
    RouteSpec("/livez", "GET", health.livez, schemas.StatusAnswer, unwell=schemas.ErrorAnswer),
    RouteSpec("/readyz", "GET", health.readyz, schemas.ChecksAnswer, unwell=schemas.ChecksAnswer),
    RouteSpec("/healthz", "GET", health.healthz, schemas.HealthAnswer, unwell=schemas.ErrorAnswer),
    RouteSpec("/metrics", "GET", health.metrics, also={"text/plain": {"schema": {"type": "string"}}}),
    RouteSpec("/info", "GET", health.info, schemas.InfoAnswer, (401, 503)),
    RouteSpec("/models", "GET", health.models, schemas.ModelsAnswer, (401, 503)),
)


def add_routes(app: FastAPI) -> None:
    """Put every path on an application; handlers answer in bytes, so the shapes are for the documents."""
    for route in ROUTES:
        app.add_api_route(
            route.path,
            route.handler,
            methods=[route.method],
            response_class=JSONResponse if route.answer else Response,
            response_model=route.answer,
            responses=_responses(route),
            openapi_extra=route.documents,
            summary=(route.handler.__doc__ or "").splitlines()[0],
            description="",
        )
        if route.method == "GET":
            # Monitors like to ask with HEAD; it is the same answer without its body.
            app.add_route(route.path, route.handler, methods=["HEAD"], include_in_schema=False)


def _responses(route: RouteSpec) -> dict[int | str, dict[str, Any]]:
    responses: dict[int | str, dict[str, Any]] = {200: {"description": "Success", "content": route.also}}
    if route.unwell is not None:
        responses[503] = {"model": route.unwell, "description": "Not well"}
    for status in route.problems:
        slugs = sorted({kind.slug for kind in KINDS.values() if kind.status == status})
        content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
        responses[status] = {"description": ", ".join(slugs), "content": content}
    return responses
