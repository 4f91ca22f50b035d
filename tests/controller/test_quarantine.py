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


def accept(world: World, machine: Machine, *, accepted: bool = True) -> None:
    """The operator's word on the disk, in that node."""
    body = {"disk": "SN-sdb", "accepted": accepted}
    world.user("POST", f"/v1/nodes/{machine.node_id}/quarantine", body, status=200)


def may_serve(world: World, machine: Machine) -> bool:
    """Whether the quarantine lets that node have servers."""
    (node,) = (one for one in world.user("GET", "/v1/nodes") if one["id"] == machine.node_id)
    misfit = world.refused("POST", "/v1/servers", ORDER | {"root_device": {"serial": "no such disk"}})[2]
    (why,) = (line for line in misfit.splitlines() if f"{node['name']}: " in line)
    return "quarantine: disk SN-sdb" not in why


def a_liar(world: World) -> Machine:
    """A node that claims another's disk."""
    return Machine(world, 2, disks=(disk("sda", serial="SN-own", wwn="0x5000abc"), DEAD)).power_on()


def test_who_claims_a_disk_is_seen(world: World) -> None:
    """A node that says it could not erase a disk of another's costs that one its next server: whoever asks why is told
    who says so, and lifts it by one command, for good, however often it is claimed again.
    """
    victim, liar = Machine(world).power_on(), a_liar(world)
    erased_by(world, liar, "sdb")

    assert (
        f"disk SN-sdb may hold a former tenant's data (failed: Input/output error, says node {liar.node_id})"
        in (world.refused("POST", "/v1/servers", ORDER)[2])
    )
    accept(world, victim)
    for _ in range(2):
        erased_by(world, liar, "sdb")
        (told,) = world.user("GET", f"/v1/nodes/{victim.node_id}/erasures")["quarantined"]
        assert (told["said_by_id"], told["accepted_by"]) == (liar.node_id, "admin-token")
        assert told["said_by_name"] == world.user("GET", f"/v1/nodes/{liar.node_id}")["name"]
        assert may_serve(world, victim) and not may_serve(world, liar)

    world.order()
    assert world.server()["status"] == "BUILD"


@pytest.mark.parametrize("first", ["victim", "liar"])
def test_what_both_set_apart(world: World, first: str) -> None:
    """The node that has the disk, and one that claims it, in either order: accepted where it is, it stays so, and
    where that is taken back it is so no more, whosever word is asked."""
    victim, liar = Machine(world).power_on(), a_liar(world)
    for one in (victim, liar) if first == "victim" else (liar, victim):
        erased_by(world, one, "sdb")
    accept(world, victim)
    assert may_serve(world, victim) and not may_serve(world, liar)
    for one in (liar, victim, liar):
        erased_by(world, one, "sdb")
        assert may_serve(world, victim) and not may_serve(world, liar)
        (told,) = world.user("GET", f"/v1/nodes/{victim.node_id}/erasures")["quarantined"]
        assert told["accepted_by"] == "admin-token"

    accept(world, victim, accepted=False)
    assert not may_serve(world, victim) and not may_serve(world, liar)


def test_what_was_accepted_holds_until_a_server_was_there(world: World, dead: Machine) -> None:
    """Cleaned again, the node has the same disk with the same data, and the word holds. After a server it does not:
    that one may have written to the disk, and nobody has accepted that its data is seen."""
    accept(world, dead)
    world.clock.move(60)
    erased_by(world, dead, "sdb")
    assert may_serve(world, dead)

    world.order()
    dead.serve()
    world.clock.move(60)
    world.user("DELETE", "/v1/servers/web")
    restart = dead.desired().request
    assert restart is not None
    dead.report(restart, JobState.SUCCEEDED)
    dead.power_on()
    finished(world, dead, "sdb")
    assert not may_serve(world, dead)

    world.clock.move(60)
    accept(world, dead)
    erased_by(world, dead, "sdb")
    assert may_serve(world, dead)


def test_a_disk_is_accepted_in_one_node(world: World, dead: Machine) -> None:
    """Accepted elsewhere, since it was moved, it is not where it was before, should it come back."""
    accept(world, dead)
    disks = dead.disks
    other = moved(world, dead)
    erased_by(world, other, "sdc")
    accept(world, other)
    erased_by(world, other, "sdc")
    assert may_serve(world, other)

    dead.disks = disks
    dead.power_on()
    world.user("PATCH", f"/v1/nodes/{dead.node_id}", {"maintenance": False})
    assert not may_serve(world, dead)


def test_a_claim_on_a_disk_that_has_left(world: World, dead: Machine) -> None:
    """Once the disk is out of the node in which it was accepted, a node that could not erase it has it."""
    accept(world, dead)
    disks = dead.disks
    other = moved(world, dead)
    erased_by(world, other, "sdc")
    dead.disks = disks
    dead.power_on()

    assert not may_serve(world, other)
