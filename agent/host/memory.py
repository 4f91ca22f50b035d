# SPDX-License-Identifier: Apache-2.0
"""Buffers that direct I/O takes as they are: page-aligned memory of the process itself."""

from __future__ import annotations

import mmap

ALIGNMENT_BYTES = 4096
"""What every disk is content with: a page, and the largest logical sector."""
HUGE_PAGE_BYTES = 2 * 1024 * 1024


def aligned(size_bytes: int) -> memoryview:
    """A writable, zeroed, page-aligned buffer; it takes memory as it is touched, and goes with its last view."""
    memory = mmap.mmap(-1, size_bytes)
    if size_bytes >= HUGE_PAGE_BYTES:
        memory.madvise(mmap.MADV_HUGEPAGE)
    return memoryview(memory)
