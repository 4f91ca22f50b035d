# SPDX-License-Identifier: Apache-2.0
"""Into a server of the tests' world: its network, and a directory of its own in place of the agent's."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from tests.libc import CLONE_NEWNET, CLONE_NEWNS, call

T = TypeVar("T")
MS_REC, MS_PRIVATE, MS_BIND = 0x4000, 0x40000, 0x1000  # linux/mount.h
STATE = Path("/var/lib/bms-agent")


def enter(namespace: str, directory: Path) -> None:
    """From now on, for this thread and those that it starts, the network is that one and STATE is the directory."""
    held = os.open(Path("/run/netns") / namespace, os.O_RDONLY)
    try:
        call("setns", held, CLONE_NEWNET)
    finally:
        os.close(held)
    STATE.mkdir(parents=True, exist_ok=True)
    call("unshare", CLONE_NEWNS)
    call("mount", None, b"/", None, MS_REC | MS_PRIVATE, None)
    call("mount", os.fsencode(directory), os.fsencode(STATE), None, MS_BIND, None)


def inside(namespace: str, directory: Path, work: Callable[[], T]) -> T:
    """Run `work` in a thread that has entered."""

    def entered() -> T:
        enter(namespace, directory)
        return work()

    with ThreadPoolExecutor(1, thread_name_prefix=namespace) as pool:
        return pool.submit(entered).result(timeout=120)


def guards(namespace: str) -> Iterator[int]:
    """Process ids of the guards of a namespace."""
    network = (Path("/run/netns") / namespace).stat().st_ino
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (process / "cmdline").read_bytes().split(b"\0")
            if words[-5:-3] == [b"network", b"guard"] and (process / "ns/net").stat().st_ino == network:
                yield int(process.name)


def kill_guards(namespace: str) -> int:
    """How many there were."""
    found = list(guards(namespace))
    for pid in found:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return len(found)
