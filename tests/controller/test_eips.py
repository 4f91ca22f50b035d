# SPDX-License-Identifier: Apache-2.0
"""EIPs: one to a NIC, one NIC to each; their servers are told."""

from __future__ import annotations

from typing import Any

import pytest

from agent.model.network import NetworkConfig
from tests.controller.machine import Machine
from tests.controller.world import World

ADDRESS = "203.0.113.7"
EIP = f"/v1/eips/{ADDRESS}"


@pytest.fixture(autouse=True)
def eip(world: World) -> None:
    """One of 100 Mbit/s."""
    world.user("POST", "/v1/eips", {"address": ADDRESS, "bandwidth_mbps": 100}, status=201)


def network(machine: Machine) -> NetworkConfig:
    """What its agent is told."""
    found = machine.desired().network
    assert found is not None
    return found


def test_an_eip_is_bound_and_unbound(world: World, server: Machine) -> None:
    """Its server shapes what leaves the VPC, and does so no more."""
    held = server.desired().generation
    change = world.user("POST", f"{EIP}/bind", {"server": "web"}, status=202)
    assert change["generation"] == held + 1
    (bound,) = network(server).eips or ()
    assert (str(bound.address), str(bound.private), bound.link, bound.mode) == (ADDRESS, "10.1.0.2", "nic0", "gateway")
    assert (world.user("GET", EIP)["server_name"], world.server()["addresses"][0]["eip"]) == ("web", ADDRESS)
    world.user("PATCH", EIP, {"bandwidth_mbps": 2000})
    bandwidth = network(server).links[0].bandwidth
    assert bandwidth is not None
    assert (bandwidth.egress_mbps, [str(one) for one in bandwidth.exempt]) == (2000, ["10.0.0.0/8"])

    world.user("POST", f"{EIP}/unbind", status=202)
    assert network(server).eips == ()
    bandwidth = network(server).links[0].bandwidth
    assert bandwidth is not None
    assert bandwidth.egress_mbps is None


def test_bound_once(world: World, server: Machine) -> None:
    """To one NIC; and a NIC has one."""
    world.user("POST", "/v1/eips", {"address": "203.0.113.8"})
    world.user("POST", f"{EIP}/bind", {"server": "web"})

    assert "bound already" in world.refused("POST", f"{EIP}/bind", {"server": "web"})[2]
    assert f"EIP {ADDRESS} is bound to it" in world.refused("POST", "/v1/eips/203.0.113.8/bind", {"server": "web"})[2]
    assert world.refused("DELETE", EIP)[1] == "BMS.IN_USE"


def test_a_nic_with_an_eip_is_not_detached(world: World, server: Machine) -> None:
    """It is unbound first; but a server that is deleted lets go of it."""
    world.user("POST", "/v1/subnets", {"name": "back", "vpc": "cloud", "cidr": "10.2.0.0/24"})
    world.user("POST", "/v1/servers/web/nics", {"subnet": "back"}, status=202)
    world.user("POST", f"{EIP}/bind", {"server": "web", "port": "10.2.0.2"})
    assert world.refused("DELETE", "/v1/servers/web/nics/10.2.0.2")[1] == "BMS.IN_USE"
    assert [str(rule.source) for rule in network(server).rules or ()] == ["10.1.0.2/32", "10.2.0.2/32"]
    world.user("DELETE", "/v1/servers/web")
    server.serve().serve()

    assert world.user("GET", EIP)["server_id"] is None
    world.user("DELETE", EIP, status=204)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"address": "10.1.0.9"}, "address: it is within subnet net"),
        ({"address": "224.0.0.1"}, "address: it is no address for hosts"),
        ({"address": "203.0.113.9", "bandwidth_mbps": 2001}, "bandwidth_mbps"),
        ({"address": "203.0.113.9", "bandwidth_mbps": 0}, "bandwidth_mbps"),
        ({"address": "203.0.113.9", "mode": "magic"}, "mode"),
        ({"address": ADDRESS}, "there is one of that name already"),
    ],
)
def test_a_wrong_eip(world: World, body: dict[str, Any], said: str) -> None:
    """The field is named."""
    assert said in world.refused("POST", "/v1/eips", body)[2]


def test_a_wrong_binding(world: World, server: Machine) -> None:
    """To nothing that is there, to an address that we do not know, and of nothing."""
    world.user("POST", "/v1/subnets", {"name": "wild", "vpc": "cloud", "cidr": "10.4.0.0/24", "dhcp": True})
    port = world.user("POST", "/v1/servers/web/nics", {"subnet": "wild"}, status=202)["port_id"]

    world.user("POST", "/v1/vpcs", {"name": "over", "segment": "vxlan"})
    world.user("POST", "/v1/subnets", {"name": "alone", "vpc": "over", "cidr": "10.5.0.0/24"})
    alone = world.user("POST", "/v1/servers/web/nics", {"subnet": "alone"}, status=202)["port_id"]

    assert "no gateway" in world.refused("POST", f"{EIP}/bind", {"server": "web", "port": alone})[2]
    assert world.refused("POST", f"{EIP}/bind", {"server": "none"})[1] == "BMS.0040"
    assert world.refused("POST", f"{EIP}/bind", {"server": "web", "port": "x"})[1] == "BMS.NOT_FOUND"
    assert "DHCP" in world.refused("POST", f"{EIP}/bind", {"server": "web", "port": port})[2]
    assert "bound to nothing" in world.refused("POST", f"{EIP}/unbind")[2]
    assert world.refused("POST", "/v1/eips/203.0.113.99/unbind")[1] == "BMS.NOT_FOUND"
