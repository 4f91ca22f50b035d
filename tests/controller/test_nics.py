# SPDX-License-Identifier: Apache-2.0
"""NICs of servers that run: attached, detached, told to their node and to the nodes that must know."""

from __future__ import annotations

from typing import Any

import pytest

from agent.model.fault import Fault
from agent.model.network import NetworkConfig, Vlan, Vxlan
from tests.controller.machine import Machine
from tests.controller.world import World

ORDER = {"name": "b", "flavor": "small", "image": "debian", "nics": [{"subnet": "net"}], "key_name": "me"}
NICS = "/v1/servers/web/nics"


@pytest.fixture(autouse=True)
def networks(world: World) -> None:
    """VPCs of every kind, with a subnet each."""
    for name, more in (("other", {}), ("tagged", {"segment": "vlan"}), ("over", {"segment": "vxlan"})):
        world.user("POST", "/v1/vpcs", {"name": name} | more)
        world.user("POST", "/v1/subnets", {"name": f"{name}-net", "vpc": name, "cidr": "10.1.0.0/24"})
    world.user("POST", "/v1/subnets", {"name": "back", "vpc": "cloud", "cidr": "10.2.0.0/24"})


def network(machine: Machine) -> NetworkConfig:
    """What its agent is told."""
    found = machine.desired().network
    assert found is not None
    return found


def second(world: World) -> Machine:
    """Another machine, with server b."""
    machine = Machine(world, 2).power_on()
    world.user("POST", "/v1/servers", ORDER, status=202)
    return machine.serve()


def test_a_nic_is_attached_and_detached(world: World, server: Machine) -> None:
    """Each is a generation; it counts as applied when the agent says so; the address it may have again at once."""
    before = server.desired().generation
    change = world.user("POST", NICS, {"subnet": "tagged-net"}, status=202)
    vlan = network(server).link("nic0.2")
    assert isinstance(vlan, Vlan)
    assert vlan.mac is not None
    assert vlan.mac.startswith("fa:16:3e:")
    assert (change["generation"], change["port_id"]) == (before + 1, vlan.port_id)

    assert [nic["applied"] for nic in world.user("GET", NICS)["nics"]] == [False, False]
    server.beat(applied_generation=change["generation"])
    listed = world.user("GET", NICS)
    assert [nic["applied"] for nic in listed["nics"]] == [True, True]
    assert (listed["nics"][1]["vpc"], listed["nics"][1]["address"]) == ("tagged", "10.1.0.3")

    gone = world.user("DELETE", f"{NICS}/10.1.0.3", status=202)
    assert gone["generation"] == before + 2
    assert [link.name for link in network(server).links] == ["nic0"]
    assert world.user("POST", NICS, {"subnet": "tagged-net", "ip_address": "10.1.0.3"}, status=202)


def test_a_flat_nic_is_a_physical_one(world: World, server: Machine) -> None:
    """The next free one, or the one that is named; then none is left."""
    named = {"subnet": "back", "mac": "52:54:00:00:02:01"}
    assert "is in use" in world.refused("POST", NICS, named | {"mac": server.mac})[2]
    unknown = world.refused("POST", NICS, named | {"mac": "52:54:00:00:99:99"})
    assert unknown[:2] == (400, "BMS.0018")
    assert "mac: 52:54:00:00:99:99 is no NIC of the machine" in unknown[2]
    world.user("POST", NICS, named, status=202)

    assert world.refused("POST", NICS, {"subnet": "back"})[:2] == (409, "BMS.NO_NIC_FREE")
    links = network(server).links
    assert [(link.name, link.mac) for link in links] == [("nic0", server.mac), ("nic1", "52:54:00:00:02:01")]
    assert len(network(server).rules or ()) == 2


def test_another_vpc_may_have_the_same_addresses(world: World, server: Machine) -> None:
    """It is a VRF; and on one server no address is given twice all the same."""
    world.user("POST", NICS, {"subnet": "other-net"}, status=202)

    assert [link.name for link in network(server).links] == ["nic0", "nic1", "vrf2"]
    assert {nic["address"] for nic in world.user("GET", NICS)["nics"]} == {"10.1.0.2", "10.1.0.3"}
    assert world.refused("POST", NICS, {"subnet": "tagged-net", "ip_address": "10.1.0.2"})[1] == "BMS.0014"


def test_servers_in_a_vxlan_know_each_other(world: World, server: Machine) -> None:
    """Who comes or goes is told to every other server there, at once."""
    other = second(world)
    world.user("POST", NICS, {"subnet": "over-net"}, status=202)
    held = server.desired().generation
    world.user("POST", "/v1/servers/b/nics", {"subnet": "over-net"}, status=202)

    assert remotes(server) == ["10.1.0.3"]
    assert remotes(other) == ["10.1.0.2"]
    assert server.generation == held + 1
    world.user("DELETE", "/v1/servers/b")
    other.serve().serve()
    assert remotes(server) == []


def remotes(machine: Machine) -> list[str]:
    """Of its vxlan."""
    link = network(machine).link("vxlan1")
    assert isinstance(link, Vxlan)
    return [str(one) for one in link.remotes or ()]


@pytest.mark.parametrize(
    ("body", "code", "said"),
    [
        ({"subnet": "nowhere"}, "BMS.0018", "no subnet nowhere"),
        ({"subnet": "tagged-net", "security_groups": ["none"]}, "BMS.0018", "no security group none"),
        ({"subnet": "tagged-net", "mac": "52:54:00:00:02:01"}, "BMS.0018", "mac: tagged is a vlan"),
        ({"subnet": "tagged-net", "ip_address": "10.9.0.1"}, "BMS.0014", "not in 10.1.0.0/24"),
        ({"subnet": "tagged-net", "security_groups": []}, "INPUT.UNDECODABLE", "security_groups"),
        ({"subnet": "tagged-net", "security_groups": [*"abcdef"]}, "INPUT.UNDECODABLE", "at most 5 items"),
    ],
)
def test_a_wrong_nic(world: World, server: Machine, body: dict[str, Any], code: str, said: str) -> None:
    """It is refused, the field is named, and nothing changes."""
    before = server.desired()
    answer = world.refused("POST", NICS, body)

    assert answer[1] == code
    assert said in answer[2]
    assert server.desired() == before


def test_the_primary_nic_stays(world: World, server: Machine) -> None:
    """It is refused with the cloud's code."""
    assert world.refused("DELETE", f"{NICS}/10.1.0.2")[:2] == (409, "BMS.0222")
    assert world.refused("DELETE", f"{NICS}/10.1.0.99")[:2] == (404, "BMS.NOT_FOUND")


def test_ten_nics_more(world: World, server: Machine) -> None:
    """And no eleventh."""
    for number in range(11):
        world.user("POST", "/v1/vpcs", {"name": f"v{number}", "segment": "vlan"})
        net = {"name": f"n{number}", "vpc": f"v{number}", "cidr": "10.9.0.0/24"}
        world.user("POST", "/v1/subnets", net)
    for number in range(10):
        world.user("POST", NICS, {"subnet": f"n{number}"}, status=202)

    assert world.refused("POST", NICS, {"subnet": "n10"})[:2] == (409, "BMS.LIMIT")
    assert len({link.mac for link in network(server).links if link.mac}) == 11


def test_not_while_something_is_done_to_it(world: World, machine: Machine) -> None:
    """A deploy tells the OS of the NICs that it had."""
    world.order()

    assert world.refused("POST", NICS, {"subnet": "tagged-net"})[1] == "BMS.BUSY"


def test_a_deploy_stays_the_same_request(world: World, machine: Machine) -> None:
    """Whatever changes around it meanwhile: one request is never two; the OS is told the rest when it runs."""
    world.order()
    request = machine.desired().request
    world.user("PATCH", "/v1/subnets/net", {"dns": ["9.9.9.9"]})
    world.user("POST", "/v1/security-groups/default/rules", {"direction": "in", "protocol": "icmp"})
    assert machine.desired().request == request
    machine.serve()

    dns = network(machine).dns
    assert dns is not None
    assert [str(one) for one in dns.servers] == ["9.9.9.9"]


def test_a_subnet_that_changes_is_told(world: World, server: Machine) -> None:
    """Name servers and routes, to every server in it; a wrong route changes nothing."""
    held = server.desired().generation
    wrong = {"routes": [{"destination": "10.60.0.0/16", "next_hop": "10.7.0.1"}]}
    assert "routes.0.next_hop: 10.7.0.1" in world.refused("PATCH", "/v1/subnets/net", wrong)[2]
    world.user("PATCH", "/v1/subnets/net", {"routes": [{"destination": "10.60.0.0/16", "next_hop": "10.1.0.9"}]})

    assert server.desired().generation == held + 1
    assert [str(one.gateway) for one in network(server).routes or ()] == ["10.1.0.1", "10.1.0.9"]


def test_what_the_agent_says_is_shown(world: World, server: Machine) -> None:
    """If it cannot bring the network about, its words are beside the NICs."""
    server.beat(problems=(Fault(code="NET.REFUSED", message="no such NIC"),))

    assert world.user("GET", NICS)["problems"][0]["code"] == "NET.REFUSED"


def test_a_bond_takes_two_nics(world: World, machine: Machine) -> None:
    """By the flavor, or by the order; a third NIC is not there."""
    world.user("POST", "/v1/flavors", {"name": "bonded", "bond": "active-backup"})
    two = {"flavor": "bonded", "nics": [{"subnet": "net"}, {"subnet": "back"}]}
    assert "the order wants 3" in world.refused("POST", "/v1/servers", ORDER | two)[2]
    world.order(flavor="bonded", nics=[{"subnet": "net"}, {"subnet": "tagged-net"}])
    machine.serve()

    assert [link.name for link in network(machine).links] == ["bond0a", "bond0b", "bond0", "bond0.2", "vrf3"]
    assert world.server()["bond"]["macs"] == ["52:54:00:00:01:01", "52:54:00:00:02:01"]
    assert world.refused("POST", NICS, {"subnet": "back"})[1] == "BMS.NO_NIC_FREE"


def test_what_is_done_about_drift(world: World, server: Machine) -> None:
    """It is corrected, unless the user wants to be told only."""
    assert network(server).drift == "correct"
    assert world.user("PATCH", "/v1/servers/web", {"drift": "report"})["drift"] == "report"
    assert network(server).drift == "report"


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("vpcs", {"name": "x", "segment": "vlan", "segment_id": 4095}, "segment_id: 4095"),
        ("vpcs", {"name": "x", "segment": "vlan", "segment_id": 2}, "segment_id: another VPC has vlan 2"),
        ("vpcs", {"name": "x", "segment_id": 2}, "segment_id: a flat VPC has none"),
        ("subnets", {"name": "x", "vpc": "over", "cidr": "10.3.0.0/24", "mtu": 9200}, "mtu: 9200"),
        ("subnets", {"name": "x", "vpc": "over", "cidr": "10.1.0.0/25"}, "cidr: it overlaps"),
        ("subnets", {"name": "x", "vpc": "over", "cidr": "10.3.0.0/24", "mtu": 1000}, "mtu"),
    ],
)
def test_networks_that_cannot_be(world: World, path: str, body: dict[str, Any], said: str) -> None:
    """The field is named."""
    assert said in world.refused("POST", f"/v1/{path}", body)[2]
