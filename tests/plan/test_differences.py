# SPDX-License-Identifier: Apache-2.0
"""Differences between two inventories: none where nothing is another, and what an operator would want to hear of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.host.fake import FakeHost
from agent.inventory.hardware import take_in_full
from agent.model.fact import Unknown
from agent.model.frozen import Frozen
from agent.model.hardware import Hardware
from agent.model.hardware.disk import DiskHealth
from agent.plan.differences import PARTS, differences
from tests.inventory import equipped
from tests.machines import synthetic

Value = TypeVar("Value", bound=Frozen)
SERVER = take_in_full(equipped.host(), listen_s=1)
MACHINES = [SERVER, *(take_in_full(FakeHost.of(build())) for build in synthetic.MACHINES.values())]
GONE = Unknown(unknown="no answer within 10 s")
VOLATILE = ("temperature_celsius", "power_on_hours", "read_bytes", "written_bytes", "media_errors", "used_percent")


def with_(value: Value, **fields: Any) -> Value:
    """The same with other fields."""
    return value.model_copy(update=fields)


def known(part: Any) -> Any:
    """A part that is known here."""
    assert not isinstance(part, Unknown) and part is not None
    return part


def changed(part: str, place: int, **fields: Any) -> Hardware:
    """The server with one thing of a part changed."""
    things = list(known(getattr(SERVER, part)))
    things[place] = with_(things[place], **fields)
    return with_(SERVER, **{part: tuple(things)})


def without(part: str, place: int) -> Hardware:
    """The server with one thing less."""
    things = list(known(getattr(SERVER, part)))
    return with_(SERVER, **{part: tuple(things[:place] + things[place + 1 :])})


def modules(change: Callable[[list[Any]], None]) -> Hardware:
    """The server with other memory modules."""
    dimms = list(known(known(SERVER.memory).dimms))
    change(dimms)
    return with_(SERVER, memory=with_(known(SERVER.memory), dimms=tuple(dimms)))


def codes(after: Hardware, before: Hardware = SERVER) -> list[str]:
    """What was found."""
    return [one.code for one in differences(before, after)]


def shuffled(things: Sequence[Any], order: Sequence[int]) -> tuple[Any, ...]:
    """In another order."""
    return tuple(sorted(things, key=lambda one: order[things.index(one) % len(order)]))


@given(st.sampled_from(MACHINES), st.sets(st.sampled_from(sorted(PARTS))))
def test_nothing_is_no_difference(machine: Hardware, unread: set[str]) -> None:
    """An inventory does not differ from itself, whatever of it could not be read."""
    one = with_(machine, **dict.fromkeys(unread, GONE))

    assert differences(one, one) == ()
    assert differences(one, machine) == (), "what was unknown before is not new"
    assert {each.code for each in differences(machine, one)} == {
        f"{part.upper()}.UNREADABLE" for part in unread if not isinstance(getattr(machine, part), Unknown)
    }


@given(
    st.sampled_from(MACHINES),
    st.lists(st.integers(0, 100), min_size=40, max_size=40),
    st.integers(0, 10**9),
    st.integers(0, 120),
)
def test_what_changes_by_itself(machine: Hardware, order: list[int], count: int, celsius: int) -> None:
    """The order in which things were found, names of disks, counters, temperatures and time are no differences."""
    changes: dict[str, Any] = {"taken_at": machine.taken_at + timedelta(seconds=count), "boot_id": str(count)}
    if isinstance(machine.disks, tuple):
        shift = len(machine.disks)
        disks = [with_(one, health=worn(one.health, count, celsius)) for one in machine.disks]
        named = [with_(one, name=f"{one.name}{shift}") for one in disks]
        is_named = all(one.wwn or one.serial or one.by_path for one in disks)
        changes["disks"] = shuffled(named if is_named else disks, order)
    if isinstance(machine.nics, tuple):
        changes["nics"] = shuffled([with_(one, addresses=(), gateway=None) for one in machine.nics], order)
    if isinstance(machine.sensors, tuple):
        changes["sensors"] = tuple(with_(one, reading=float(celsius)) for one in machine.sensors)
    if isinstance(machine.memory_errors, tuple):
        changes["memory_errors"] = tuple(with_(one, correctable=count) for one in machine.memory_errors)

    assert differences(machine, with_(machine, **changes)) == ()


def worn(health: Any, count: int, celsius: int) -> Any:
    """A disk after a while."""
    if not isinstance(health, DiskHealth):
        return health
    return with_(health, **(dict.fromkeys(VOLATILE, count) | {"temperature_celsius": celsius}))


def test_a_module_moved_and_one_that_runs_slower() -> None:
    """A module is known by its serial wherever it is; two that change places are two moves, and nothing else."""

    def swap(dimms: list[Any]) -> None:
        a, b = dimms[0], dimms[8]
        dimms[0], dimms[8] = with_(b, locator=a.locator), with_(a, locator=b.locator)

    def slow(dimms: list[Any]) -> None:
        dimms[3] = with_(dimms[3], speed_mts=2933)

    found = differences(SERVER, modules(swap))
    assert [one.code for one in found] == ["MEMORY.MODULE_MOVED"] * 2
    assert str(found[0]) == "memory module FA01: A1 (BANK 0) is now B1 (BANK 0)"
    (slower,) = differences(SERVER, modules(slow))
    assert (slower.code, slower.weight) == ("MEMORY.SPEED_DROPPED", "fault")
    assert "3200 MT/s is now 2933 MT/s" in str(slower)


def test_a_module_gone_and_another_in_its_place() -> None:
    """One that is gone is a fault, and comes first; its slot is told."""

    def replace(dimms: list[Any]) -> None:
        dimms[2] = with_(dimms[2], serial="NEW1")

    found = differences(SERVER, modules(replace))
    assert [(one.code, one.weight) for one in found] == [
        ("MEMORY.MODULE_GONE", "fault"),
        ("MEMORY.MODULE_NEW", "change"),
    ]
    assert found[0].what == "slot A3 (BANK 0)" and "FA03" in str(found[0].before)


def test_disks() -> None:
    """Gone, new, replaced where another hangs in the same slot, failing, with other firmware."""
    assert codes(without("disks", 0)) == ["DISK.GONE"]
    assert codes(SERVER, without("disks", 0)) == ["DISK.NEW"]
    place = next(at for at, one in enumerate(known(SERVER.disks)) if one.by_path)
    assert codes(changed("disks", place, wwn="0x5000c500ffffffff", serial="NEW")) == ["DISK.REPLACED"]
    assert codes(changed("disks", 0, firmware="9.9")) == ["DISK.FIRMWARE"]
    at = next(at for at, one in enumerate(known(SERVER.disks)) if isinstance(one.health, DiskHealth))
    health = with_(known(SERVER.disks)[at].health, passed=False, warnings=("read only",))
    found = differences(SERVER, changed("disks", at, health=health))
    assert [(one.code, one.weight) for one in found] == [("DISK.HEALTH", "fault"), ("DISK.WARNING", "fault")]
    assert codes(changed("disks", at, health=GONE)) == []


def test_nics_and_links() -> None:
    """A NIC is known by its MAC. Narrower and slower links are faults; a graphics processor may slow its own down."""
    assert codes(without("nics", 1)) == ["NIC.GONE"]
    assert codes(changed("nics", 0, firmware="9.50")) == ["NIC.FIRMWARE"]
    assert codes(changed("nics", 0, speed_mbps=1000)) == ["NIC.SPEED_DROPPED"]
    assert codes(changed("nics", 0, carrier=False)) == ["NIC.CARRIER_LOST"]
    assert codes(changed("nics", 0, transceiver=None)) == ["NIC.MODULE"]
    lldp = with_(known(known(SERVER.nics)[0].lldp), port_id="eth8")
    assert codes(changed("nics", 0, lldp=lldp)) == ["NIC.NEIGHBOUR"]
    at = next(at for at, one in enumerate(known(SERVER.pci_devices)) if one.link)
    link = known(SERVER.pci_devices)[at].link
    assert codes(changed("pci_devices", at, link=with_(link, width_lanes=2))) == ["PCI.LINK_WIDTH_DROPPED"]
    assert codes(changed("pci_devices", at, link=with_(link, speed_gts=2.5))) == ["PCI.LINK_SPEED_DROPPED"]
    display = changed("pci_devices", at, device_class="030000")
    assert codes(changed("pci_devices", at, device_class="030000", link=with_(link, speed_gts=2.5)), display) == []
    assert codes(without("pci_devices", at)) == ["PCI.FUNCTION"]


@pytest.mark.parametrize(
    ("part", "fields", "code"),
    [
        ("system", {"firmware_version": "1.6"}, "SYSTEM.FIRMWARE_VERSION"),
        ("cpu", {"cores": 3}, "CPU.CORES_DROPPED"),
        ("cpu", {"microcode": "0xd0003f5"}, "CPU.MICROCODE"),
        ("cpu", {"vulnerabilities": {"meltdown": "Vulnerable"}}, "CPU.VULNERABILITY"),
        ("firmware", {"secure_boot": False}, "FIRMWARE.SECURE_BOOT"),
        ("firmware", {"order": ("Boot0001", "Boot0003")}, "FIRMWARE.ORDER"),
        ("firmware", {"entries": ()}, "FIRMWARE.BOOT_ENTRY"),
        ("tpm", {"firmware": "7.86"}, "TPM.FIRMWARE"),
        ("tpm", {"certificates": ()}, "TPM.CERTIFICATES"),
    ],
)
def test_the_board(part: str, fields: dict[str, Any], code: str) -> None:
    """Each of these alone is one difference, under its own code."""
    assert codes(with_(SERVER, **{part: with_(known(getattr(SERVER, part)), **fields)})) == [code]


def test_a_part_that_is_gone() -> None:
    """A TPM that is not there any more is a fault; a BMC that has come is not."""
    (found,) = differences(SERVER, with_(SERVER, tpm=None))

    assert (found.code, found.weight, str(found)) == ("TPM.PRESENCE", "fault", "TPM: version 2.0 is gone")
