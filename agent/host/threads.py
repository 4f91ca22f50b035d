# SPDX-License-Identifier: Apache-2.0
"""What the threads of this process are at: whether they compute, or wait for somebody. It must not touch them."""

from __future__ import annotations

import os
from threading import get_native_id

from agent.host import reading

TASKS = "/proc/self/task"


def others_compute() -> bool:
    """Whether any other thread runs, or would if it had a processor (proc(5), state R). Without /proc, none does."""
    own = str(get_native_id())
    return any(is_runnable(name) for name in listed() if name != own)


def listed() -> list[str]:
    """Threads, by their numbers."""
    try:
        return os.listdir(TASKS)  # noqa: PTH208 - it is asked many times
    except OSError:
        return []


def is_runnable(thread: str) -> bool:
    """One, which may be over."""
    try:
        said = reading.content(f"{TASKS}/{thread}/stat")
    except OSError:
        return False
    return said.rpartition(b")")[2].split(maxsplit=1)[:1] == [b"R"]
