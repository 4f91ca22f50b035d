# SPDX-License-Identifier: Apache-2.0
"""The address of a NIC that was detached: nobody else's before the server that had it has let go of it."""

from __future__ import annotations

from typing import Any

import pytest

from agent.model.fault import Fault
from agent.model.job import JobState
from tests.controller.machine import Machine
from tests.controller.world import World

NICS = "/v1/servers/web/nics"
OTHERS = "/v1/servers/b/nics"
ADDRESS = "10.2.0.2"
WANTED = {"subnet": "back", "ip_address": ADDRESS}


@pytest.fixture
def other(world: World, server: Machine) -> Machine:
    """Another machine, with server b."""
    machine = Machine(world, 2).power_on()
    world.order("b")
    return machine.serve()


@pytest.fixture
def detached(world: World, server: Machine, other: Machine) -> int:
    """Server web had a second NIC, and has applied that; its detachment was ordered, as this generation."""
    world.user("POST", "/v1/vpcs", {"name": "back", "segment": "vlan"})
    world.user("POST", "/v1/subnets", {"name": "back", "vpc": "back", "cidr": "10.2.0.0/24"})
    change = world.user("POST", NICS, {"subnet": "back"}, status=202)
    server.beat(applied_generation=change["generation"])
    gone = world.user("DELETE", f"{NICS}/{ADDRESS}", status=202)
    assert gone["generation"] == change["generation"] + 1
    return int(gone["generation"])


def reserved(world: World) -> bool:
    """Whether it is refused to server b; if not, b has it now."""
    if detaching(world) == []:
        world.user("POST", OTHERS, WANTED, status=202)
        return False
    status, code, said = world.refused("POST", OTHERS, WANTED)
    assert (status, code) == (409, "BMS.0014")
    assert "it is still on server web until its agent has let go of it" in said
    return True


def detaching(world: World) -> Any:
    """What is said of server web."""
    return world.user("GET", NICS)["detaching"]


def test_an_agent_that_is_away_keeps_it(world: World, detached: int) -> None:
    """However long: others are given another address, and the subnet stays."""
    world.look(3600)
    assert reserved(world)
    world.user("POST", OTHERS, {"subnet": "back"}, status=202)

    assert [nic["address"] for nic in world.user("GET", OTHERS)["nics"]] == ["10.1.0.3", "10.2.0.3"]
    world.user("DELETE", f"{OTHERS}/10.2.0.3", status=202)
    assert "2 users left" in world.refused("DELETE", "/v1/subnets/back")[2]
    assert [nic["address"] for nic in world.user("GET", NICS)["nics"]] == ["10.1.0.2"]
    assert detaching(world) == [ADDRESS]


def test_an_agent_that_fails_keeps_it(world: World, server: Machine, detached: int) -> None:
    """It is heard of, and has what it had."""
    server.beat(applied_generation=detached - 1, problems=(Fault(code="NET.REVERTED", message="cut off"),))

    assert reserved(world)


def test_an_agent_that_starts_anew_keeps_it(world: World, server: Machine, detached: int) -> None:
    """Until it has applied what it is told now; that is the generation that took the NIC away, or a later one."""
    server.power_on().beat()
    assert reserved(world)
    server.beat(applied_generation=server.desired().generation)

    assert not reserved(world)


def test_what_was_applied_is_free(world: World, server: Machine, detached: int) -> None:
    """From the heartbeat on that says so, for anybody; a late one of before takes nothing back."""
    late = server.heartbeat(server.beats, applied_generation=detached - 1)
    server.beat(applied_generation=detached + 1)
    server.send_beat(late)

    assert not reserved(world)
    assert world.user("GET", OTHERS)["nics"][1]["address"] == ADDRESS


def test_its_own_server_may_have_it_again(world: World, server: Machine, detached: int) -> None:
    """At once, if it is wanted by name; then it is reserved for as long as that NIC is there, and after it anew."""
    world.user("POST", NICS, WANTED, status=202)
    server.beat(applied_generation=detached + 1)
    assert detaching(world) == []
    assert "another NIC has it" in world.refused("POST", OTHERS, WANTED)[2]
    world.user("DELETE", f"{NICS}/{ADDRESS}", status=202)
    server.beat(applied_generation=detached + 1)

    assert reserved(world)


def test_a_server_that_is_deleted_keeps_it_until_it_is_erased(world: World, server: Machine, detached: int) -> None:
    """The order to delete it frees nothing, nor does an erase that fails."""
    server_id = world.server()["id"]
    world.user("DELETE", "/v1/servers/web")
    assert reserved(world)
    server.serve()
    request = server.desired().request
    assert request is not None
    server.report(request, JobState.FAILED, fault=Fault(code="HOST.DEVICE_ERROR", message="bad"))
    assert reserved(world)
    world.user("DELETE", "/v1/servers/web")
    server.serve()

    assert world.server(server_id)["status"] == "DELETED"
    world.user("POST", OTHERS, WANTED, status=202)
    assert world.refused("DELETE", "/v1/subnets/back")[1] == "BMS.IN_USE"


def test_a_reinstalled_server_has_it_no_more(world: World, server: Machine, detached: int) -> None:
    """When its disk is written anew, and not before, whatever the ramdisk says; its image may have no agent at all."""
    world.user("POST", "/v1/servers/web/reinstall")
    server.serve()
    assert server.mode == "ramdisk"
    server.beat(applied_generation=detached + 9)
    assert reserved(world)
    server.serve()

    assert not reserved(world)
