# SPDX-License-Identifier: Apache-2.0
"""Ordering a server: what is checked, with the cloud's codes, and that one node never gets two servers."""

from __future__ import annotations

import base64
from collections.abc import Callable
from threading import Barrier, Thread
from typing import Any

import pytest

from agent.controller.flow.nics import NicOrder
from agent.controller.flow.order import ServerOrder, create
from agent.controller.refusal import NoNodeFits, Refused
from agent.model.disk import RootDeviceHints
from agent.model.network import MAIN_TABLE
from agent.model.request import DeployRequest
from tests.controller.machine import Machine, disk
from tests.controller.world import World

ORDER = {"name": "web", "flavor": "small", "image": "debian", "nics": [{"subnet": "net"}], "key_name": "me"}


@pytest.mark.parametrize(
    ("changes", "status", "code", "said"),
    [
        ({"flavor": "huge"}, 400, "BMS.0021", "no flavor huge"),
        ({"image": "plan9"}, 400, "BMS.0011", "no image plan9"),
        ({"key_name": "yours"}, 400, "BMS.0211", "no key pair yours"),
        ({"nics": [{"subnet": "nowhere"}]}, 400, "BMS.0018", "no subnet nowhere"),
        ({"nics": [{"subnet": "net"}] * 3}, 400, "BMS.0018", "at most 2"),
        ({"nics": [{"subnet": "net", "ip_address": "10.1.0.1"}]}, 409, "BMS.0014", "reserved for the gateway"),
        ({"nics": [{"subnet": "net", "ip_address": "10.9.0.7"}]}, 409, "BMS.0014", "not in 10.1.0.0/24"),
        ({"user_data": "no base64!"}, 400, "BMS.0018", "base64"),
        ({"user_data": "\x80"}, 400, "BMS.0018", "base64"),
        ({"user_data": "/w=="}, 400, "BMS.0018", "UTF-8"),
        ({"user_data": base64.b64encode(b"x" * 32769).decode()}, 400, "BMS.0210", "32769 bytes"),
        ({"nics": []}, 422, "INPUT.UNDECODABLE", "nics"),
        ({"name": "a b"}, 422, "INPUT.UNDECODABLE", "name"),
        ({"name": "x" * 64}, 422, "INPUT.UNDECODABLE", "name"),
        ({"metadata": {"k": "v" * 256}}, 422, "INPUT.UNDECODABLE", "metadata"),
        ({"keep_disk": 2}, 422, "INPUT.UNDECODABLE", "keep_disk"),
    ],
)
def test_a_wrong_order(
    world: World, machine: Machine, changes: dict[str, Any], status: int, code: str, said: str
) -> None:
    """It is refused with its code and its reason, and nothing of it is left behind."""
    answer = world.refused("POST", "/v1/servers", ORDER | changes)

    assert answer[:2] == (status, code)
    assert said in answer[2]
    assert world.node()["state"] == "available"
    assert world.user("GET", "/v1/servers") == []


def test_user_data_of_32_kib_is_allowed(world: World, machine: Machine) -> None:
    """The limit itself is allowed, before base64."""
    world.order(user_data=base64.b64encode(b"x" * 32768).decode())


def test_a_requested_address_is_given_once(world: World, machine: Machine) -> None:
    """The second server that wants it is refused."""
    Machine(world, 2).power_on()
    nics = [{"subnet": "net", "ip_address": "10.1.0.77"}]
    world.order(nics=nics)

    assert world.server()["addresses"][0]["address"] == "10.1.0.77"
    assert world.refused("POST", "/v1/servers", ORDER | {"name": "b", "nics": nics})[1] == "BMS.0014"


def test_a_full_subnet_says_so(world: World) -> None:
    """The order is refused with its code, and takes no node."""
    world.user("POST", "/v1/subnets", {"name": "tiny", "vpc": "cloud", "cidr": "10.3.0.0/29"})
    for number in range(1, 5):
        Machine(world, number).power_on()
    for name in ("a", "b", "c"):
        world.order(name, nics=[{"subnet": "tiny"}])

    assert world.refused("POST", "/v1/servers", ORDER | {"nics": [{"subnet": "tiny"}]})[:2] == (409, "BMS.0012")
    assert [node["state"] for node in world.user("GET", "/v1/nodes")].count("available") == 1


def test_two_nics_get_two_addresses(world: World, machine: Machine) -> None:
    """The primary NIC is the one that the machine boots by, and alone has the gateway."""
    world.user("POST", "/v1/subnets", {"name": "extra", "vpc": "cloud", "cidr": "10.2.0.0/24"})
    world.order(nics=[{"subnet": "net"}, {"subnet": "extra"}])
    machine.serve()
    network = machine.desired().network

    assert network is not None
    assert [(nic.mac, *map(str, nic.addresses or ())) for nic in network.links] == [
        ("52:54:00:00:01:01", "10.1.0.2/24"),
        ("52:54:00:00:02:01", "10.2.0.2/24"),
    ]
    main = [(route.link, str(route.gateway)) for route in network.routes or () if route.table == MAIN_TABLE]
    assert main == [("nic0", "10.1.0.1")]


def test_a_subnet_with_its_own_dhcp(world: World, machine: Machine) -> None:
    """Its addresses are neither given out nor asked for; what the OS got is what is shown."""
    world.user("POST", "/v1/subnets", {"name": "wild", "vpc": "cloud", "cidr": "10.4.0.0/24", "dhcp": True})
    fixed = ORDER | {"nics": [{"subnet": "wild", "ip_address": "10.4.0.9"}]}
    assert world.refused("POST", "/v1/servers", fixed)[1] == "BMS.0018"
    world.order(nics=[{"subnet": "wild"}])
    machine.serve()
    network = machine.desired().network

    assert network is not None
    assert [(nic.dhcp4, nic.addresses) for nic in network.links] == [(True, ())]
    assert network.routes == ()


def test_nobody_fits(world: World, machine: Machine) -> None:
    """The refusal says for each node and each field why not."""
    Machine(world, 2, ram_gb=128).power_on()
    world.user("POST", "/v1/flavors", {"name": "huge", "cores": 64, "ram_mb": 65536})
    status, code, said = world.refused("POST", "/v1/servers", ORDER | {"flavor": "huge"})

    assert (status, code) == (409, "BMS.NO_NODE_FITS")
    assert said.splitlines()[0].startswith("creating server web: ")
    assert sorted(line.removeprefix("creating server web: ") for line in said.splitlines()) == [
        "node-525400000101: cores: flavor wants 64, node has 4; ram_mb: flavor wants 65536, node has 4096",
        "node-525400000102: cores: flavor wants 64, node has 4",
    ]


def test_the_smallest_node_that_fits_is_taken(world: World) -> None:
    """Large machines are kept for those who need them."""
    for number, ram_gb in ((1, 64), (2, 4), (3, 16)):
        Machine(world, number, ram_gb=ram_gb).power_on()
    world.order()

    assert world.server()["node_name"] == "node-525400000102"


def test_the_users_hints_choose_the_disk(world: World, machine: Machine) -> None:
    """They decide which disk, and the agent is told exactly that one."""
    world.order(root_device={"size_gb": ">= 70"})
    request = machine.desired().request

    assert isinstance(request, DeployRequest) and isinstance(request.root_device, RootDeviceHints)
    assert (request.root_device.serial, request.root_device.wwn) == ("SN-sdb", disk("sdb").wwn)
    assert world.server()["root_disk"]["serial"] == "SN-sdb"


def test_two_orders_never_get_one_node(world: World, machine: Machine) -> None:
    """Ten at once for one machine: one gets it, nine are told of each node and field why not."""
    outcomes = at_once(10, lambda n: create(world.controller, order(f"s{n}")).server_id)

    refusals = [one for one in outcomes if isinstance(one, Refused)]
    assert len(refusals) == 9
    assert all(isinstance(one, NoNodeFits) for one in refusals)
    assert {one.evidence for one in refusals} == {"node-525400000101: state: must be available, node is deploying"}
    assert len(world.user("GET", "/v1/servers")) == 1


def test_orders_at_once_get_nodes_and_addresses_of_their_own(world: World) -> None:
    """Four orders, four machines: every server has another node and another address."""
    for number in range(1, 5):
        Machine(world, number).power_on()
    at_once(4, lambda n: create(world.controller, order(f"s{n}")).server_id)
    servers = world.user("GET", "/v1/servers")

    assert len({server["node_id"] for server in servers}) == 4
    assert len({server["addresses"][0]["address"] for server in servers}) == 4


def order(name: str) -> ServerOrder:
    """An order of the stock."""
    return ServerOrder(name=name, flavor="small", image="debian", nics=(NicOrder(subnet="net"),))


def at_once(count: int, call: Callable[[int], object]) -> list[object]:
    """What each of so many calls in as many threads came to."""
    start, outcomes = Barrier(count), list[object]()

    def run(number: int) -> None:
        start.wait()
        try:
            outcomes.append(call(number))
        except Refused as refused:
            outcomes.append(refused)

    threads = [Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes
