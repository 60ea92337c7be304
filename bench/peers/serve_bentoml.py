"""BentoML around the plain pipeline: `bentoml serve bench.peers.serve_bentoml:Peer` in its own environment.

PEER_PROCESSES worker processes, in each a one-thread session that PEER_CALLERS threads call, no batching. A
lone positional argument of type `bytes` is the raw body.
"""

from __future__ import annotations

import os
from typing import Any

import bentoml  # type: ignore[import-not-found]

from bench.peers.pipeline import from_environment


@bentoml.service(
    workers=int(os.environ["PEER_PROCESSES"]),
    threads=int(os.environ["PEER_CALLERS"]),
    traffic={"timeout": 60},
    logging={"access": {"enabled": False}},
)
class Peer:
    """The pipeline as BentoML wants it."""

    def __init__(self) -> None:
        """Open the model in a worker process."""
        self._pipeline = from_environment()

    @bentoml.api(route="/detect")  # type: ignore[untyped-decorator]
    def detect(self, image: bytes, /) -> dict[str, Any]:
        """Boxes and scores, which BentoML writes as JSON."""
        return self._pipeline.detect(image)
