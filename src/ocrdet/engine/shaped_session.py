"""OpenVINO: one compiled graph per shape, because it computes fast only what it knows the shape of."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from ocrdet.engine.providers import SessionPlan
from ocrdet.engine.session import OrtSession

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from ocrdet.engine.manifest import Manifest


class ShapedSession:
    """Sessions of one model, one for each shape of its manifest; each run holds one image.

    A graph whose sides are left open takes a third more time for every run, on all threads.
    """

    def __init__(self, path: Path, manifest: Manifest, plan: SessionPlan) -> None:
        """Compile for every shape.

        Raises:
            ConfigurationError: The device is not there.
            ManifestInvalid: The graph is no detector of this kind, or is not readable.
        """
        # What the graph says of itself is asked on the CPU provider, which need not compile for it.
        plain = OrtSession(path, manifest, SessionPlan())
        self.graph = plain.graph
        plain.close()
        self._sessions: dict[tuple[int, ...], OrtSession] = {}
        for shape in self.graph.shapes(manifest.shapes):
            full = self.graph.batch_shape(self.graph.static_batch or 1, *shape)
            text = f"{self.graph.input.name}[{','.join(map(str, full))}]"
            shaped = dataclasses.replace(plan, input_shape=text)
            self._sessions[full[1:]] = OrtSession(path, manifest, shaped)
        self.provider = next(iter(self._sessions.values())).provider

    def run(self, batch: NDArray[np.generic]) -> NDArray[np.float32]:
        """See `Session.run`.

        Raises:
            InferenceFailed: The run raised.
        """
        return self._sessions[batch.shape[1:]].run(batch)

    def new_batch(self, shape: tuple[int, ...]) -> NDArray[np.generic]:
        """See `Session.new_batch`."""
        return self._sessions[shape[1:]].new_batch(shape)

    def close(self) -> None:
        """See `Session.close`."""
        for session in self._sessions.values():
            session.close()
        self._sessions.clear()
