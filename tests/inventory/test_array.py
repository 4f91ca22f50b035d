# SPDX-License-Identifier: Apache-2.0
"""Arrays as the kernel shows them: who they are, what they stand on, and what of them is missing."""

from __future__ import annotations

import pytest

from agent.host.fake import FakeHost, Machine
from agent.inventory import take
from agent.inventory.array import arrays
from agent.link.ironic.inspection import Surroundings, document
from agent.model.fact import Unknown
from agent.model.raid import LogicalDisk, RunningArray
from agent.model.request import CreateRaidRequest
from agent.operations import Operations
from tests.apply.arrays import GIB, two_disks, uuid_of
from tests.apply.disks import MIB

WANTED = CreateRaidRequest(
    request_id="r", node_id="n", logical_disks=(LogicalDisk(size_gb=1, raid_level="1", volume_name="root"),)
)


def made() -> Machine:
    """A machine with a mirror for root, and one of EFI system partitions."""
    machine = two_disks()
    operations = Operations(FakeHost.of(machine), None, "/spool")
    for step in operations.plan(WANTED).steps:
        operations.do(step, lambda *_: None)
    return machine


def first(machine: Machine) -> RunningArray:
    """The one for root."""
    return arrays(FakeHost.of(machine))[0]


def test_who_an_array_is() -> None:
    """Its UUID, its name without that of the host that made it, its level and members, beside what a disk has."""
    root, esp = arrays(FakeHost.of(made()))

    assert (root.path, root.uuid, root.volume_name, root.level) == ("/dev/md0", uuid_of("root"), "root", "raid1")
    assert (root.members, root.faults, root.size_bytes) == (("sda2", "sdb2"), (), GIB)
    assert root.identity.array_uuid == uuid_of("root") and root.identity.serial is None
    assert (esp.volume_name, esp.members, esp.size_bytes) == ("esp", ("sda1", "sdb1"), 554 * MIB)


@pytest.mark.parametrize(
    ("fact", "content", "evidence"),
    [
        ("md/degraded", b"1\n", "it is degraded by 1"),
        ("md/raid_disks", b"3\n", "it has 2 of 3 members"),
        ("md/array_state", b"inactive\n", "it does not run (inactive)"),
        ("md/array_state", b"clear\n", "it does not run (clear)"),
    ],
)
def test_what_is_missing(fact: str, content: bytes, evidence: str) -> None:
    """An array without all of its members says so."""
    machine = made()
    machine.tree.put(f"/sys/block/md0/{fact}", content)

    assert first(machine).faults == (evidence,)


def test_a_name_that_nobody_bears_witness_to() -> None:
    """Where udev has not looked at the members since they became this array's, its name is unknown, not absent."""
    machine = made()
    others = {name: said for name, said in machine.record.udev.items() if name not in ("sda2", "sdb2")}
    machine.record = machine.record.model_copy(update={"udev": others})

    assert isinstance(first(machine).volume_name, Unknown)


def test_arrays_are_told_to_ironic() -> None:
    """Among the disks of an inspection, as IPA lists them."""
    inventory = take(FakeHost.of(made()))
    body = document(inventory, Surroundings(hostname="x", collectors=("default",)))

    told = body["inventory"]
    assert isinstance(told, dict)
    assert [one["name"] for one in told["disks"]] == ["/dev/sda", "/dev/sdb", "/dev/md0", "/dev/md1"]
