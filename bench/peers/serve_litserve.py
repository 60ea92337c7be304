"""LitServe around the plain pipeline: `python -m bench.peers.serve_litserve` in its own environment.

PEER_PROCESSES worker processes of one thread each, one HTTP process, no batching (batches do not
help on CPU), and the raw body as FastAPI gives it, so that no multipart form is parsed.
"""

# No `from __future__ import annotations`: LitServe reads the annotation of `decode_request` as an object.
import os
from typing import Annotated, Any

import litserve  # type: ignore[import-not-found]
from fastapi import Body

from bench.peers.pipeline import Pipeline, from_environment


class Peer(litserve.LitAPI):  # type: ignore[misc]
    """The pipeline as LitServe wants it."""

    _pipeline: Pipeline

    def setup(self, device: str) -> None:  # noqa: ARG002 - LitServe gives it
        """Open the model in a worker process."""
        self._pipeline = from_environment()

    def decode_request(self, request: Annotated[bytes, Body(media_type="image/jpeg")]) -> bytes:
        """The bytes as they came."""
        return request

    def predict(self, data: bytes) -> dict[str, Any]:
        """Boxes and scores."""
        return self._pipeline.detect(data)

    def encode_response(self, output: dict[str, Any]) -> dict[str, Any]:
        """What LitServe writes as JSON."""
        return output


if __name__ == "__main__":
    litserve.LitServer(
        Peer(api_path="/detect"),
        accelerator="cpu",
        workers_per_device=int(os.environ["PEER_PROCESSES"]),
    ).run(
        host="127.0.0.1",
        port=int(os.environ["PEER_PORT"]),
        num_api_servers=1,
        generate_client_file=False,
        log_level="warning",
    )
