"""A running server as a predictor, over connections that stay open from image to image."""

from __future__ import annotations

import contextlib
import functools
import http.client
import json
import queue
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from ocrdet.errors import ConfigurationError, InvalidParameter
from ocrdet.lab.prediction import Prediction

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

TIMEOUT_S = 120.0
# A full server says when to come back; it is asked again this often.
ATTEMPTS = 20
BUSY = frozenset({429, 503})
LONGEST_PAUSE_S = 5.0


class Server:
    """`POST /detect` of a server."""

    def __init__(self, url: str, options: Mapping[str, str], api_key: str | None = None) -> None:
        """Note where it is; it is asked later.

        Args:
            url: Where it listens, as http://127.0.0.1:8000.
            options: Options of `POST /detect` by name.
            api_key: Sent as `Authorization: Bearer`, where the server wants a key.

        Raises:
            InvalidParameter: This is no URL of a server.
        """
        self._url = url
        self._connect, self._prefix = read_url(url)
        self._query = urlencode({**options, "coordinates": "stored"})
        self._headers = {"Content-Type": "application/octet-stream"}
        if api_key:
            self._headers["Authorization"] = f"Bearer {api_key}"
        self._idle: queue.SimpleQueue[http.client.HTTPConnection] = queue.SimpleQueue()

    def model(self) -> dict[str, str]:
        """Name, version and execution provider of the model that answers.

        Raises:
            ConfigurationError: No ocrdet answers at this URL.
        """
        try:
            status, info = self._ask("GET", "/info")
            if status != http.client.OK:
                raise ConfigurationError(f"{self._url} answers with status {status}: {info['detail']}")
            model = info["model"]
            return {"name": model["name"], "version": model["version"], "provider": info["provider"]}
        except (OSError, http.client.HTTPException, ValueError, LookupError, TypeError) as error:
            raise ConfigurationError(f"No ocrdet answers at {self._url}: {error}.") from error

    def predict(self, data: bytes) -> Prediction:
        """What the server finds; its refusal is the prediction's problem.

        Raises:
            OSError: It cannot be reached any more.
            HTTPException: What it sends is no answer.
        """
        status, answer = self._ask("POST", f"/detect?{self._query}", data)
        if status == http.client.OK:
            return Prediction.from_answer(answer)
        return Prediction(problem=f"{answer.get('detail', 'no reason given')} (status {status})")

    def close(self) -> None:
        """Close the connections."""
        while not self._idle.empty():
            self._idle.get().close()

    def _ask(self, method: str, path: str, data: bytes | None = None) -> tuple[int, Any]:
        """Status and JSON of the answer; asks again while the server is full."""
        response, body = self._send(method, self._prefix + path, data)
        for _ in range(ATTEMPTS):
            if response.status not in BUSY:
                break
            wanted_s = response.headers.get("Retry-After", "")
            time.sleep(min(float(wanted_s) if wanted_s.isdecimal() else 1.0, LONGEST_PAUSE_S))
            response, body = self._send(method, self._prefix + path, data)
        return response.status, json.loads(body)

    def _send(self, method: str, path: str, data: bytes | None) -> tuple[http.client.HTTPResponse, bytes]:
        """One request, on an idle connection or on a new one.

        Raises:
            OSError: The server cannot be reached.
            HTTPException: What it sends is no answer.
        """
        try:
            connection = self._idle.get_nowait()
        except queue.Empty:
            connection = self._connect()
        reused = connection.sock is not None
        try:
            return self._exchange(connection, method, path, data)
        except (OSError, http.client.HTTPException):
            connection.close()
            if not reused:
                raise
            # The server may have closed it while it was idle.
            return self._exchange(connection, method, path, data)
        finally:
            self._idle.put(connection)

    def _exchange(
        self, connection: http.client.HTTPConnection, method: str, path: str, data: bytes | None
    ) -> tuple[http.client.HTTPResponse, bytes]:
        connection.request(method, path, data, self._headers)
        response = connection.getresponse()
        return response, response.read()


def read_url(url: str) -> tuple[Callable[[], http.client.HTTPConnection], str]:
    """What makes a connection to the server there, and what stands before its paths.

    Raises:
        InvalidParameter: This is no URL of a server.
    """
    kinds = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}
    with contextlib.suppress(ValueError):  # of brackets and ports that are none
        parts = urlsplit(url)
        if parts.scheme in kinds and parts.hostname:
            connect = functools.partial(kinds[parts.scheme], parts.hostname, parts.port, timeout=TIMEOUT_S)
            return connect, parts.path.rstrip("/")
    raise InvalidParameter(f"The URL must be like http://127.0.0.1:8000; {url!r} is not.")
