"""Locked host memory: whole pages of its own, by a driver that the test plays."""

from __future__ import annotations

import ctypes
import gc
from typing import TYPE_CHECKING

import numpy as np
import pytest

from ocrdet.engine.page_lock import DRIVER, PAGE_BYTES, PageLock

if TYPE_CHECKING:
    from numpy.typing import DTypeLike


class Driver:
    """Remembers what is locked.

    Attributes:
        status: What it answers.
        locked: Sizes by address.
    """

    def __init__(self, status: int) -> None:
        """Nothing is."""
        self.status = status
        self.locked: dict[int, int] = {}

    def cuMemHostRegister_v2(  # noqa: N802 - the driver's own name
        self, address: ctypes.c_void_p, size: ctypes.c_size_t, flags: ctypes.c_uint
    ) -> int:
        """Lock pages, unless it was told to refuse."""
        assert flags.value == 0
        assert address.value is not None
        if self.status == 0:
            self.locked[address.value] = size.value
        return self.status

    def cuMemHostUnregister(self, address: ctypes.c_void_p) -> int:  # noqa: N802 - the driver's own name
        """Unlock pages that were locked."""
        assert address.value is not None
        del self.locked[address.value]
        return 0


def make_lock(monkeypatch: pytest.MonkeyPatch, status: int = 0) -> tuple[PageLock, Driver]:
    """A lock, and its driver that answers like this."""
    driver = Driver(status)

    def load(name: str) -> Driver:
        assert name == DRIVER
        return driver

    monkeypatch.setattr(ctypes, "CDLL", load)
    return PageLock(), driver


ARRAYS = [
    ((1, 5, 7, 3), np.uint8),
    ((2, 64, 64, 3), np.uint8),
    ((3, 1, 33, 31), np.float32),
    ((8,), np.float16),
]


def assert_usable(lock: PageLock, shape: tuple[int, ...], dtype: DTypeLike) -> None:
    """An array as asked for, which keeps what is written."""
    array = lock.allocate(shape, dtype)
    assert array.shape == shape
    assert array.dtype == dtype
    assert array.flags.c_contiguous
    assert array.ctypes.data % PAGE_BYTES == 0
    array[...] = 7
    assert (array == 7).all()


@pytest.mark.parametrize(("shape", "dtype"), ARRAYS, ids=str)
def test_without_a_driver_the_memory_is_ordinary(
    monkeypatch: pytest.MonkeyPatch, shape: tuple[int, ...], dtype: DTypeLike
) -> None:
    """A machine for tests, where the device is the CPU."""

    def missing(name: str) -> None:
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(ctypes, "CDLL", missing)
    lock = PageLock()
    assert_usable(lock, shape, dtype)
    lock.release()


@pytest.mark.parametrize(("shape", "dtype"), ARRAYS, ids=str)
def test_whole_pages_are_locked_and_they_hold_the_array(
    monkeypatch: pytest.MonkeyPatch, shape: tuple[int, ...], dtype: DTypeLike
) -> None:
    """No page is locked twice, because each array has its own."""
    lock, driver = make_lock(monkeypatch)
    arrays = [lock.allocate(shape, dtype) for _ in range(3)]
    assert len(driver.locked) == len(arrays)
    ends = 0
    for address, size in sorted(driver.locked.items()):
        assert address % PAGE_BYTES == size % PAGE_BYTES == 0
        assert address >= ends
        ends = address + size
    assert all(array.nbytes <= driver.locked[array.ctypes.data] for array in arrays)
    assert_usable(lock, shape, dtype)


def test_what_was_locked_is_unlocked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The arrays stay as they are: somebody may still look at a map."""
    lock, driver = make_lock(monkeypatch)
    array = lock.allocate((4, 4), np.float32)
    array[...] = 5
    lock.release()
    assert not driver.locked
    assert (array == 5).all()
    lock.release()


def test_memory_stays_locked_and_in_its_place_until_released(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where nobody holds the array any more: memory that is freed while locked would be lost."""
    lock, driver = make_lock(monkeypatch)
    address = lock.allocate((1 << 20,), np.uint8).ctypes.data
    gc.collect()
    assert list(driver.locked) == [address]
    other = lock.allocate((1 << 20,), np.uint8)
    assert other.ctypes.data != address
    lock.release()


def test_a_refusal_is_a_warning(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """A limit on locked memory makes copies slower, and nothing else."""
    lock, driver = make_lock(monkeypatch, status=2)
    assert_usable(lock, (2, 64, 64, 3), np.uint8)
    assert "could not be locked for the device: CUDA error 2" in caplog.text
    lock.release()
    assert not driver.locked
