# SPDX-License-Identifier: Apache-2.0
"""The ramdisk's own network, where Ironic says how it is to be: static addresses by virtual media, and tagged links.

It goes through the engine that keeps a server's network. What cannot be brought about is logged, and DHCP is left to
do what it can: a machine that is silent cannot say what was wrong.
"""

from __future__ import annotations

import re
from threading import Event

from agent.errors import AgentError, PreconditionError
from agent.host.doors import Host
from agent.inventory.network import nics
from agent.model.fact import known
from agent.model.lldp import tlvs
from agent.model.network import LinkState, NetworkConfig, Nic, Vlan
from agent.model.network.network_data import network_config
from agent.model.network.plan import NetworkPlan
from agent.model.network.step import CreateLink, SetLink
from agent.networking import Networking
from agent.plan.network.text import line
from agent.program.log import Logger

NICS_S = 30.0
LOOK_S = 1.0
ORGANISATION, VLAN_NAME = 127, bytes.fromhex("0080c203")
"""IEEE 802.1Q-2018, D.2.3: its organisation, its subtype, then the VLAN's number."""
TAGGED = re.compile(r"(.+)\.(\d{1,4})")
ALL = "all"

log = Logger("network")


def attach(host: Host, network_data: str, stop: Event) -> bool:
    """Bring it about; whether it is so. It changes nothing where it is so already."""
    networking = Networking(host, resident=True)
    try:
        config = network_config(network_data)
        for step in (plan := awaited(host, networking, config, stop)).steps:
            log.info("network", step=line(step))
        networking.apply_network(plan, lambda _: None)
        unmet = networking.unmet(networking.network_state(config), config, config)
    except AgentError as error:
        log.error("Ironic's network data cannot be followed", code=error.code, error=str(error), hint=error.hint)
        return False
    if unmet:
        log.error("the network is not as Ironic wants it", unmet=list(unmet))
    return not unmet


def awaited(host: Host, networking: Networking, config: NetworkConfig, stop: Event) -> NetworkPlan:
    """A plan, as soon as its NICs are there. Raises `AgentError`."""
    end_s = host.clock.monotonic_s() + NICS_S
    while True:
        try:
            return unproven(networking.plan_network(networking.network_state(config), config, NetworkConfig()))
        except PreconditionError:
            if host.clock.monotonic_s() >= end_s or host.clock.wait(stop, LOOK_S):
                raise


def unproven(plan: NetworkPlan) -> NetworkPlan:
    """Without its proofs: there is no earlier network to go back to, and a switch may need half a minute until it lets
    anybody be heard (IEEE 802.1D, forward delay).
    """
    return plan.model_copy(update={"steps": tuple(step for step in plan.steps if step.kind != "prove_network")})


def add_vlans(host: Host, asked: tuple[str, ...], lldp_timeout_s: float) -> None:
    """Tagged links, up: `eth0.100`, `<MAC>.100`, or all that the switch tells of at `eth0`, or at every NIC (`all`)."""
    try:
        found = wanted(host, nics(host), asked, lldp_timeout_s)
    except AgentError as error:
        log.error("tagged links cannot be added", error=str(error))
        return
    for nic, number in found:
        try:
            add_vlan(host, Vlan(name=f"{nic.name}.{number}", parent=nic.name, vlan_id=number))
        except (AgentError, ValueError) as error:
            log.error("a tagged link cannot be added", nic=nic.name, vlan=number, error=str(error))


def add_vlan(host: Host, made: Vlan) -> None:
    """One, unless it is there. Raises `HostError`."""
    if all(link.name != made.name for link in host.netlink.tables().links):
        steps = (SetLink(name=made.parent, up=True), CreateLink(link=made), SetLink(name=made.name, up=True))
        host.netlink.change(steps)
        log.info("tagged link added", link=made.name)


def wanted(host: Host, there: tuple[Nic, ...], asked: tuple[str, ...], lldp_timeout_s: float) -> list[tuple[Nic, int]]:
    """(NIC, number of the VLAN). What names no NIC of this machine is logged. Raises `HostError`."""
    found: list[tuple[Nic, int]] = []
    listening: list[Nic] = []
    for word in asked:
        tagged = TAGGED.fullmatch(word)
        name = (tagged.group(1) if tagged else word).lower()
        meant = [nic for nic in there if name in (nic.name.lower(), nic.mac) or (name == ALL and not tagged)]
        if not meant:
            log.error("no NIC for a tagged link", asked=word)
        if tagged:
            found += [(nic, int(tagged.group(2))) for nic in meant]
        else:
            listening += [nic for nic in meant if known(nic.carrier)]
    names = sorted({nic.name for nic in listening})
    heard = host.lldp(names, lldp_timeout_s) if names else {}
    return found + [(nic, number) for nic in listening for number in numbers(heard.get(nic.name, b""))]


def numbers(unit: bytes) -> list[int]:
    """Of the VLANs that a switch names in its announcement."""
    try:
        named = [one.value for one in tlvs(unit) if one.kind == ORGANISATION and one.value[:4] == VLAN_NAME]
    except AgentError:
        return []
    return [int.from_bytes(value[4:6], "big") for value in named if len(value) >= 6]


def tagged_links(host: Host) -> tuple[Nic, ...]:
    """Those that there are, in the words of an inventory. Raises `HostError`."""
    return tuple(as_nic(link) for link in host.netlink.tables().links if link.kind == "vlan")


def as_nic(link: LinkState) -> Nic:
    """A link that is no hardware."""
    return Nic(
        name=link.name,
        mac=link.mac,
        current_mac=link.mac,
        carrier=link.carrier,
        up=link.up,
        mtu=link.mtu,
        addresses=(*link.addresses, *link.leases),
    )
