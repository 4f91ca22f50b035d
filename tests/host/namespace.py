# SPDX-License-Identifier: Apache-2.0
"""A network namespace of a test's own, for as long as one function runs."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from tests.libc import CLONE_NEWNET, call

T = TypeVar("T")


def in_new_network(work: Callable[[], T]) -> T:
    """Run `work` in a thread with an empty network of its own: unshare(2) is of the thread, not of the process."""

    def isolated() -> T:
        call("unshare", CLONE_NEWNET)
        return work()

    with ThreadPoolExecutor(1, thread_name_prefix="netns") as pool:
        return pool.submit(isolated).result(timeout=60)
