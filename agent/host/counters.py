# SPDX-License-Identifier: Apache-2.0
"""The door to the kernel's counts: the only module that uses psutil.

In: nothing. Out: totals, and the block devices in use. It must not interpret: what is in the way, inventory says.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import ModuleType

from agent.errors import HostError
from agent.host.doors import Files

ROOT = "/dev/root"
OCTAL = re.compile(r"\\([0-7]{3})")


class RealCounters:
    """`doors.Counters` over psutil."""

    def __init__(self, files: Files) -> None:
        self._files = files

    def memory_total_bytes(self) -> int:
        """What the kernel can use."""
        with asking("the memory size") as psutil:
            return int(psutil.virtual_memory().total)

    def threads(self) -> int:
        """Logical processors that are online."""
        with asking("the number of processors") as psutil:
            return psutil.cpu_count(logical=True) or 1

    def cores(self) -> int | None:
        """Physical cores, where the kernel tells."""
        with asking("the number of cores") as psutil:
            count: int | None = psutil.cpu_count(logical=False)
            return count

    def mounts(self) -> Iterable[tuple[str, str]]:
        """(device node, mount point) of every mounted block device."""
        lines = self._files.read_text("/proc/self/mountinfo").splitlines()
        rows = (line.partition(" - ") for line in lines if " /dev/" in line)
        found = ((left.split(), right.split()) for left, _, right in rows)
        told = ((fields[2], unescaped(fields[4]), unescaped(source)) for fields, (_, source, *_) in found)
        return tuple((self._named(node, number), place) for number, place, node in told if node.startswith("/dev/"))

    def swaps(self) -> Iterable[str]:
        """Device nodes that are swapped to (psutil has only their sum)."""
        lines = self._files.read_text("/proc/swaps").splitlines()[1:]
        return tuple(line.split()[0] for line in lines if line.startswith("/dev/"))

    def _named(self, node: str, number: str) -> str:
        """A kernel without an initramfs calls what it started from /dev/root, which is no node."""
        return node if node != ROOT else f"/dev/{self._files.resolve(f'/sys/dev/block/{number}').rpartition('/')[2]}"


def unescaped(word: str) -> str:
    """Blanks and the like are written by their octal numbers (fs/proc_namespace.c, mangle)."""
    return OCTAL.sub(lambda found: chr(int(found[1], 8)), word)


@contextmanager
def asking(what: str) -> Iterator[ModuleType]:
    """psutil, imported when it is first needed, with its errors turned into ours."""
    import psutil  # lazy: import time counts in the ramdisk

    try:
        yield psutil
    except (OSError, psutil.Error) as error:
        raise HostError(f"asking the kernel for {what}", str(error)) from error
