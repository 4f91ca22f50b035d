# SPDX-License-Identifier: Apache-2.0
"""A server's network from its ports: what each kind of VPC becomes on the host."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.controller.records.network import ElasticIp, Segment, Subnet, SubnetRoute, Vpc
from agent.controller.records.server import PinnedBond
from agent.controller.refusal import BadParameter
from agent.controller.rules.network import network_config
from agent.controller.rules.nics import virtual_mac
from agent.controller.rules.segments import check_mtu, check_ports, free_number, segment_id
from agent.controller.rules.wiring import Attachment, Rules, Wiring
from agent.model.network import MAIN_TABLE, Bandwidth, Bond, Direction, EipMode, SecurityRule, Vlan, Vrf, Vxlan
from tests.controller.wires import NOW, attached, subnet, vpc

HERE = Path(__file__).parent
FLAT, VLAN, VXLAN = Segment.FLAT, Segment.VLAN, Segment.VXLAN
CLOUD, OTHER = vpc(1), vpc(2)
TAGGED, OVER = vpc(3, VLAN, 2315), vpc(4, VXLAN, 7001)
BOND = PinnedBond(mode="802.3ad", macs=("52:54:00:00:00:01", "52:54:00:00:09:01"))
FRONT = attached(0, CLOUD, subnet("front", "10.1.0.0/24"), "10.1.0.2", "web")
EIP = ElasticIp(id="e", address=IPv4Address("203.0.113.7"), bandwidth_mbps=100, port_id="port-1", created_at=NOW)
SSH = SecurityRule(direction=Direction.IN, protocol="tcp", first_port=22, last_port=22)
MATES = SecurityRule(direction=Direction.IN, remote_group="web")
WEB = {"web": Rules("web", (SSH, MATES))}


def port(position: int, network: Vpc, address: str, *groups: str, where: Subnet | None = None) -> Attachment:
    """A port with this address, in a /24 of its own if no subnet is named."""
    net = where or subnet(f"net{position}", f"{address.rpartition('.')[0]}.0/24")
    return attached(position, network, net, address, *groups)


def everything() -> Wiring:
    """A server with all there is: a bond, two NICs in one subnet, VPCs by VLAN and VXLAN, an EIP."""
    front = subnet(
        "front",
        "10.1.0.0/24",
        mtu=9000,
        routes=(SubnetRoute(destination=IPv4Network("10.50.0.0/16"), next_hop=IPv4Address("10.1.0.9")),),
    )
    return Wiring(
        ports=(
            attached(0, CLOUD, front, "10.1.0.2", "web"),
            attached(1, CLOUD, front, "10.1.0.3", "web", eip=EIP),
            port(2, TAGGED, "10.1.0.4", "web"),
            port(3, OVER, "172.16.0.5", "web"),
            attached(4, OTHER, subnet("wild", "10.4.0.0/24", dhcp=True), None),
        ),
        bond=BOND,
        groups=WEB,
        members={("web", "vpc-1"): frozenset({IPv4Address("10.1.0.2"), IPv4Address("10.1.0.3")})},
        peers={"vpc-4": frozenset({IPv4Address("10.1.0.77")})},
    )


def test_a_server_with_everything(golden: Callable[[Path, str], None]) -> None:
    """As its agent is told, line by line."""
    golden(HERE / "network-everything.json", network_config(everything()).model_dump_json(indent=1) + "\n")


@given(st.permutations(everything().ports))
def test_the_order_of_what_goes_in_does_not_matter(ports: list[Attachment]) -> None:
    """The same records give the same network, byte for byte, so that no generation rises for nothing."""
    wiring = everything()
    shuffled = Wiring(tuple(ports), wiring.bond, wiring.drift, wiring.groups, wiring.members, wiring.peers)

    assert network_config(shuffled).model_dump_json() == network_config(wiring).model_dump_json()


@given(st.data())
def test_whatever_is_accepted_is_sound(data: st.DataObject) -> None:
    """Any ports that `check_ports` lets through make a network that the agent's own model accepts."""
    vpcs = (CLOUD, OTHER, TAGGED, OVER)
    mtus = st.sampled_from([None, 1280, 1450, 1500, 9000])
    nets = [
        (network, subnet(f"n{number}{third}", f"10.{third}.0.0/24", mtu=data.draw(mtus)))
        for number, network in enumerate(vpcs)
        for third in (1, 2)
    ]
    chosen = data.draw(st.lists(st.sampled_from(nets), min_size=1, max_size=6))
    bond = data.draw(st.sampled_from([None, BOND]))
    ports = tuple(
        attached(at, network, net, f"{net.cidr.network_address + 10 + at}", "web")
        for at, (network, net) in enumerate(chosen)
    )
    try:
        check_ports([(one.subnet, one.vpc) for one in ports], "nics", "testing")
    except BadParameter:
        return

    config = network_config(Wiring(ports, bond, groups=WEB))
    assert {link.port_id for link in config.links if link.port_id} == {one.port.id for one in ports}


def test_a_vlan_stands_on_the_first_nic() -> None:
    """With its own MAC; in a VRF, whose default route is its own."""
    config = network_config(Wiring((FRONT, port(1, TAGGED, "10.2.0.5")), groups=WEB))
    vlan, vrf = config.link("nic0.2315"), config.link("vrf3")

    assert isinstance(vlan, Vlan)
    assert (vlan.parent, vlan.vlan_id, vlan.mac) == ("nic0", 2315, "52:54:00:00:01:01")
    assert isinstance(vrf, Vrf)
    assert (vrf.table, vrf.ports) == (1003, ("nic0.2315",))
    tables = {(route.table, str(route.gateway)) for route in config.routes or () if route.is_default}
    assert tables == {(MAIN_TABLE, "10.1.0.1"), (1003, "10.2.0.1"), (1003, "None")}
    assert config.rules == ()


def test_a_vxlan_goes_to_every_other_server() -> None:
    """From primary address to primary addresses, with room for its headers; the first NIC's groups let it through."""
    peers = {OVER.id: frozenset({IPv4Address("10.1.0.9"), IPv4Address("10.1.0.8")})}
    config = network_config(Wiring((FRONT, port(1, OVER, "172.16.0.5")), groups=WEB, peers=peers))
    vxlan = config.link("vxlan7001")

    assert isinstance(vxlan, Vxlan)
    assert (str(vxlan.local), [str(one) for one in vxlan.remotes or ()]) == ("10.1.0.2", ["10.1.0.8", "10.1.0.9"])
    assert vxlan.mtu == 1450
    assert config.firewall is not None
    assert config.firewall.links == {"nic0": ("web-1", "underlay")}
    assert [str(one) for one in config.firewall.members["underlay"]] == ["10.1.0.8", "10.1.0.9"]


def test_a_bond_bears_the_primary_port() -> None:
    """Both NICs are its ports, it has the first one's MAC, and VLANs stand on it."""
    config = network_config(Wiring((FRONT, port(1, TAGGED, "10.2.0.5")), bond=BOND, groups=WEB))
    bond = config.link("bond0")

    assert isinstance(bond, Bond)
    assert (bond.mac, bond.ports, bond.miimon_ms) == ("52:54:00:00:00:01", ("bond0a", "bond0b"), 100)
    assert (bond.mode, bond.lacp_rate, bond.hash_policy) == ("802.3ad", "fast", "layer3+4")
    assert [str(one) for one in bond.addresses or ()] == ["10.1.0.2/24"]
    assert config.link("bond0.2315") is not None


def test_two_nics_in_one_subnet_answer_for_themselves() -> None:
    """A table and a rule each, so that what was sent to one is not answered by the other."""
    front = FRONT.subnet
    config = network_config(Wiring((FRONT, port(1, CLOUD, "10.1.0.3", where=front)), groups=WEB))

    assert [(str(rule.source), rule.table) for rule in config.rules or ()] == [
        ("10.1.0.2/32", 100),
        ("10.1.0.3/32", 101),
    ]
    own = {(route.link, str(route.gateway)) for route in config.routes or () if route.table == 101}
    assert own == {("nic1", "None"), ("nic1", "10.1.0.1")}


def test_a_subnet_without_a_gateway() -> None:
    """Leads nowhere: no default route, and a VRF says so, lest the main table be asked."""
    alone = subnet("alone", "172.16.0.0/24", routed=False)
    config = network_config(Wiring((FRONT, port(1, OVER, "172.16.0.5", where=alone)), groups=WEB))

    assert [(route.table, route.type.value) for route in config.routes or ()] == [
        (MAIN_TABLE, "unicast"),
        (1004, "unreachable"),
    ]


def test_subnet_routes() -> None:
    """They lead through the subnet's link; where two ports lead to one network, the first does."""
    route = SubnetRoute(destination=IPv4Network("10.50.0.0/16"), next_hop=IPv4Address("10.1.0.9"))
    front = subnet("front", "10.1.0.0/24", routes=(route,))
    one, two = (port(at, CLOUD, f"10.1.0.{at + 2}", where=front) for at in (0, 1))
    config = network_config(Wiring((one, two)))
    behind = [r for r in config.routes or () if str(r.destination) == "10.50.0.0/16"]

    assert [(r.link, r.table, str(r.gateway)) for r in behind] == [
        ("nic0", MAIN_TABLE, "10.1.0.9"),
        ("nic0", 100, "10.1.0.9"),
        ("nic1", 101, "10.1.0.9"),
    ]


def test_an_eip_limits_what_leaves_the_vpc() -> None:
    """Both ways, but for traffic within the VPC; without one, limits are taken away."""
    host = EIP.model_copy(update={"mode": EipMode.HOST})
    config = network_config(Wiring((FRONT, attached(1, CLOUD, FRONT.subnet, "10.1.0.3", eip=host)), groups=WEB))
    (eip,) = config.eips or ()
    link, bare = config.link("nic1"), config.link("nic0")

    assert (str(eip.address), str(eip.private), eip.link, eip.mode) == ("203.0.113.7", "10.1.0.3", "nic1", "host")
    assert link is not None
    assert bare is not None
    assert link.bandwidth == Bandwidth(egress_mbps=100, ingress_mbps=100, exempt=(CLOUD.cidr,))
    assert bare.bandwidth == Bandwidth()


def test_members_count_within_a_vpc() -> None:
    """Another VPC may have the same addresses, and they are others' there."""
    members = {
        ("web", "vpc-1"): frozenset({IPv4Address("10.1.0.2")}),
        ("web", "vpc-2"): frozenset({IPv4Address("10.1.0.99")}),
    }
    config = network_config(Wiring((FRONT, port(1, OTHER, "10.1.0.3", "web")), groups=WEB, members=members))
    firewall = config.firewall

    assert firewall is not None
    assert firewall.links == {"nic0": ("web-1",), "nic1": ("web-2",)}
    assert {key: [str(one) for one in found] for key, found in firewall.members.items()} == {
        "web-1": ["10.1.0.2"],
        "web-2": ["10.1.0.99"],
    }
    assert {rule.remote_group for group in firewall.groups for rule in group.rules} == {None, "web-1", "web-2"}


@pytest.mark.parametrize(
    ("segment", "wanted", "taken", "given_id"),
    [
        (FLAT, None, (), None),
        (VLAN, None, (), 2),
        (VLAN, None, (2, 3), 4),
        (VLAN, 4094, (), 4094),
        (VXLAN, None, (1,), 2),
        (VXLAN, 16777215, (), 16777215),
    ],
)
def test_segment_ids(segment: Segment, wanted: int | None, taken: tuple[int, ...], given_id: int | None) -> None:
    """The one wanted, or the lowest free one."""
    assert segment_id(segment, wanted, taken, "testing") == given_id


@pytest.mark.parametrize(
    ("segment", "wanted", "taken", "said"),
    [
        (FLAT, 7, (), "segment_id: a flat VPC has none"),
        (VLAN, 0, (), "segment_id: 0 is not within 1 to 4094"),
        (VLAN, 4095, (), "segment_id: 4095 is not within 1 to 4094"),
        (VLAN, 7, (7,), "segment_id: another VPC has vlan 7"),
        (VLAN, None, range(4095), "segment_id: no vlan id is free"),
        (VXLAN, 1 << 24, (), "segment_id: 16777216 is not within 1 to 16777215"),
    ],
)
def test_segment_ids_that_cannot_be_had(
    segment: Segment, wanted: int | None, taken: tuple[int, ...] | range, said: str
) -> None:
    """The field is named."""
    with pytest.raises(BadParameter, match=said):
        segment_id(segment, wanted, taken, "testing")


@pytest.mark.parametrize(
    ("attached_to", "said"),
    [
        ([(subnet("a", "10.1.0.0/24"), TAGGED)], "the first NIC must be in a flat VPC"),
        (
            [(subnet("a", "10.1.0.0/24"), CLOUD), *[(subnet("b", "10.2.0.0/24"), TAGGED)] * 2],
            "a server has one NIC in v3",
        ),
        (
            [(subnet("a", "10.1.0.0/24", dhcp=True), CLOUD), (subnet("b", "10.2.0.0/24"), OVER)],
            "a first NIC whose address we give",
        ),
        (
            [(subnet("a", "10.1.0.0/24"), CLOUD), (subnet("b", "10.2.0.0/24", mtu=1500), OVER)],
            "mtu 1500 of b does not fit into the first NIC's 1450",
        ),
        (
            [(subnet("a", "10.1.0.0/24"), CLOUD), (subnet("b", "10.2.0.0/24", mtu=9000), TAGGED)],
            "mtu 9000 of b does not fit into the first NIC's 1500",
        ),
        (
            [(subnet("a", "10.1.0.0/24", mtu=1280), CLOUD), (subnet("b", "10.2.0.0/24"), OVER)],
            "the least mtu, 1280, of b does not fit into the first NIC's 1230",
        ),
    ],
)
def test_ports_that_do_not_go_together(attached_to: list[tuple[Subnet, Vpc]], said: str) -> None:
    """They are refused with the reason, and the field is named."""
    with pytest.raises(BadParameter, match=said) as refused:
        check_ports(attached_to, "nics", "testing")

    assert "nics: " in str(refused.value)


def test_an_mtu_leaves_room_for_vxlan() -> None:
    """What no underlay can carry is refused with the subnet."""
    check_mtu(VXLAN, 9166, "testing")
    with pytest.raises(BadParameter, match="mtu: 9167 does not fit into a vxlan: at most 9166"):
        check_mtu(VXLAN, 9167, "testing")


@given(st.uuids())
def test_virtual_macs(port_id: object) -> None:
    """OpenStack's prefix, so neither multicast nor any maker's."""
    mac = virtual_mac(str(port_id))

    assert mac.startswith("fa:16:3e:")
    assert len(mac) == 17


def test_numbers_of_vpcs_are_used_again() -> None:
    """Small ones, for they are in names of links."""
    assert [free_number(taken) for taken in (set(), {1, 2}, {2})] == [1, 3, 1]
