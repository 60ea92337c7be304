"""Memory for tensors."""

from __future__ import annotations

import numpy as np

from ocrdet.engine.tensors import TensorMemory
from tests.unit.engine.sessions import GRAPH, PIXEL_GRAPH


def test_a_lone_pass_gets_the_same_memory_again_and_tiles_get_their_own() -> None:
    """An ordinary image allocates nothing; tiles in one batch must not overwrite each other."""
    memory = TensorMemory(GRAPH, [(64, 64), (32, 96)])
    lone, again = memory.new_tensor((64, 64), passes=1), memory.new_tensor((32, 96), passes=1)
    assert lone.shape == (1, 3, 64, 64)
    assert again.shape == (1, 3, 32, 96)
    assert np.shares_memory(lone, again)
    first, second = memory.new_tensor((64, 64), passes=2), memory.new_tensor((64, 64), passes=2)
    assert not np.shares_memory(first, second)
    assert not np.shares_memory(first, lone)
    assert first.dtype == np.float32


def test_pixels_get_memory_of_their_own_order_and_type() -> None:
    """A quarter of that of a tensor."""
    memory = TensorMemory(PIXEL_GRAPH, [(64, 32)])
    for passes in (1, 2):
        tensor = memory.new_tensor((64, 32), passes)
        assert (tensor.shape, tensor.nbytes) == ((1, 64, 32, 3), 64 * 32 * 3)
