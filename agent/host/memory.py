# SPDX-License-Identifier: Apache-2.0
"""Buffers that direct I/O takes as they are: page-aligned memory of the process itself; and what moves in it."""

from __future__ import annotations

import ctypes
import mmap
from pathlib import Path

ALIGNMENT_BYTES = 4096
"""What every disk is content with: a page, and the largest logical sector."""
HUGE_PAGE_BYTES = 2 * 1024 * 1024
ENTRY_BYTES, FRAME_MASK, PRESENT = 8, (1 << 55) - 1, 1 << 63

libc = ctypes.CDLL(None)
libc.memcpy.argtypes = libc.memcmp.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
libc.memcpy.restype = ctypes.c_void_p


def aligned(size_bytes: int) -> memoryview:
    """A writable, zeroed, page-aligned buffer; it takes memory as it is touched, and goes with its last view."""
    memory = mmap.mmap(-1, size_bytes)
    if size_bytes >= HUGE_PAGE_BYTES:
        memory.madvise(mmap.MADV_HUGEPAGE)
    return memoryview(memory)


def copy(to: memoryview, source: memoryview) -> None:
    """As many bytes as `source` has, while other threads of Python run."""
    libc.memcpy(place(to), place(source), len(source))


def is_same(one: memoryview, other: memoryview) -> bool:
    """Compared while other threads of Python run; both are of one length."""
    return bool(libc.memcmp(place(one), place(other), len(one)) == 0)


def place(view: memoryview) -> int:
    """Where in memory a writable buffer is."""
    return ctypes.addressof(ctypes.c_char.from_buffer(view))


def physical_address(view: memoryview) -> int | None:
    """Of its first byte, by Documentation/admin-guide/mm/pagemap.rst; `None` for who may not know (CAP_SYS_ADMIN)."""
    page, offset = divmod(place(view), mmap.PAGESIZE)
    try:
        with Path("/proc/self/pagemap").open("rb", buffering=0) as map_of_pages:
            map_of_pages.seek(page * ENTRY_BYTES)
            entry = int.from_bytes(map_of_pages.read(ENTRY_BYTES), "little")
    except OSError:
        return None
    frame = entry & FRAME_MASK
    return frame * mmap.PAGESIZE + offset if entry & PRESENT and frame else None
