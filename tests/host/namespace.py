# SPDX-License-Identifier: Apache-2.0
"""A network namespace of a test's own, for as long as one function runs."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

CLONE_NEWNET = 0x40000000  # linux/sched.h
T = TypeVar("T")


def in_new_network(work: Callable[[], T]) -> T:
    """Run `work` in a thread with an empty network of its own: unshare(2) is of the thread, not of the process."""

    def isolated() -> T:
        if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        return work()

    with ThreadPoolExecutor(1, thread_name_prefix="netns") as pool:
        return pool.submit(isolated).result(timeout=60)
