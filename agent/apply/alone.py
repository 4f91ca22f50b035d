# SPDX-License-Identifier: Apache-2.0
"""One order at a time for a disk, from before it is judged until the order's end.

The agent and an operator's command are processes that know nothing of each other, and a step opens its disk for itself
alone only while it works: between two of them another order could have the disk, and be sealed by the first one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager

from agent.errors import ChangeUnderWay, DiskInUse
from agent.host.disk_stack import disks_below
from agent.host.doors import Files, Host

PLACE = "/run/bms-agent/disks"


@contextmanager
def alone(host: Host, paths: Iterable[str]) -> Iterator[None]:
    """For as long as the block, however the process ends. Raises `HostError`, `DiskInUse`."""
    with ExitStack() as locks:
        for name in sorted({name for path in paths for name in standing_on(host.files, path)}):
            try:
                locks.enter_context(host.lock(f"{PLACE}/{name}.lock"))
            except ChangeUnderWay:
                told = "another order of this machine's agent, or of an operator's, has not ended yet"
                raise DiskInUse(f"taking /dev/{name} for this order", told, hint="Ask again once it has.") from None
        yield


def standing_on(files: Files, path: str) -> set[str]:
    """The disks below an array, or the disk itself: by kernel names, which are what nodes are opened by."""
    return disks_below(files, path) or {path.rpartition("/")[2]}
