# SPDX-License-Identifier: Apache-2.0
"""A disk in quarantine is so by its serial and WWN, in whichever node it is, whatever became of the one it was in."""

from __future__ import annotations

from typing import Any

import pytest

from agent.model.job import JobState
from agent.model.request import EraseRequest
from tests.controller.machine import Machine, disk
from tests.controller.test_erasure import ORDER, erased
from tests.controller.world import World

DEAD = disk("sdb", 80)
GOOD = tuple(disk(f"sd{letter}", serial=f"SN-good-{letter}", wwn=f"0x5000ccc{letter}") for letter in "ab")


@pytest.fixture
def dead(world: World, machine: Machine) -> Machine:
    """A node in which a disk is not proven erased."""
    erased_by(world, machine, "sdb")
    return machine


def erased_by(world: World, machine: Machine, *bad: str) -> Any:
    """As `erased`, of one node of several."""
    world.user("POST", f"/v1/nodes/{machine.node_id}/clean", status=202)
    return finished(world, machine, *bad)


def finished(world: World, machine: Machine, *bad: str) -> Any:
    """The node says that it is clean; the node afterwards."""
    request = machine.desired().request
    assert isinstance(request, EraseRequest)
    machine.report(request, JobState.SUCCEEDED, result=machine.certificate(request, *bad))
    return world.user("GET", f"/v1/nodes/{machine.node_id}")


def apart(world: World, machine: Machine) -> list[str]:
    """Disks in quarantine, as the node's operator sees them."""
    told = world.user("GET", f"/v1/nodes/{machine.node_id}/erasures")
    return [one["disk"] for one in told["quarantined"]]


def moved(world: World, dead: Machine, **changes: Any) -> Machine:
    """The disk is in another node now, which was never told of it; the one it was in has come up without."""
    dead.disks = GOOD[:1]
    dead.power_on()
    world.user("PATCH", f"/v1/nodes/{dead.node_id}", {"maintenance": True})
    return Machine(
        world, 2, disks=(*GOOD, DEAD.model_copy(update={"name": "sdc", "path": "/dev/sdc"} | changes))
    ).power_on()


def test_a_disk_that_moves_stays_in_quarantine(world: World, dead: Machine) -> None:
    """In another node nobody gets it either; there, too, it is the operator's to accept, and an erasure's to free."""
    other = moved(world, dead)

    assert apart(world, other) == ["SN-sdb"]
    assert "quarantine: disk SN-sdb may hold" in world.refused("POST", "/v1/servers", ORDER)[2]
    erased_by(world, other)
    assert apart(world, other) == apart(world, dead) == []


def test_what_was_accepted_is_so_where_it_was(world: World, dead: Machine) -> None:
    """That a disk may stay in one node says nothing of another."""
    body = {"disk": "SN-sdb", "accepted": True}
    world.user("POST", f"/v1/nodes/{dead.node_id}/quarantine", body, status=200)
    other = moved(world, dead)
    assert "quarantine: disk SN-sdb" in world.refused("POST", "/v1/servers", ORDER)[2]
    world.user("POST", f"/v1/nodes/{other.node_id}/quarantine", body, status=200)

    world.order()
    assert world.server()["status"] == "BUILD"


def test_the_same_machine_as_another_node(world: World, dead: Machine) -> None:
    """A node that was shut out, and whose machine is enrolled anew, brings its disk's quarantine along."""
    world.user("POST", f"/v1/nodes/{dead.node_id}/revoke", {})
    again = Machine(world, 3, disks=dead.disks).power_on()

    assert again.node_id != dead.node_id and apart(world, again) == ["SN-sdb"]


def test_another_disk_of_that_serial(world: World, dead: Machine) -> None:
    """Serials are their makers' own: by its WWN it is another disk, in no quarantine, and its erasure frees none."""
    other = moved(world, dead, wwn="0x5000fff")

    assert apart(world, other) == [] and apart(world, dead) == ["SN-sdb"]
    erased_by(world, other)
    assert apart(world, dead) == ["SN-sdb"]


def test_a_disk_is_freed_by_the_node_that_has_it(world: World, dead: Machine) -> None:
    """A node that certifies a disk which is in another one has another disk, or lies."""
    liar = Machine(world, 2, disks=dead.disks).power_on()
    erased_by(world, liar)

    assert apart(world, dead) == ["SN-sdb"]


def test_a_disk_that_comes_back(world: World, dead: Machine) -> None:
    """Away at the next erasure, it is in quarantine still when it is there again."""
    disks, dead.disks = dead.disks, dead.disks[:1]
    dead.power_on()
    assert erased_by(world, dead)["clean"] is True
    dead.disks = disks
    dead.power_on()

    assert apart(world, dead) == ["SN-sdb"]
    assert "quarantine: disk SN-sdb" in world.refused("POST", "/v1/servers", ORDER)[2]
    assert erased(world, dead)["clean"] is True and apart(world, dead) == []


def test_who_claims_a_disk_is_seen(world: World) -> None:
    """A node that says it could not erase a disk of another's costs that one its next server: whoever asks why is told
    who says so, and lifts it by one command; a claim that is made anew says so again.
    """
    victim = Machine(world).power_on()
    liar = Machine(world, 2, disks=(disk("sda", serial="SN-own", wwn="0x5000abc"), DEAD)).power_on()
    erased_by(world, liar, "sdb")

    assert (
        f"disk SN-sdb may hold a former tenant's data (failed: Input/output error, says node {liar.node_id})"
        in (world.refused("POST", "/v1/servers", ORDER)[2])
    )
    for _ in range(2):
        erased_by(world, liar, "sdb")
        (told,) = world.user("GET", f"/v1/nodes/{victim.node_id}/erasures")["quarantined"]
        assert (told["said_by_id"], told["accepted_by"]) == (liar.node_id, None)
        assert told["said_by_name"] == world.user("GET", f"/v1/nodes/{liar.node_id}")["name"]
        world.user("POST", f"/v1/nodes/{victim.node_id}/quarantine", {"disk": "SN-sdb", "accepted": True}, status=200)

    world.order()
