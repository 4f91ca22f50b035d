# SPDX-License-Identifier: Apache-2.0
"""Makes a virtual machine's memory real before a writer that fills the page cache, and ends.

A hypervisor that takes back free memory (virtio-balloon, free page reporting) hands it out again page by page, at a
sixth of the speed of memory: that is no fault of the writer. What was touched a moment ago is still there.

python -m tests.bench.warm BYTES
"""

from __future__ import annotations

import mmap
import sys

from agent.host.memory import HUGE_PAGE_BYTES


def main() -> None:
    """Touch it all, and let go."""
    size = int(sys.argv[1])
    memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory.madvise(mmap.MADV_HUGEPAGE)
    for offset in range(0, size, HUGE_PAGE_BYTES):
        memory[offset] = 1


if __name__ == "__main__":
    main()
