"""The process around the application: its signals and its orderly end."""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
from typing import TYPE_CHECKING

import uvicorn
from typing_extensions import override

from ocrdet.api.listener import BACKLOG
from ocrdet.api.protocol import Protocol

if TYPE_CHECKING:
    import socket
    from types import FrameType

    from fastapi import FastAPI

    from ocrdet.api.listener import Listener
    from ocrdet.api.service import Service
    from ocrdet.detector import Detector

logger = logging.getLogger(__name__)


class Server(uvicorn.Server):
    """uvicorn's server with an orderly end: say no to readiness, wait, finish, leave with code 0."""

    def __init__(  # noqa: PLR0913 - each argument is one setting
        self,
        app: FastAPI,
        *,
        behind_socket_file: bool = False,
        keep_alive_s: int = 75,
        header_timeout_s: float = 10.0,
        drain_delay_s: float = 0.0,
        drain_timeout_s: float = 30.0,
    ) -> None:
        """Prepare; `run_on` serves.

        Args:
            app: What `create_app` made.
            behind_socket_file: Whether it will listen on a unix socket.
            keep_alive_s: How long idle connections are kept.
            header_timeout_s: How long a request's headers may take.
            drain_delay_s: How long to go on serving after a signal while readiness says no.
            drain_timeout_s: How long to finish what is in flight after that.
        """
        config = uvicorn.Config(
            app,
            loop="uvloop",
            http=type("BoundProtocol", (Protocol,), {"header_timeout_s": header_timeout_s}),
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            # Whoever connects through the socket's file is a proxy on this machine.
            forwarded_allow_ips="*" if behind_socket_file else "127.0.0.1,::1",
            timeout_keep_alive=keep_alive_s,
            timeout_graceful_shutdown=drain_timeout_s,  # type: ignore[arg-type]  # it is only ever waited for
            backlog=BACKLOG,
        )
        super().__init__(config)
        self._service: Service = app.state.service
        self._drain_delay_s = drain_delay_s
        self._loop: asyncio.AbstractEventLoop | None = None

    @override
    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin the end at the first signal; a second one skips the delay, a third one the rest."""
        # uvicorn would raise the signal again at the end, and the exit code would not be 0.
        first, self._service.draining = not self._service.draining, True
        if self.should_exit:
            self.force_exit = True
        elif first and self._drain_delay_s > 0 and (loop := self._loop) is not None:
            logger.info("Stopping in %g s; readiness says no from now on.", self._drain_delay_s)
            loop.call_soon_threadsafe(loop.call_later, self._drain_delay_s, self.stop)
        else:
            self.should_exit = True

    def run_on(self, listener: Listener) -> int:
        """Serve on a socket until the end.

        Returns:
            The process's exit code: 0 after an orderly end, 1 where the model could not be loaded.
        """
        self._service.on_ready = lambda detector: _announce(listener, detector)
        self._service.on_failure = self.stop
        self.run([listener.sock])
        return 1 if self._service.failure is not None else 0

    def stop(self) -> None:
        """End the main loop at its next turn; safe to call from any thread."""
        self.should_exit = True

    @override
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)

    @override
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._service.draining = True
        detector = self._service.loaded()
        if detector is not None:
            detector.gate.drain()
            logger.info("Stopping; images in work, finished first: %d.", detector.gate.inflight_images)
        await super().shutdown(sockets)


def _announce(listener: Listener, detector: Detector) -> None:
    # What lives now lives to the end: else some request waits while 70,000 objects are looked through.
    gc.collect()
    gc.freeze()
    identity = detector.identity
    ready = f"ocrdet is ready on {listener.url} ({identity.name} on {identity.provider}); try:"
    if sys.stdout.isatty():
        print(f"{ready}\n  {listener.curl}", flush=True)  # noqa: T201 - to be copied by a person
    else:
        logger.info("%s %s", ready, listener.curl)
