"""Host memory whose pages the kernel leaves in place, so that a CUDA device copies it without a detour."""

from __future__ import annotations

import ctypes
import logging
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

log = logging.getLogger(__name__)

DRIVER = "libcuda.so.1"
PAGE_BYTES = 4096


class PageLock:
    """Arrays in locked pages, by CUDA's driver interface; ordinary memory where there is no driver.

    The thread that allocates must have a CUDA context: the one that has opened a session has.
    """

    def __init__(self) -> None:
        """Look for the driver."""
        try:
            self._driver: Any = ctypes.CDLL(DRIVER)
        except OSError:
            self._driver = None
        self._locked: list[NDArray[np.uint8]] = []

    def allocate(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """A new array, its values yet to be written."""
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        # Whole pages of its own: what is locked is locked by the page, and only once.
        room = np.empty(size + 2 * PAGE_BYTES, np.uint8)
        start = -room.ctypes.data % PAGE_BYTES
        pages = room[start : start + -(-size // PAGE_BYTES) * PAGE_BYTES]
        self._try_to_lock(pages)
        return pages[:size].view(dtype).reshape(shape)

    def release(self) -> None:
        """Unlock all of it; the arrays stay as they are."""
        for pages in self._locked:
            self._driver.cuMemHostUnregister(ctypes.c_void_p(pages.ctypes.data))
        self._locked.clear()

    def _try_to_lock(self, pages: NDArray[np.uint8]) -> None:
        if self._driver is None:
            return
        address = ctypes.c_void_p(pages.ctypes.data)
        status = self._driver.cuMemHostRegister_v2(address, ctypes.c_size_t(pages.nbytes), ctypes.c_uint(0))
        if status == 0:
            self._locked.append(pages)
        else:  # copies take longer, and nothing else changes
            log.warning("Host memory could not be locked for the device: CUDA error %s.", status)
