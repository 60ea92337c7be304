"""The application: routes, middleware, error handlers, and a model that loads while probes are answered."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from fastapi import FastAPI
from starlette.exceptions import HTTPException

from ocrdet import __version__
from ocrdet.api.keys import ApiKeys
from ocrdet.api.linger import Lingering
from ocrdet.api.listener import Listener
from ocrdet.api.middleware import Observed, problem_response, record_of, told_problem
from ocrdet.api.offload import count_given_up
from ocrdet.api.problems import METHOD_NOT_ALLOWED, NOT_FOUND, SLUGS, Problem
from ocrdet.api.routes import ROUTES, add_routes
from ocrdet.api.server import Server
from ocrdet.api.service import Limits, Service, service_of
from ocrdet.errors import OcrdetError
from ocrdet.telemetry.logs import configure_logging
from ocrdet.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from ocrdet.detector import Detector
    from ocrdet.settings import Settings

DESCRIPTION = "Finds where text is in an image: regions with scores, no recognition."
# What is left after the drain has ended gets this long to leave the device.
CLOSE_SECONDS = 5.0


def create_app(
    settings: Settings, *, detector_factory: Callable[[Settings, Metrics], Detector] | None = None
) -> FastAPI:
    """The application; its model loads in a thread of its own once it is started.

    Args:
        settings: Validated settings.
        detector_factory: Makes the detector; `ocrdet.detector.open_detector` where left out.

    Returns:
        An ASGI application whose `state.service` is the Service.
    """
    metrics = Metrics(routes=[route.path for route in ROUTES], reasons=SLUGS)
    keys = ApiKeys.from_file(settings.api_keys_file) if settings.api_keys_file else None
    limits = Limits(**{name: getattr(settings, name) for name in Limits.__dataclass_fields__})
    service = Service(limits, metrics, keys)
    load = detector_factory or _open_detector

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        service.start_loading(lambda: load(settings, metrics))
        yield
        service.close(CLOSE_SECONDS)

    app = FastAPI(
        title="ocrdet",
        version=__version__,
        description=DESCRIPTION,
        docs_url="/docs" if settings.api_docs else None,
        redoc_url=None,
        openapi_url="/openapi.json" if settings.api_docs else None,
        lifespan=lifespan,
        # A redirected POST would lose its body on the way.
        redirect_slashes=False,
    )
    app.state.service = service
    app.add_exception_handler(OcrdetError, _answer_error)
    app.add_exception_handler(HTTPException, _answer_no_route)
    add_routes(app)
    app.add_middleware(Observed, service=service)
    app.add_middleware(Lingering)
    return app


def serve(settings: Settings) -> int:
    """Serve until told to stop.

    Args:
        settings: Validated settings.

    Returns:
        The process's exit code: 0 after an orderly stop, 1 where the model could not be loaded.
    """
    log_writer = configure_logging(settings.log_level, settings.log_format)
    try:
        app = create_app(settings)
        with Listener.open(settings.host, settings.port, settings.uds) as listener:
            server = Server(
                app,
                behind_socket_file=listener.path is not None,
                keep_alive_s=settings.keep_alive_seconds,
                header_timeout_s=settings.body_timeout_ms / 1e3,
                drain_delay_s=settings.drain_delay_seconds,
                drain_timeout_s=settings.drain_timeout_seconds,
            )
            exit_code = server.run_on(listener)
            # After a second signal uvicorn leaves without the end of the lifespan.
            app.state.service.close(CLOSE_SECONDS)
    finally:
        log_writer.close()
    if app.state.service.stuck:
        # Python would wait for its threads, and a device that is lost may never let them go; a thread that is
        # loading the model would abort the process.
        os._exit(exit_code)
    return exit_code


def _open_detector(settings: Settings, metrics: Metrics) -> Detector:
    # Here and not above: ONNX Runtime and OpenCV take their time, and `/livez` is to answer meanwhile.
    from ocrdet.detector import open_detector

    return open_detector(settings=settings, metrics=metrics)


async def _answer_error(request: Request, error: Exception) -> Response:
    record, metrics = record_of(request.scope), service_of(request).metrics
    if isinstance(error, OcrdetError) and error.facts.get("stage") == "body":
        count_given_up(error, metrics)
    return problem_response(told_problem(error, record, metrics), record)


async def _answer_no_route(request: Request, error: Exception) -> Response:
    """What the router alone raises: 404 and 405."""
    headers = dict(getattr(error, "headers", None) or {})
    if "Allow" in headers:
        if headers["Allow"] == "GET":
            headers["Allow"] = "GET, HEAD"
        problem = Problem(
            METHOD_NOT_ALLOWED, f"This path is for {headers['Allow']} requests.", headers=headers
        )
    else:
        paths = ", ".join(route.path for route in ROUTES)
        problem = Problem(NOT_FOUND, f"There is nothing at this path; the paths are {paths}.")
    return problem_response(problem, record_of(request.scope))
