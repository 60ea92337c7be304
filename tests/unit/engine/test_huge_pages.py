"""Large pages for what is large and in use."""

from __future__ import annotations

import ctypes
import mmap
from typing import TYPE_CHECKING

import numpy as np
import pytest

from ocrdet.engine import huge_pages
from ocrdet.engine.huge_pages import HUGE_BYTES, SMAPS, use_huge_pages, used_blocks

if TYPE_CHECKING:
    from pathlib import Path

SMAPS_TEXT = """\
00400000-00c00000 rw-p 00000000 00:00 0
Size:               8192 kB
Rss:                8000 kB
55ef52134000-55ef52976000 rw-p 00000000 00:00 0                          [heap]
Size:               8456 kB
Rss:                8456 kB
7f0000000000-7f0000800000 rw-p 00000000 00:00 0
Size:               8192 kB
Rss:                  16 kB
7f1000000000-7f1000800000 rw-p 00000000 fe:00 260850                     /usr/lib/libcuda.so
Size:               8192 kB
Rss:                8192 kB
7f2000000000-7f2000800000 r--p 00000000 00:00 0
Size:               8192 kB
Rss:                8192 kB
7f3000100000-7f3000200000 rw-p 00000000 00:00 0
Size:               1024 kB
Rss:                1024 kB
"""


def test_only_large_writable_memory_of_the_process_that_is_in_use_is_moved() -> None:
    """No stack that is reserved and hardly used, no file, nothing smaller than a large page."""
    assert list(used_blocks(SMAPS_TEXT)) == [
        (0x400000, 4 * HUGE_BYTES),
        (0x55EF52200000, 3 * HUGE_BYTES),
    ]


def test_what_lies_in_the_memory_stays() -> None:
    """The pages change, their contents do not."""
    values = np.arange(8 * HUGE_BYTES // 8)
    use_huge_pages()
    assert np.array_equal(values, np.arange(len(values)))


@pytest.mark.skipif(not SMAPS.exists(), reason="the system does not tell where memory lies")
def test_a_block_in_use_is_found_among_the_memory_of_this_process() -> None:
    """The expression reads what this kernel really writes."""
    block = mmap.mmap(-1, 8 * HUGE_BYTES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    block.write(b"x" * len(block))
    address = ctypes.addressof(ctypes.c_char.from_buffer(block))
    inside = address + 4 * HUGE_BYTES
    assert any(start <= inside < start + size for start, size in used_blocks(SMAPS.read_text("ascii")))


def test_a_system_that_wants_no_large_pages_is_obeyed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Collapsing would not ask."""
    allowed = tmp_path / "enabled"
    allowed.write_text("always madvise [never]\n")
    monkeypatch.setattr(huge_pages, "ALLOWED", allowed)
    monkeypatch.setattr(huge_pages, "used_blocks", lambda _: pytest.fail("memory was looked through"))
    use_huge_pages()


def test_a_system_that_does_not_tell_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As macOS is."""
    monkeypatch.setattr(huge_pages, "ALLOWED", tmp_path / "enabled")
    monkeypatch.setattr(huge_pages, "SMAPS", tmp_path / "smaps")
    use_huge_pages()
