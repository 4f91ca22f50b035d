# SPDX-License-Identifier: Apache-2.0
"""A partition or a disk that goes while it is looked at: udev has a table read once more when a disk that was written
to is closed, and a disk can be pulled out.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from ctypes import addressof, create_string_buffer
from dataclasses import dataclass
from fcntl import ioctl
from pathlib import Path
from struct import pack
from threading import Event, Thread
from typing import TypeVar

import pytest

from agent.errors import AgentError
from agent.host.fake import FakeHost, FaultPlan, Machine
from agent.host.fake.tree import Entry
from agent.host.files import RealFiles
from agent.inventory.disk import disk, disks
from tests.loops import loop
from tests.machines import parts, synthetic

R = TypeVar("R")
MIB = 1 << 20
BLKPG, ADD, REMOVE = 0x1269, 1, 2  # include/uapi/linux/blkpg.h


@dataclass
class Going(FaultPlan):
    """Something happens to the machine just before a call, and something else before the next."""

    before: int = 0
    what: Callable[[], object] = int
    then: Callable[[], object] = int

    def through(self, call: str, failure: type[AgentError], act: Callable[[], R]) -> R:
        """As ever, but for that."""
        number = len(self.calls) + 1
        if number == self.before:
            self.what()
        if number == self.before + 1:
            self.then()
        return super().through(call, failure, act)


def divided() -> Machine:
    """A disk of two partitions, and another."""
    made = synthetic.no_smbios()
    parts.add_partition(made, "vda", 1, {"ID_FS_TYPE": "ext4"})
    parts.add_partition(made, "vda", 2, {"ID_FS_TYPE": "ext4"})
    parts.add_block(made, "sdz", "pci0000:00/0000:00:09.0", 1 << 30, udev={})
    return made


def calls() -> int:
    """How many calls it takes to look at that machine."""
    plan = FaultPlan()
    disks(FakeHost.of(divided(), plan))
    return len(plan.calls)


def put_back(made: Machine, files: Mapping[str, Entry]) -> None:
    """As they were."""
    for path, entry in files.items():
        made.tree.put(path, entry)


@pytest.mark.parametrize("comes_back", [False, True])
@pytest.mark.parametrize("at", range(1, calls() + 1))
def test_a_partition_goes(at: int, *, comes_back: bool) -> None:
    """Whenever it does: the disk is told as it was, or as it is then."""
    made = divided()
    place = made.tree.resolve("/sys/block/vda") + "/vda2"
    files = {path: entry for path, entry in made.tree.entries.items() if path.startswith(place)}
    plan = Going(before=at, what=lambda: made.tree.drop(place))
    if comes_back:
        plan.then = lambda: put_back(made, files)
    found = {each.name: [one.name for one in each.partitions] for each in disks(FakeHost.of(made, plan))}

    assert found in ({"vda": ["vda1", "vda2"], "sdz": []}, {"vda": ["vda1"], "sdz": []})


@pytest.mark.parametrize("at", range(1, calls() + 1))
def test_a_disk_goes(at: int) -> None:
    """One that is pulled out is told in whole or not at all, and the others are told."""
    made = divided()
    place = made.tree.resolve("/sys/block/sdz")

    def pulled() -> None:
        made.tree.drop(place)
        made.tree.drop("/sys/block/sdz")

    found = disks(FakeHost.of(made, Going(before=at, what=pulled)))

    assert [each.name for each in found] in (["sdz", "vda"], ["vda"])
    assert all(each.size_bytes for each in found)


@contextmanager
def restless(node: str) -> Iterator[Event]:
    """A disk whose partition comes and goes, until it is left; set when it ends by itself."""
    ended, over = Event(), Event()

    def turned() -> None:
        """Tells the kernel of a partition, as partprobe does, and that it is gone."""
        handle = os.open(node, os.O_RDONLY)
        place = create_string_buffer(pack("=qqi64s64s", MIB, MIB, 1, b"", b""), 152)
        try:
            while not over.is_set():
                for what in (ADD, REMOVE):
                    ioctl(handle, BLKPG, pack("@iiiP", what, 0, 152, addressof(place)))
        finally:
            os.close(handle)
            ended.set()

    thread = Thread(target=turned, name="restless", daemon=True)
    thread.start()
    try:
        yield ended
    finally:
        over.set()
        thread.join()


@pytest.mark.root
def test_a_real_kernel(tmp_path: Path) -> None:
    """A thousand looks at a disk whose partition comes and goes all the time: each is a look at what was there."""
    with loop(tmp_path, 8 * MIB) as node, restless(node) as ended:
        name, files = node.removeprefix("/dev/"), RealFiles()
        seen = {len(disk(files, name, {}, []).partitions) for _ in range(1000)}
        assert not ended.is_set()

    assert seen == {0, 1}
