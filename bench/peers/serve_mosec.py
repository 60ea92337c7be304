"""mosec around the plain pipeline: `python -m bench.peers.serve_mosec` in its own environment.

PEER_PROCESSES worker processes of one thread each behind mosec's HTTP process, no batching.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from mosec import Server, Worker  # type: ignore[import-not-found]

from bench.peers.pipeline import from_environment

PATIENCE_MS = "60000"  # mosec's three seconds are less than what 32 callers wait


class Peer(Worker):  # type: ignore[misc]
    """The pipeline as mosec wants it."""

    def __init__(self) -> None:
        """Open the model in a worker process."""
        super().__init__()
        self._pipeline = from_environment()

    def deserialize(self, data: bytes) -> bytes:
        """The bytes as they came."""
        return data

    def forward(self, data: bytes) -> dict[str, Any]:
        """Boxes and scores, which mosec writes as JSON."""
        return self._pipeline.detect(data)


if __name__ == "__main__":
    sys.argv[1:] = ["--address", "127.0.0.1", "--port", os.environ["PEER_PORT"], "--timeout", PATIENCE_MS]
    sys.argv += ["--log-level", "warning"]
    server = Server()
    server.append_worker(Peer, num=int(os.environ["PEER_PROCESSES"]), route="/detect")
    server.run()
