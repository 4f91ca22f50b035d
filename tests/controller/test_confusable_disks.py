# SPDX-License-Identifier: Apache-2.0
"""Disks that cannot be told from others by their names: none of them gets out of its quarantine under another's."""

from __future__ import annotations

from typing import Any

import pytest

from agent.model.fault import Fault
from agent.model.job import JobState
from agent.model.request import EraseRequest
from tests.controller.machine import Machine, disk
from tests.controller.test_erasure import ORDER, changed, without
from tests.controller.test_quarantine import GOOD, apart, erased_by
from tests.controller.world import World

SAME: dict[str, Any] = {"serial": "SN-sdb", "wwn": None}
TWINS = (GOOD[0], disk("sdb", 80, **SAME), disk("sdc", 80, **SAME))
NAMELESS = (GOOD[0], disk("sdb", 80, serial=None, wwn=None))


def reported(world: World, machine: Machine, *bad: str, gone: str = "", fault: Fault | None = None) -> Any:
    """The machine was erased but for these disks; one of them may be `gone`. The node afterwards."""
    world.user("POST", f"/v1/nodes/{machine.node_id}/clean", status=202)
    request = machine.desired().request
    assert isinstance(request, EraseRequest)
    disks = machine.disks
    machine.disks = tuple(one for one in disks if one.name != gone)
    machine.report(
        request,
        JobState.SUCCEEDED if fault is None else JobState.FAILED,
        result=machine.certificate(request, *bad),
        fault=fault,
    )
    machine.disks = disks
    return world.user("GET", f"/v1/nodes/{machine.node_id}")


def refused(world: World) -> str:
    """Why nobody gets a server."""
    status, _, why = world.refused("POST", "/v1/servers", ORDER)
    assert status == 409
    return why


def booted_with(machine: Machine, *names: str) -> None:
    """The other disks were taken out while it was off."""
    every = machine.disks
    machine.disks = tuple(one for one in every if one.name in names)
    machine.power_on()
    machine.disks = every


def test_a_twin_does_not_free_a_dead_disk(world: World) -> None:
    """Two disks of one serial, without WWNs, of which one fails: the node is in error. With that one away the other is
    erased; when it comes back, nobody gets it.
    """
    machine = Machine(world, disks=TWINS).power_on()
    node = reported(world, machine, "sdb")
    assert (node["state"], node["fault"]["code"]) == ("error", "BMS.ERASE_UNPROVEN")
    machine.disks = (TWINS[0], TWINS[2])
    machine.power_on()
    assert reported(world, machine)["clean"] is True
    machine.disks = TWINS
    machine.power_on()

    assert apart(world, machine) == ["SN-sdb"] and "quarantine: disk SN-sdb" in refused(world)
    assert reported(world, machine)["clean"] is True and apart(world, machine) == []


def test_a_twin_does_not_speak_for_one_that_vanished(world: World) -> None:
    """Of two disks of one serial one is gone when the certificate is made: it is missing, whoever else has its name."""
    machine = Machine(world, disks=TWINS).power_on()
    reported(world, machine, gone="sdc")

    assert apart(world, machine) == ["SN-sdb"] and "it vanished before it was erased" in refused(world)


def test_a_disk_without_a_name_is_known_by_its_size(world: World) -> None:
    """A dead disk with neither serial nor WWN is set apart, too: away while the node is cleaned, it is found again."""
    machine = Machine(world, disks=NAMELESS).power_on()
    assert reported(world, machine, "sdb", fault=Fault(code="DISK.ERASE_UNPROVEN", message="sdb"))["state"] == "error"
    machine.disks = NAMELESS[:1]
    machine.power_on()
    assert reported(world, machine)["clean"] is True
    machine.disks = NAMELESS
    machine.power_on()

    assert apart(world, machine) == ["nameless, 80000000000 bytes"] and "quarantine: disk nameless" in refused(world)
    assert reported(world, machine)["clean"] is True and apart(world, machine) == []


def test_by_its_serial_alone_a_disk_is_freed_where_it_was(world: World) -> None:
    """Another node's disk of that serial, without WWNs, may be another maker's."""
    machine = Machine(world, disks=(GOOD[0], disk("sdb", 80, **SAME))).power_on()
    reported(world, machine, "sdb")
    dead, machine.disks = machine.disks, GOOD[:1]
    machine.power_on()
    other = Machine(world, 2, disks=(GOOD[1], disk("sdb", 80, **SAME))).power_on()
    erased_by(world, other)
    machine.disks = dead
    machine.power_on()

    assert apart(world, machine) == ["SN-sdb"]


@pytest.mark.parametrize(
    ("was", "now"),
    [
        ({}, {"wwn": None}),
        ({"wwn": None}, {}),
        ({}, {"serial": None}),
        ({"serial": None}, {}),
        ({"wwn": "eui.0100000000000001"}, {"wwn": "eui.0100000000000002"}),
    ],
    ids=["without its WWN", "with a WWN", "without its serial", "with a serial", "with another namespace"],
)
def test_another_port_does_not_hide_a_dead_disk(world: World, was: dict[str, Any], now: dict[str, Any]) -> None:
    """An adapter that tells less of it, or more; or a namespace that was deleted and made anew on a dead drive."""
    names: dict[str, Any] = {"serial": "SN-sdb", "wwn": "0x5000c500aaaa"}
    machine = Machine(world, disks=(GOOD[0], disk("sdb", 80, **(names | was)))).power_on()
    reported(world, machine, "sdb", fault=Fault(code="DISK.ERASE_UNPROVEN", message="sdb"))
    machine.disks = GOOD[:1]
    machine.power_on()
    reported(world, machine)
    machine.disks = (GOOD[0], disk("sdz", 80, **(names | now)))
    machine.power_on()

    assert len(apart(world, machine)) == 1 and "quarantine: disk" in refused(world)


def test_a_part_of_the_drives_is_not_all(world: World) -> None:
    """A certificate that leaves one disk out, with another's name put twice, proves one disk."""
    machine = Machine(world).power_on()
    world.user("POST", f"/v1/nodes/{machine.node_id}/clean", status=202)
    request = machine.desired().request
    assert isinstance(request, EraseRequest)
    twice = changed(without(machine.certificate(request), "SN-sdb"), path="/dev/sdb")
    machine.report(request, JobState.SUCCEEDED, result=twice)

    assert apart(world, machine) == ["SN-sdb"]
