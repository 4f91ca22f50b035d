# SPDX-License-Identifier: Apache-2.0
"""What stands on disks, or keeps them open, when they are to be erased: taken down, or refused by its name."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from agent.errors import DiskInUse
from agent.host.fake import FakeHost, LinkTo, Machine
from agent.host.fake.programs import Output, failing
from agent.inventory.disk import disks
from agent.model.job import JobState
from agent.model.plan import StopHolder
from agent.model.request import EraseRequest
from agent.operations import Operations
from agent.plan.disk import must_be_free
from agent.plan.metadata import areas
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


def swapping(made: Machine, *nodes: str) -> None:
    """They are swapped to."""
    counts = made.record.counts.model_copy(update={"swaps": nodes})
    made.record = made.record.model_copy(update={"counts": counts})


def with_partition(made: Machine) -> None:
    """The first disk has one."""
    for fact, value in {"partition": 1, "start": 2048, "size": 1024}.items():
        made.tree.put(f"/sys/block/sda/sda1/{fact}", f"{value}\n".encode())
    udev = {**made.record.udev, "sda1": {"DEVTYPE": "partition", "USEC_INITIALIZED": "1"}}
    made.record = made.record.model_copy(update={"udev": udev})


def mapped(made: Machine, label: str, *below: str) -> None:
    """A device of the device mapper stands on these disks; dmsetup removes it."""
    made.tree.put("/sys/block/dm-0/dm/name", f"{label}\n".encode())
    for name in below:
        made.tree.put(f"/sys/class/block/{name}", LinkTo(f"/sys/block/{name}"))
        made.tree.put(f"/sys/block/{name}/holders/dm-0", LinkTo("/sys/block/dm-0"))
        made.tree.put(f"/sys/block/dm-0/slaves/{name}", LinkTo(f"/sys/block/{name}"))

    def dmsetup(machine: Machine, argv: Sequence[str], stdin: str | None) -> Output:
        assert argv == ("dmsetup", "remove", "--retry", label)
        machine.take_down("dm-0")
        return Output()

    made.programs["dmsetup"] = dmsetup


@pytest.mark.parametrize("nodes", [("/dev/sda",), ("/dev/sda1",), ("/dev/dm-0",), ("/dev/sda1", "/dev/dm-0")])
def test_swap_is_ended(nodes: tuple[str, ...]) -> None:
    """On a disk, a partition, a volume: before what it stands on is taken down. Swap on other disks goes on."""
    made = machine(2 * MIB, 2 * MIB)
    with_partition(made)
    mapped(made, "vg-swap", "sda")
    made.booted_tree = made.tree.copy()
    swapping(made, *nodes, "/dev/sdb")
    host = FakeHost.of(made)
    asked = ZERO.model_copy(update={"serials": ("S0",)})
    stopped = [step.holder.name for step in Operations(host, "ramdisk", "/s").plan(asked).steps[:-1]]  # type: ignore[union-attr]
    job = served(host, method="zero", serials=("S0",))

    assert job.state is JobState.SUCCEEDED, job.fault
    assert stopped == [*(f"swap-{node.removeprefix('/dev/')}" for node in nodes), "dm-0"]
    assert made.record.counts.swaps == ("/dev/sdb",) and disk_of(made, "/dev/sda").durable.blank


def test_swap_that_does_not_end_is_named() -> None:
    """There is no room in memory for what is in it: nothing is erased, and it is said why."""
    made = machine(2 * MIB)
    mark(disk_of(made, "/dev/sda"))
    swapping(made, "/dev/sda")
    made.programs["swapoff"] = failing(255, "swapoff: /dev/sda: swapoff failed: Cannot allocate memory")
    job = served(FakeHost.of(made), method="zero")

    assert job.state is JobState.FAILED and job.fault is not None and "Cannot allocate memory" in job.fault.message
    assert not disk_of(made, "/dev/sda").durable.blank and made.record.counts.swaps == ("/dev/sda",)


def test_nobody_else_ends_swap() -> None:
    """Where a disk is not to be erased, that it is swapped to is in the way, and named."""
    made = machine(2 * MIB)
    swapping(made, "/dev/sda")
    (disk,) = disks(FakeHost.of(made))

    assert disk.users == ("/dev/sda is swapped to",)
    with pytest.raises(DiskInUse, match="/dev/sda is swapped to") as found:
        must_be_free(disk)
    assert "swapoff" in str(found.value.hint)


def test_paths_are_freed_of_their_map() -> None:
    """A map of dm-multipath over both paths of a disk is flushed once, and the disk erased."""
    made = machine(2 * MIB, 2 * MIB)
    mapped(made, "mpatha", "sda", "sdb")
    made.booted_tree = made.tree.copy()
    for name in ("sda", "sdb"):
        mark(disk_of(made, f"/dev/{name}"))
    job = served(FakeHost.of(made), method="zero")

    assert job.state is JobState.SUCCEEDED, job.fault
    assert job.result["stopped dm-0"] == "sda, sdb"
    assert [argv[0] for argv in made.commands].count("dmsetup") == 1
    assert all(disk_of(made, path).durable.blank for path in ("/dev/sda", "/dev/sdb"))


LABEL = 256 * 1024


@pytest.mark.parametrize("has_partition", [False, True])
def test_every_label_of_a_pool_is_wiped(has_partition: bool) -> None:
    """ZFS keeps four, of 256 KiB: two at each end of what it was given, aligned (OpenZFS, vdev_label.c)."""
    made = machine(96 * MIB)
    if has_partition:
        with_partition(made)
        made.tree.put("/sys/block/sda/sda1/size", f"{90 * MIB // 512 + 3}\n".encode())
    (disk,) = disks(FakeHost.of(made))
    start, size = (1 * MIB, 90 * MIB + 3 * 512) if has_partition else (0, 96 * MIB)
    end = start + size // LABEL * LABEL
    places = [start, start + LABEL, end - 2 * LABEL, end - LABEL]
    found = [(area.offset_bytes, area.offset_bytes + area.length_bytes) for area in areas(disk)]

    assert all(any(low <= at and at + LABEL <= high for low, high in found) for at in places)


@pytest.mark.parametrize(
    ("made", "change", "told", "next_action"),
    [
        (cached(runs=False), None, "/dev/sda is in a bcache cache set", "/sys/fs/bcache"),
        (machine(2 * MIB), pool, "/dev/sda is in the ZFS pool tank", "zpool export"),
    ],
    ids=["bcache", "zfs"],
)
def test_what_is_not_taken_down_is_named(made: Machine, change: object, told: str, next_action: str) -> None:
    """Nothing is touched, and it is said what holds the disk and how that is ended."""
    if callable(change):
        change(made)
    with pytest.raises(DiskInUse, match=told) as found:
        Operations(FakeHost.of(made), "ramdisk", "/s").plan(ZERO)

    assert next_action in str(found.value.hint) and "ask again" in str(found.value.hint)
