# SPDX-License-Identifier: Apache-2.0
"""Machines of odd shapes, given back from their recordings: inventory, findings, and the plan of a deploy."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import FrameType

import pytest

from agent.diagnose import diagnose
from agent.diagnose.capture import capture
from agent.diagnose.seen import items
from agent.errors import AgentError, SeveralDisksMatch
from agent.host.doors import Host
from agent.host.fake import FakeHost, FaultPlan, Machine
from agent.host.fake.recorded import recorded
from agent.inventory.hardware import take_in_full
from agent.model.disk import RootDeviceHints
from agent.model.fact import Unknown
from agent.model.finding import Severity
from agent.model.hardware import Hardware
from agent.model.hardware.disk import DiskInFull
from agent.model.request import DeployRequest
from agent.operations import Operations
from agent.plan.text import text
from tests.hardware import IMAGE
from tests.machines import shapes
from tests.machines.shapes import MANY, SHAPES

KEY = b"of a test"
ODD_MACHINES = {name: build for name, build in SHAPES.items() if name != "many-disks"}


@cache
def again(name: str) -> Host:
    """The machine, recorded and given back."""
    machine, _ = capture(FakeHost.of(SHAPES[name]()), "a test", KEY)
    return recorded(Machine.read(machine.written(), name))


def found(name: str) -> Hardware:
    """Its inventory in full."""
    return take_in_full(again(name))


def disks(name: str) -> dict[str, DiskInFull]:
    """Its disks."""
    return {disk.name: disk for disk in items(found(name).disks)}


def planned(name: str, **hints: str) -> str:
    """What a deploy would do to it."""
    return text(Operations(again(name), None, "/run/spool").plan(to_disk(**hints)))


def to_disk(**hints: str | bool) -> DeployRequest:
    """A deploy to the disk with these hints."""
    return DeployRequest(request_id="r", node_id="n", image=IMAGE, root_device=RootDeviceHints.model_validate(hints))


@pytest.mark.parametrize("name", ODD_MACHINES)
def test_nothing_is_wrong_with_the_agent(name: str) -> None:
    """Whatever the shape, no collector has a fault, and nothing hinders the findings."""
    told = found(name).model_dump_json()
    seen = diagnose(again(name))

    assert "a fault of bms-agent" not in told
    assert not [code for code in (one.code for one in seen.findings) if code.startswith("AGENT")]
    assert {"inventory", "network", "health", "booting"}.isdisjoint(seen.unknown)


def test_two_sockets_with_a_shelf_of_nvme() -> None:
    """24 modules, 12 disks over both nodes with their health, 64 cores; a disk is chosen by its serial."""
    machine = found("two-sockets")
    by_node = [disk.numa_node for disk in disks("two-sockets").values()]
    used = sorted(
        disk.health.used_percent
        for disk in disks("two-sockets").values()
        if not isinstance(disk.health, Unknown) and disk.health
    )  # type: ignore[type-var]
    serial = str(disks("two-sockets")["nvme7n1"].serial)

    assert not isinstance(machine.memory, Unknown) and len(items(machine.memory.dimms)) == 24
    assert not isinstance(machine.cpu, Unknown) and (machine.cpu.sockets, machine.cpu.numa_nodes) == (2, 2)
    assert len(by_node) == 12 and sorted(by_node) == [0] * 6 + [1] * 6  # type: ignore[type-var]
    assert used == list(range(12))
    assert "/dev/nvme7n1" in planned("two-sockets", serial=serial)


def test_two_paths_are_one_disk_that_is_held() -> None:
    """Both paths say that multipath joins them, and neither is written to behind its back."""
    paths = disks("multipath")
    serial, own = str(paths["sda"].serial), str(paths["sdc"].serial)

    assert paths["sda"].wwn == paths["sdb"].wwn is not None and paths["sda"].serial == paths["sdb"].serial
    assert [one.kind for one in items(paths["sda"].memberships)] == ["multipath"]
    assert any("mpatha" in user or "dm-0" in user for user in paths["sda"].users)
    with pytest.raises(AgentError) as caught:
        planned("multipath", serial=serial)
    assert caught.value.exit_status in (3, 4)
    assert "/dev/sdc" in planned("multipath", serial=own)


def test_bogus_wwns_choose_nothing() -> None:
    """Zeroes are no WWN; one that two disks have is ambiguous, and the error lists both; serials still choose."""
    sda, sdb, sdc = disks("bogus-wwn").values()

    assert sda.wwn is None and sdb.wwn == sdc.wwn is not None
    with pytest.raises(SeveralDisksMatch, match=r"sdb[\s\S]*sdc"):
        planned("bogus-wwn", wwn=str(sdb.wwn))
    assert "/dev/sdc" in planned("bogus-wwn", serial=str(sdc.serial))


def test_names_in_other_scripts() -> None:
    """Labels are told as they are written, and the table under them is read; the other disk is the one to write to."""
    disk = disks("foreign-names")["sda"]
    labels = [one.label for one in items(disk.contents) if one.label]
    table = again("foreign-names")
    with table.block.open_read("/dev/sda") as device:
        head = device.read(0, 1 << 20)

    assert labels == ["EFI-система", "データ", "donnée 1"]
    assert "データ".encode("utf-16-le") in head
    with pytest.raises(AgentError, match=r"holds data|gpt"):
        planned("foreign-names", serial=str(disk.serial))
    assert "/dev/sdb" in planned("foreign-names", serial=str(disks("foreign-names")["sdb"].serial))


def test_half_a_table_of_smbios_hides_only_itself() -> None:
    """What the firmware would have said is unknown, and why; disks and NICs are all there, and can be planned for."""
    machine = found("truncated-smbios")

    assert not isinstance(machine.system, Unknown) and isinstance(machine.system.serial, Unknown)
    assert "SMBIOS" in machine.system.serial.unknown
    assert list(disks("truncated-smbios")) == ["vda"] and len(items(machine.nics)) == 1
    assert "/dev/vda" in planned("truncated-smbios", size_gb=">= 8")


def test_three_hundred_disks() -> None:
    """All are listed, the small one is the one that a system goes to, and an ambiguous hint lists them all."""
    host = FakeHost.of(shapes.many_disks())
    machine = take_in_full(host)
    plan = Operations(host, None, "/run/spool").plan(to_disk(size_gb="480"))

    assert len(items(machine.disks)) == MANY and not isinstance(machine.disks, Unknown)
    assert "/dev/sdkn" in text(plan) and shapes.letters(MANY - 1) == "kn"
    assert not [one for one in diagnose(host).findings if one.severity is Severity.ERROR]
    with pytest.raises(SeveralDisksMatch) as caught:
        Operations(host, None, "/run/spool").plan(to_disk(rotational=True))
    assert caught.value.evidence.count("/dev/sd") >= MANY


@pytest.mark.parametrize("work", ["inventory", "diagnose", "plan"])
def test_twice_the_disks_are_twice_the_work(work: str) -> None:
    """Door calls and steps of the program grow as disks do: nothing looks at every disk for every disk."""
    asked, few = worked(shapes.many_disks(MANY // 4), WORK[work])
    asked_too, many = worked(shapes.many_disks(MANY // 2), WORK[work])

    assert asked_too < 2.2 * asked
    assert many < 2.4 * few


WORK: dict[str, Callable[[Host], object]] = {
    "inventory": take_in_full,
    "diagnose": diagnose,
    "plan": lambda host: Operations(host, None, "/run/spool").plan(to_disk(size_gb="480")),
}


def worked(machine: Machine, work: Callable[[Host], object]) -> tuple[int, int]:
    """How many door calls, and how many calls of the agent's functions, it takes."""
    plan = FaultPlan()
    counted = [0]
    ours = str(Path(sys.modules["agent"].__file__ or "").parent)

    def count(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(ours):
            counted[0] += 1

    threading.setprofile(count)
    sys.setprofile(count)
    try:
        work(FakeHost.of(machine, plan))
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    return len(plan.calls), counted[0]
