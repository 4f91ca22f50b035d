# SPDX-License-Identifier: Apache-2.0
"""Security groups: created with rules that let out, told to the servers in them, and to those that must know."""

from __future__ import annotations

from typing import Any

import pytest

from agent.model.network import Firewall
from tests.controller.machine import Machine
from tests.controller.world import World

GROUPS = "/v1/security-groups"
SSH = {"direction": "in", "protocol": "tcp", "first_port": 22, "last_port": 22}


def firewall(machine: Machine) -> Firewall:
    """What its agent is told."""
    network = machine.desired().network
    assert network is not None
    assert network.firewall is not None
    return network.firewall


def second(world: World, **more: Any) -> Machine:
    """Another machine, with server b."""
    machine = Machine(world, 2).power_on()
    world.order("b", **more)
    return machine.serve()


def test_the_default_group(world: World, server: Machine) -> None:
    """Everything out, and in from whoever is in it, in the same VPC."""
    (group,) = firewall(server).groups
    rules = {(rule.direction.value, rule.version, rule.remote_group) for rule in group.rules}
    assert rules == {("out", 4, None), ("out", 6, None), ("in", 4, "default-1"), ("in", 6, "default-1")}
    assert firewall(server).links == {"nic0": ("default-1",)}
    assert [str(one) for one in firewall(server).members["default-1"]] == ["10.1.0.2"]

    held = server.generation
    other = second(world)
    for machine in (server, other):
        assert [str(one) for one in firewall(machine).members["default-1"]] == ["10.1.0.2", "10.1.0.3"]
    assert server.generation == held + 1


def test_a_group_of_ones_own(world: World, machine: Machine) -> None:
    """It lets everything out; rules are added and removed while servers are in it."""
    world.user("POST", GROUPS, {"name": "web"}, status=201)
    world.order(security_groups=["web"])
    machine.serve()
    held = machine.desired().generation
    rule = world.user("POST", f"{GROUPS}/web/rules", SSH, status=201)
    (group,) = firewall(machine).groups
    assert [one.first_port for one in group.rules if one.direction == "in"] == [22]
    assert [one.version for one in group.rules if one.direction == "out"] == [4, 6]
    assert machine.generation == held + 1

    world.user("DELETE", f"{GROUPS}/web/rules/{rule['id']}", status=204)
    assert all(one.direction == "out" for one in firewall(machine).groups[0].rules)
    assert world.refused("DELETE", f"{GROUPS}/web/rules/{rule['id']}")[1] == "BMS.NOT_FOUND"


def test_a_remote_group_is_its_members(world: World, server: Machine) -> None:
    """A server that joins the group is told to those whose rules refer to it."""
    for name in ("web", "db"):
        world.user("POST", GROUPS, {"name": name})
    world.user("POST", f"{GROUPS}/db/rules", SSH | {"remote_group": "web"})
    other = second(world, security_groups=["db"])
    (web,) = [group["id"] for group in world.user("GET", GROUPS) if group["name"] == "web"]
    assert firewall(other).members[f"{web}-1"] == ()
    world.user("PATCH", "/v1/servers/web/nics/10.1.0.2", {"security_groups": ["web"]}, status=202)

    assert [str(one) for one in firewall(other).members[f"{web}-1"]] == ["10.1.0.2"]
    assert {rule["remote_group"] for rule in world.user("GET", f"{GROUPS}/db")["rules"]} == {None, "web"}
    assert world.server()["addresses"][0]["security_groups"] == ["web"]


def test_groups_in_use_stay(world: World, server: Machine) -> None:
    """In which a NIC is, to which a rule refers, and the default one."""
    world.user("POST", GROUPS, {"name": "web"})
    rule = world.user("POST", f"{GROUPS}/default/rules", SSH | {"remote_group": "web"})
    assert world.refused("DELETE", f"{GROUPS}/default")[1] == "BMS.IN_USE"
    assert "rules of 1 other groups" in world.refused("DELETE", f"{GROUPS}/web")[2]
    world.user("DELETE", f"{GROUPS}/default/rules/{rule['id']}")
    world.user("PATCH", "/v1/servers/web/nics/10.1.0.2", {"security_groups": ["web"]}, status=202)
    assert "1 user left" in world.refused("DELETE", f"{GROUPS}/web")[2]
    world.user("PATCH", "/v1/servers/web/nics/10.1.0.2", {"security_groups": ["default"]}, status=202)

    world.user("DELETE", f"{GROUPS}/web", status=204)
    assert [group["name"] for group in world.user("GET", GROUPS)] == ["default"]


@pytest.mark.parametrize(
    ("rule", "code", "said"),
    [
        ({"direction": "in", "first_port": 22, "last_port": 22}, "INPUT.UNDECODABLE", "first_port: only tcp and udp"),
        (SSH | {"last_port": 21}, "INPUT.UNDECODABLE", "last_port: lower than first_port"),
        (SSH | {"first_port": 0}, "INPUT.UNDECODABLE", "first_port"),
        (SSH | {"remote": "10.0.0.1/8"}, "INPUT.UNDECODABLE", "remote"),
        (SSH | {"remote_group": "none"}, "BMS.0018", "no remote_group none"),
        ({"direction": "out"}, "BMS.0018", "the same one already"),
        ({"direction": "sideways"}, "INPUT.UNDECODABLE", "direction"),
    ],
)
def test_a_wrong_rule(world: World, rule: dict[str, Any], code: str, said: str) -> None:
    """It is refused, and the field is named."""
    answer = world.refused("POST", f"{GROUPS}/default/rules", rule)

    assert answer[1] == code
    assert said in answer[2]


def test_limits(world: World) -> None:
    """100 groups, 50 rules each."""
    for port in range(1, 47):
        world.user("POST", f"{GROUPS}/default/rules", SSH | {"first_port": port, "last_port": port})
    assert world.refused("POST", f"{GROUPS}/default/rules", SSH | {"last_port": 99})[:2] == (409, "BMS.LIMIT")
    for number in range(99):
        world.user("POST", GROUPS, {"name": f"g{number}"})

    assert world.refused("POST", GROUPS, {"name": "more"})[:2] == (409, "BMS.LIMIT")
