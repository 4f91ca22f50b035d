# SPDX-License-Identifier: Apache-2.0
"""Erasing metadata, for real and on fakes: nothing is found afterwards, or the erasing failed and says why."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from threading import Event

import pytest

from agent.apply.metadata import wipe_metadata
from agent.errors import AgentError, DecodeError, DiskChanged, EraseUnproven, HostError, Recalled
from agent.host.fake import (
    FakeDisk,
    FakeHost,
    LinkTo,
    Machine,
    Output,
    failing,
    saying,
    silent,
)
from agent.host.fake.programs import Program
from agent.job.outbox import Outbox
from agent.model.disk import Disk, DiskPartition
from agent.model.job import JobState
from agent.model.plan import WipeMetadata
from agent.model.request import EraseRequest
from agent.operations import Operations
from agent.plan.metadata import wipe
from tests.apply.deploying import executor_of
from tests.apply.disks import MIB, disk_of, machine
from tests.apply.real import host, partitions
from tests.apply.test_erase import LyingDisk
from tests.loops import command, loop

SIZE = 96 * MIB
METADATA = EraseRequest(request_id="r", node_id="n", method="metadata")


def mark(disk: FakeDisk) -> None:
    """Something at both ends, and data in the middle."""
    for offset, data in ((0, b"table"), (disk.size_bytes // 2, b"data"), (disk.size_bytes - 512, b"backup")):
        disk.write(offset, data.ljust(512, b"\0"))
    disk.flush()


def stacked(*sizes_bytes: int) -> Machine:
    """Disks that are full, an array on all of them, and a volume on it."""
    made = machine(*sizes_bytes)
    put = made.tree.put
    names = [f"sd{chr(ord('a') + number)}" for number in range(len(sizes_bytes))]
    for name in names:
        mark(disk_of(made, f"/dev/{name}"))
        put(f"/sys/class/block/{name}", LinkTo(f"/sys/block/{name}"))
        put(f"/sys/block/{name}/holders/md127", LinkTo("/sys/block/md127"))
        put(f"/sys/block/md127/slaves/{name}", LinkTo(f"/sys/block/{name}"))
    put("/sys/class/block/md127", LinkTo("/sys/block/md127"))
    put("/sys/block/md127/md/array_state", b"clean\n")
    facts = {"size": 2048, "ro": 0, "removable": 0, "queue/rotational": 0}
    facts |= {"queue/logical_block_size": 512, "queue/physical_block_size": 512}
    for fact, value in facts.items():
        put(f"/sys/block/md127/{fact}", f"{value}\n".encode())
    put("/sys/block/md127/holders/dm-0", LinkTo("/sys/block/dm-0"))
    put("/sys/block/dm-0/slaves/md127", LinkTo("/sys/block/md127"))
    put("/sys/block/dm-0/dm/name", b"vg-data\n")
    made.booted_tree = made.tree.copy()
    made.programs["dmsetup"] = dmsetup
    return made


def dmsetup(made: Machine, argv: Sequence[str], stdin: str | None) -> Output:
    """`dmsetup remove vg-data`."""
    if argv[-1] != "vg-data" or "/sys/block/dm-0/dm/name" not in made.tree.entries:
        return Output(status=1, stderr="No such device")
    made.take_down("dm-0")
    return Output()


def served(made: Machine) -> tuple[JobState, Outbox]:
    """What a process of the agent makes of it; nobody waits for the report."""
    stop = Event()
    stop.set()
    executor, outbox = executor_of(FakeHost.of(made))
    return executor.serve(METADATA, stop).state, outbox


def blank(disk: FakeDisk) -> bool:
    """On the medium, at both ends."""
    length = min(16 * MIB, disk.size_bytes)
    return not any(disk.durable.read(0, length) + disk.durable.read(disk.size_bytes - length, length))


def test_stack_of_devices() -> None:
    """The volume goes, then the array, then what says that they were: on every disk, at both ends, and no further."""
    made = stacked(SIZE, SIZE)
    state, _ = served(made)

    assert state is JobState.SUCCEEDED
    assert ("dmsetup", "remove", "--retry", "vg-data") in made.commands
    assert all(blank(disk_of(made, path)) for path in ("/dev/sda", "/dev/sdb"))
    assert disk_of(made).durable.read(SIZE // 2, 4) == b"data" and disk_of(made).table_rereads == 1


def step_of(made: Machine) -> WipeMetadata:
    """For all disks of a machine on which nothing stands."""
    plan = Operations(FakeHost.of(made), None, "/spool").plan(METADATA)
    return next(step for step in plan.steps if isinstance(step, WipeMetadata))


def test_one_bad_disk_of_three() -> None:
    """The disks behind a bad one are wiped all the same; the error says which one was not, and why."""
    made = machine(SIZE, SIZE, SIZE)
    wanted = step_of(made)
    made.disks["/dev/sdb"] = LyingDisk(SIZE, honest_until=0)
    for path in ("/dev/sda", "/dev/sdb", "/dev/sdc"):
        mark(disk_of(made, path))
    with pytest.raises(EraseUnproven, match=r"/dev/sdb \(serial S1.*byte 0 is not zero"):
        wipe_metadata(FakeHost.of(made), wanted, lambda *_: None)

    assert blank(disk_of(made)) and blank(disk_of(made, "/dev/sdc"))


def test_two_bad_disks_of_three() -> None:
    """All that failed are named: one that is in use by now, and one that has no size."""
    made = machine(0, SIZE, SIZE)
    wanted = step_of(made)
    made.tree.put("/sys/block/sdb/holders/md1", LinkTo("/sys/block/md1"))
    mark(disk_of(made, "/dev/sdc"))
    with pytest.raises(HostError, match=r"/dev/sdb for writing: held by md1; .*/dev/sda .* has 520|no size") as caught:
        wipe_metadata(FakeHost.of(made), wanted, lambda *_: None)

    assert "/dev/sdb" in str(caught.value) and "/dev/sda" in str(caught.value)
    assert blank(disk_of(made, "/dev/sdc"))


@pytest.mark.parametrize(
    ("program", "error"),
    [
        (saying('{"signatures": [{"device": "sda", "offset": "0x438", "type": "ext4", "uuid": null}]}'), EraseUnproven),
        (failing(1, "cannot open"), HostError),
        (saying("nonsense"), DecodeError),
    ],
)
def test_something_is_still_found(program: Program, error: type[AgentError]) -> None:
    """A disk on which libblkid finds anything, or cannot look, is not called wiped."""
    made = machine(SIZE)
    wanted = step_of(made)
    made.programs["wipefs"] = program
    with pytest.raises(error):
        wipe_metadata(FakeHost.of(made), wanted, lambda *_: None)


def test_array_that_does_not_go() -> None:
    """An array that the kernel still has after its order fails the job; no disk is written."""
    made = stacked(SIZE)
    made.programs["dmsetup"] = silent
    state, _ = served(made)

    assert state is JobState.FAILED and not blank(disk_of(made))


def test_array_that_became_another() -> None:
    """What has the planned name and stands on other disks by now is left standing."""
    made = stacked(SIZE)
    planned = Operations(FakeHost.of(made), None, "/spool").plan(METADATA)
    made.tree.put("/sys/block/md127/slaves/sdz", LinkTo("/sys/block/sdz"))
    lower = planned.steps[1]
    with pytest.raises(DiskChanged, match="stands on sda, sdz"):
        Operations(FakeHost.of(made), None, "/spool").do(lower, lambda *_: None)

    assert "/sys/block/md127/md/array_state" in made.tree.entries


def test_recalled_between_disks() -> None:
    """A job that is not wanted any more ends before the next disk."""
    made = machine(SIZE, SIZE)
    wanted = step_of(made)
    mark(disk_of(made, "/dev/sdb"))

    def advance(done: int, total: int | None, limited_by: str | None = None, /) -> None:
        if done:
            raise Recalled("wiping")

    with pytest.raises(Recalled):
        wipe_metadata(FakeHost.of(made), wanted, advance)

    assert not blank(disk_of(made, "/dev/sdb"))


MAKERS: tuple[tuple[str, ...], ...] = (
    ("mkfs.ext4", "-q", "-F"),
    ("mkfs.vfat", "-I"),
    ("mkswap", "-q"),
)


@pytest.mark.root
@pytest.mark.parametrize("maker", MAKERS, ids=lambda argv: argv[0])
def test_real_filesystems(tmp_path: Path, maker: tuple[str, ...]) -> None:
    """On a real kernel: a table and filesystems in its partitions are found before, and not after."""
    with loop(tmp_path, SIZE) as node:
        command("sfdisk", "--quiet", "--no-reread", node, stdin="label: gpt\nsize=40MiB\nsize=+\n")
        command("partx", "--update", node)
        for part in ("p1", "p2"):
            command(*maker, f"{node}{part}")
        assert len(partitions(node)) == 2 and signatures(node) >= 2
        wipe_metadata(host(), wipe_of(node), lambda *_: None)

        assert (partitions(node), signatures(node)) == ([], 0)
        command("sfdisk", "--quiet", "--no-reread", node, stdin="label: gpt\nsize=40MiB\nsize=+\n")
        command("partx", "--update", node)
        assert [signatures(f"{node}{part}") for part in ("p1", "p2")] == [0, 0]


@pytest.mark.root
def test_real_large_disk(tmp_path: Path) -> None:
    """A disk of 8 TB takes seconds; what is in its middle stays, and is found by nobody."""
    with loop(tmp_path, 8 * 10**12 // 4096 * 4096, sector_bytes=4096) as node:
        began_s = time.monotonic()
        wipe_metadata(host(), wipe_of(node), lambda *_: None)

        assert time.monotonic() - began_s < 30


def wipe_of(node: str) -> WipeMetadata:
    """What the planner would make of this loop device."""
    size, sector = (int(command("blockdev", flag, node)) for flag in ("--getsize64", "--getss"))
    parts = tuple(
        DiskPartition(name=f"p{number}", offset_bytes=offset, size_bytes=length)
        for number, (offset, length) in enumerate(partitions(node), 1)
    )
    disk = Disk(
        name=Path(node).name, path=node, size_bytes=size, serial="L", logical_sector_bytes=sector, partitions=parts
    )
    return WipeMetadata(wipes=(wipe(disk),))


def signatures(node: str) -> int:
    """How many there are on a device."""
    return len(json.loads(command("wipefs", "--json", node))["signatures"])
