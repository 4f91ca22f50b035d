# SPDX-License-Identifier: Apache-2.0
"""Plans for networks as an operator reads them, and what is refused before anything is touched."""

from __future__ import annotations

from ipaddress import ip_address, ip_interface
from typing import Any

import pytest

from agent.errors import AgentError, InputError, PlanRefused, PreconditionError
from agent.model.network import LinkState, Manager, NetworkConfig, NetworkState, Route
from agent.model.network.plan import NetworkPlan, NicMustBe
from agent.model.network.proof import ControllerAddress
from agent.model.network.step import (
    AddAddress,
    CreateLink,
    DeleteLink,
    NetworkStep,
    PersistNetwork,
    RemoveAddress,
)
from agent.plan.network import Stored, plan_network
from agent.plan.network.invariants import check_network
from agent.plan.network.text import text
from tests.hardware import MAC, link, static

NOTHING = NetworkConfig()
OTHER = "52:54:00:00:00:02"
ADDRESS = ip_interface("10.0.0.1/24")
CONTROLLER = ControllerAddress(host="192.0.2.9", addresses=(ip_address("192.0.2.9"),), port=8480)


def config(*links: dict[str, Any], **more: Any) -> NetworkConfig:
    """With two NICs below."""
    nics = [{"kind": "ethernet", "name": "a", "mac": MAC}, {"kind": "ethernet", "name": "b", "mac": OTHER}]
    return NetworkConfig.model_validate({"links": [*nics, *links]} | more)


def state(*links: LinkState, routes: tuple[Route, ...] = ()) -> NetworkState:
    """Two NICs, and these."""
    there = {one.name: one for one in (link("eno1"), link("eno2", mac=OTHER, index=3), *links)}
    return NetworkState(links=tuple(there.values()), routes=routes)


def read(plan: NetworkPlan) -> list[str]:
    """Its lines, checked."""
    return text(check_network(plan)).splitlines()


def test_from_nothing() -> None:
    """A static NIC: up, address, route, proof, the files, and proof once more. It is found by its MAC."""
    plan = plan_network(state(), static(dns=("9.9.9.9",)), NOTHING, Stored(Manager.NETWORKD), CONTROLLER)

    assert read(plan) == [
        "must hold: the NIC 52:54:00:00:00:01 is there, as eno1",
        "1. set eno1 up",
        "2. add 192.168.1.10/24 to eno1",
        "3. route default via 192.168.1.1 dev eno1",
        "4. prove: 192.168.1.1 answers ARP on eno1; one of 9.9.9.9 answers DNS; "
        "the controller at 192.0.2.9:8480 answers; else take it all back",
        "5. write /etc/systemd/network/10-bms-agent-525400000001.network, "
        "write /etc/systemd/networkd.conf.d/10-bms-agent.conf",
        "6. prove: 192.168.1.1 answers ARP on eno1; one of 9.9.9.9 answers DNS; "
        "the controller at 192.0.2.9:8480 answers; else take it all back",
    ]


def test_bond_with_a_vlan() -> None:
    """From below to above: the bond is made, its ports go down to join it; the VLAN has a MAC of its own."""
    wanted = config(
        {"kind": "vlan", "name": "bond0.5", "parent": "bond0", "vlan_id": 5, "mac": "fa:16:3e:00:00:01", "mtu": 9000},
        {"kind": "bond", "name": "bond0", "mode": "802.3ad", "ports": ["a", "b"], "mtu": 9000, "lacp_rate": "fast"},
    )
    plan = plan_network(state(link("eno1", up=True)), wanted, NOTHING, Stored())

    assert read(plan)[2:] == [
        "1. create bond bond0 of eno1, eno2, 802.3ad fast LACP MAC 52:54:00:00:00:01 MTU 9000",
        "2. create vlan bond0.5 tag 5 on bond0 MAC fa:16:3e:00:00:01 MTU 9000",
        "3. set eno1 down",
        "4. make eno1 a port of bond0",
        "5. make eno2 a port of bond0",
        "6. set eno1 up",
        "7. set eno2 up",
        "8. set bond0 up",
        "9. set bond0.5 up",
    ]


def test_new_address_before_the_old_one_goes() -> None:
    """A link that is taken over is never without an address; routes that the old one takes along are set again."""
    before = link("eno1", "192.168.1.99/24", up=True)
    default = Route(destination="0.0.0.0/0", link="eno1", gateway="192.168.1.1")
    plan = plan_network(state(before, routes=(default,)), static(), NOTHING, Stored())

    assert [step.kind for step in check_network(plan).steps] == [
        "set_sysctl",
        "add_address",
        "remove_address",
        "set_route",
        "prove_network",
    ]


def test_what_is_somebody_else_s_stays() -> None:
    """A virtual IP that a failover daemon has put on a link of ours is not taken away; one of ours that is not wanted
    any more is.
    """
    held = static()
    now = link("eno1", "192.168.1.10/24", "192.168.1.200/32", up=True)
    default = Route(destination="0.0.0.0/0", link="eno1", gateway="192.168.1.1")
    assert plan_network(state(now, routes=(default,)), held, held, Stored()).steps == ()

    moved = plan_network(state(now, routes=(default,)), static("192.168.1.20/24"), held, Stored())
    assert [step.address for step in moved.steps if isinstance(step, RemoveAddress)] == [
        ip_interface("192.168.1.10/24")
    ]


def test_unspecified_is_not_empty() -> None:
    """Addresses that are not specified stay; an empty list of them takes those away that were."""
    now = link("eno1", "192.168.1.10/24", up=True)
    nothing_said = NetworkConfig.model_validate({"links": [{"kind": "ethernet", "name": "a", "mac": MAC}]})
    none = NetworkConfig.model_validate({"links": [{"kind": "ethernet", "name": "a", "mac": MAC, "addresses": []}]})

    assert plan_network(state(now), nothing_said, static(gateway=None), Stored()).steps == ()
    assert [step.kind for step in plan_network(state(now), none, static(gateway=None), Stored()).steps] == [
        "remove_address"
    ]


def test_lease_is_fetched_by_the_manager() -> None:
    """Where an address comes by DHCP, files are written first, their reader fetches it, and its coming is proven."""
    wanted = NetworkConfig.model_validate({"links": [{"kind": "ethernet", "name": "a", "mac": MAC, "dhcp4": True}]})
    plan = plan_network(state(), wanted, NOTHING, Stored(Manager.NETWORKD))
    assert [step.kind for step in plan.steps] == ["set_link", "persist_network", "prove_network"]
    assert read(plan)[-1].startswith("3. prove: eno1 gets an IPv4 lease")

    leased = link("eno1", up=True).model_copy(update={"leases": (ADDRESS,)})
    files = plan.steps[1].files  # type: ignore[union-attr]
    assert plan_network(state(leased), wanted, wanted, Stored(Manager.NETWORKD, files)).steps == ()


def test_enslaved_nic_is_found() -> None:
    """A bond lends its MAC to its ports; by their permanent MACs they are found all the same."""
    lent = link("eno1").model_copy(update={"mac": OTHER})
    plan = plan_network(state(lent), static(gateway=None), NOTHING, Stored())

    assert plan.nics == (NicMustBe(mac=MAC, name="eno1"),)


def test_what_is_gone_from_the_configuration_goes() -> None:
    """A VLAN that is not wanted any more is deleted; a NIC gives its address back and is set down."""
    vlan = {"kind": "vlan", "name": "web", "parent": "a", "vlan_id": 5}
    held = NetworkConfig.model_validate(static(gateway=None).model_dump() | {})
    held = config(vlan, routes=[])
    there = link("eno1", up=True)
    above = there.model_copy(update={"name": "web", "kind": "vlan", "index": 9, "permanent_mac": None})
    plan = plan_network(state(there, above), NOTHING, held, Stored())

    assert read(plan) == ["1. delete web", "2. set eno1 down"]


@pytest.mark.parametrize(
    ("wanted", "evidence"),
    [
        (static(mac="52:54:00:00:00:99"), "NICs here: eno1 52:54:00:00:00:01"),
        (config({"kind": "bridge", "name": "eno2", "ports": []}), r"links\.2\.name: eno2 is a NIC"),
        (
            config({"kind": "vlan", "name": "v", "parent": "a", "vlan_id": 5, "mtu": 9000}),
            r"links\.2\.mtu: 9000 does not",
        ),
    ],
)
def test_refused_for_this_machine(wanted: NetworkConfig, evidence: str) -> None:
    """What this machine does not have or cannot carry is refused, by the field's name."""
    with pytest.raises(AgentError, match=evidence):
        plan_network(state(), wanted, NOTHING, Stored())


def test_two_nics_of_one_mac() -> None:
    """Which of them is meant cannot be known."""
    with pytest.raises(PreconditionError, match="eno1 and eno2 both have it"):
        plan_network(state(link("eno2", index=3)), static(), NOTHING, Stored())


def test_cutting_the_controller_off_is_refused() -> None:
    """A network that leads nowhere near the controller is refused, unless it is allowed to be cut off."""
    now = link("eno1", "192.0.2.10/24", up=True)
    moved = static("10.0.0.5/24", gateway=None)
    with pytest.raises(InputError, match=r"controller at 192\.0\.2\.9"):
        plan_network(state(now), moved, NOTHING, Stored(), CONTROLLER)

    allowed = moved.model_copy(update={"allow_disconnect": True})
    assert plan_network(state(now), allowed, NOTHING, Stored(), CONTROLLER).steps
    kept = static("192.0.2.11/24", gateway=None)
    assert plan_network(state(now), kept, NOTHING, Stored(), CONTROLLER).steps


def test_whatever_could_cut_it_off_is_proven() -> None:
    """A rule, a firewall or a route that goes can cut the controller off as well as an address: it must answer anew."""
    held = static("192.0.2.10/24", gateway=None)
    now = state(link("eno1", "192.0.2.10/24", up=True))
    for change in ({"rules": [{"priority": 10, "table": 1000}]}, {"firewall": {"groups": [{"id": "g"}]}}):
        wanted = NetworkConfig.model_validate(held.model_dump() | change)
        plan = plan_network(now, wanted, held, Stored(), CONTROLLER)
        assert read(plan)[-1].endswith("prove: the controller at 192.0.2.9:8480 answers; else take it all back")


def test_what_a_client_s_script_has_set_stays() -> None:
    """dhclient's script sets its default route as anybody would: on a link that gets leases it is not ours."""
    default = Route(destination="0.0.0.0/0", link="eno1", gateway="10.0.0.254")
    leased = link("eno1", up=True).model_copy(update={"leases": (ADDRESS,)})
    dhcp = {"kind": "ethernet", "name": "a", "mac": MAC, "dhcp4": True, "addresses": []}
    wanted = NetworkConfig.model_validate({"links": [dhcp], "routes": []})

    assert plan_network(state(leased, routes=(default,)), wanted, NOTHING, Stored()).steps == ()


def test_a_lease_goes_when_the_address_becomes_static() -> None:
    """The DHCP server may give it to somebody else."""
    leased = link("eno1", up=True).model_copy(update={"leases": (ADDRESS,)})
    before = NetworkConfig.model_validate({"links": [{"kind": "ethernet", "name": "a", "mac": MAC, "dhcp4": True}]})
    made = static("10.0.0.9/24", gateway=None).model_dump()
    made["links"][0]["dhcp4"] = False
    plan = plan_network(state(leased), NetworkConfig.model_validate(made), before, Stored())

    assert RemoveAddress(name="eno1", address=ADDRESS) in plan.steps


def test_a_route_that_could_not_be_brought_back_is_not_replaced() -> None:
    """The model cannot say a route over two gateways: replacing it could not be taken back."""
    several = Route(destination="0.0.0.0/0")
    now = NetworkState(links=(link("eno1", "192.168.1.10/24", up=True),), leased_routes=(several,))
    with pytest.raises(PreconditionError, match=r"route to 0\.0\.0\.0/0 in table 254 has several gateways"):
        plan_network(now, static(), NOTHING, Stored())


@pytest.mark.parametrize(
    ("steps", "evidence"),
    [
        ((AddAddress(name="a", address=ADDRESS), AddAddress(name="b", address=ADDRESS)), "given to two links"),
        ((RemoveAddress(name="a", address=ADDRESS), AddAddress(name="a", address=ADDRESS)), "added and removed"),
        ((PersistNetwork(manager=Manager.NETWORKD, files={"/etc/passwd": "x"}),), "/etc/passwd is not ours"),
        ((PersistNetwork(manager=Manager.NETWORKD, removed=("/etc/netplan/../x",)),), "is not ours"),
        ((DeleteLink(name="eno1"),), "NIC eno1 would be deleted"),
        ((CreateLink(link=static().links[0].model_copy(update={"name": "eno1"})),), "name of the NIC eno1"),
    ],
)
def test_broken_plans_are_refused(steps: tuple[NetworkStep, ...], evidence: str) -> None:
    """A plan that would double an address, delete a NIC or write elsewhere does not pass."""
    with pytest.raises(PlanRefused, match=evidence):
        check_network(NetworkPlan(nics=(NicMustBe(mac=MAC, name="eno1"),), steps=steps))
