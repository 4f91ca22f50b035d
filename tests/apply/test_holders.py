# SPDX-License-Identifier: Apache-2.0
"""What stands on disks, or keeps them open, when they are to be erased: taken down, or refused by its name."""

from __future__ import annotations

import pytest

from agent.errors import DiskInUse
from agent.host.fake import FakeHost, LinkTo, Machine
from agent.inventory.disk import disks
from agent.model.job import JobState
from agent.model.plan import StopHolder
from agent.model.request import EraseRequest
from agent.operations import Operations
from tests.apply.disks import MIB, disk_of, machine
from tests.apply.erasable import served
from tests.apply.test_metadata import mark

ZERO = EraseRequest(request_id="r", node_id="n", method="zero")


def cached(*, runs: bool = True) -> Machine:
    """A disk behind a cache on another one; or only their set, which is open still."""
    made = machine(2 * MIB, 2 * MIB)
    put = made.tree.put
    for name in ("sda", "sdb"):
        mark(disk_of(made, f"/dev/{name}"))
        put(f"/sys/class/block/{name}", LinkTo(f"/sys/block/{name}"))
        put(f"/sys/block/{name}/bcache/set/stop", b"")
        if runs:
            put(f"/sys/block/{name}/holders/bcache0", LinkTo("/sys/block/bcache0"))
            put(f"/sys/block/bcache0/slaves/{name}", LinkTo(f"/sys/block/{name}"))
    if runs:
        facts = {"size": 2048, "ro": 0, "removable": 0, "bcache/stop": "",
                 "queue/logical_block_size": 512, "queue/physical_block_size": 512}  # fmt: skip
        for fact, value in facts.items():
            put(f"/sys/block/bcache0/{fact}", f"{value}\n".encode())
    made.booted_tree = made.tree.copy()
    return made


def test_a_cache_is_taken_down() -> None:
    """The cached device is none of the machine's disks; it and its set are stopped, and both disks are erased."""
    made = cached()
    host = FakeHost.of(made)
    assert [one.name for one in disks(host)] == ["sda", "sdb"]
    stopping = Operations(host, "ramdisk", "/s").plan(ZERO).steps[0]
    assert isinstance(stopping, StopHolder) and (stopping.holder.name, stopping.holder.kind) == ("bcache0", "bcache")
    job = served(host, method="zero")

    assert job.state is JobState.SUCCEEDED, job.fault
    assert job.result["stopped bcache0"] == "sda, sdb"
    assert all(disk_of(made, path).durable.blank for path in ("/dev/sda", "/dev/sdb"))
    assert not any("bcache" in path for path in made.tree.directories)


def pool(made: Machine) -> None:
    """The kernel has a pool open that is on the first disk."""
    udev = {name: dict(told) for name, told in made.record.udev.items()}
    udev["sda"] |= {"ID_FS_TYPE": "zfs_member", "ID_FS_LABEL": "tank"}
    made.record = made.record.model_copy(update={"udev": udev})
    made.tree.put("/proc/spl/kstat/zfs/tank/state", b"ONLINE\n")


def swap(made: Machine) -> None:
    """It is swapped to."""
    counts = made.record.counts.model_copy(update={"swaps": ("/dev/sda",)})
    made.record = made.record.model_copy(update={"counts": counts})


@pytest.mark.parametrize(
    ("made", "change", "told", "next_action"),
    [
        (cached(runs=False), None, "/dev/sda is in a bcache cache set", "/sys/fs/bcache"),
        (machine(2 * MIB), pool, "/dev/sda is in the ZFS pool tank", "zpool export"),
        (machine(2 * MIB), swap, "/dev/sda is swapped to", "swapoff"),
    ],
    ids=["bcache", "zfs", "swap"],
)
def test_what_is_not_taken_down_is_named(made: Machine, change: object, told: str, next_action: str) -> None:
    """Nothing is touched, and it is said what holds the disk and how that is ended."""
    if callable(change):
        change(made)
    with pytest.raises(DiskInUse, match=told) as found:
        Operations(FakeHost.of(made), "ramdisk", "/s").plan(ZERO)

    assert next_action in str(found.value.hint) and "ask again" in str(found.value.hint)
