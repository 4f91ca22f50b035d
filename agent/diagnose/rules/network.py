# SPDX-License-Identifier: Apache-2.0
"""Rules about the network: from the cable up to the name servers, and what is desired of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from agent.diagnose.seen import Seen, items
from agent.job.watcher import standing
from agent.model.fact import Unknown, known
from agent.model.finding import Finding, Severity
from agent.model.ladder import Step
from agent.model.network import LinkState, NetworkConfig, NetworkState, Vlan

OWN_CODES = ("NETWORK.LINK_DOWN", "NETWORK.BOND_LEG_LOST")


def no_nic(seen: Seen) -> Iterator[Finding]:
    """There is nothing to plug a cable into; nor an address by other means, as containers have it."""
    if isinstance(seen.network, Unknown) or seen.network.nics:
        return
    if not any(link.addresses or link.leases for link in seen.network.links):
        yield Finding(
            severity=Severity.ERROR,
            code="NETWORK.NO_NIC",
            what="this machine has no NIC",
            why=f"no link of the kernel's is one: {described(seen.network) or 'there is none at all'}",
            to_do="Check that it is in its slot and switched on in the firmware (bms-agent inventory lists what is on "
            "the bus), and that this kernel has its driver.",
        )


def no_carrier(seen: Seen) -> Iterator[Finding]:
    """No cable leads anywhere."""
    if isinstance(seen.network, Unknown):
        return
    nics = seen.network.nics
    if nics and not any(known(nic.carrier) for nic in nics):
        yield Finding(
            severity=Severity.ERROR,
            code="NETWORK.NO_CARRIER",
            what="no NIC has a carrier",
            why=", ".join(f"{nic.name} ({nic.mac}) is {'up' if nic.up else 'down'}" for nic in nics),
            to_do="Check cables and switch ports; a NIC that is down: ip link set NAME up.",
        )


def no_address(seen: Seen) -> Iterator[Finding]:
    """There is a cable, and nobody gave us an address."""
    if isinstance(seen.network, Unknown) or not any(known(nic.carrier) for nic in seen.network.nics):
        return
    if not any(link.addresses or link.leases for link in seen.network.links):
        plugged = ", ".join(nic.name for nic in seen.network.nics if known(nic.carrier))
        yield Finding(
            severity=Severity.ERROR,
            code="NETWORK.NO_ADDRESS",
            what="this machine has no address",
            why=f"there is a carrier on {plugged}, and neither a static address nor a lease on any link",
            to_do="Check the DHCP server, and that these ports are in the VLAN that it serves.",
        )


def no_default_route(seen: Seen) -> Iterator[Finding]:
    """Addresses, and no way out: an error where the controller is out there; elsewhere it may be meant so."""
    if isinstance(seen.network, Unknown):
        return
    state = seen.network
    with_address = [link.name for link in state.links if link.addresses or link.leases]
    if with_address and not any(route.is_default for route in (*state.routes, *state.leased_routes)):
        reached = any(ladder.broken is None for ladder in items(seen.ladders))
        needed = any(ladder.broken and ladder.broken.step is Step.ROUTE for ladder in items(seen.ladders))
        yield Finding(
            severity=Severity.NOTICE if reached else Severity.ERROR if needed else Severity.WARNING,
            code="NETWORK.NO_DEFAULT_ROUTE",
            what="there is no default route" + (", though the controller is reached" if reached else ""),
            why=f"addresses on {', '.join(with_address)}; no route to 0.0.0.0/0 or ::/0 in any table",
            to_do="Have the DHCP server hand out a router, or order a route: bms-agent network apply.",
        )


def gateway_silent(seen: Seen) -> Iterator[Finding]:
    """Nothing leaves this network."""
    another_answers = any(one.answers for one in items(seen.gateways))
    for one in items(seen.gateways):
        if not one.answers and seen.is_root is not False:
            what = "ARP" if one.address.version == 4 else "neighbour discovery"
            yield Finding(
                severity=Severity.WARNING if another_answers else Severity.ERROR,
                code="NETWORK.GATEWAY_SILENT",
                what=f"the gateway {one.address} does not answer",
                why=f"no answer to {what} on {one.link}",
                to_do=f"Check that {one.link} is in the right VLAN: diagnose --lldp 31 listens to its switch; "
                "then the gateway itself.",
            )


def mtu_black_hole(seen: Seen) -> Iterator[Finding]:
    """Small packets arrive, large ones do not, and nobody says so: connections are made, and then hang."""
    for one in items(seen.gateways):
        if one.carries_small and not one.carries_whole:
            yield Finding(
                severity=Severity.ERROR,
                code="NETWORK.MTU_BLACK_HOLE",
                what=f"packets of {one.link}'s whole MTU get lost",
                why=f"{one.address} answers small packets, but none of {one.mtu} bytes",
                to_do="Let every switch port on the way carry that size, or lower the link's MTU.",
            )


def name_servers_silent(seen: Seen) -> Iterator[Finding]:
    """Names cannot be looked up. That matters most where the controller is a name."""
    servers = items(seen.name_servers)
    silent = [str(one.address) for one in servers if not one.answers]
    if not silent:
        return
    needed = any(ladder.broken and ladder.broken.step is Step.DNS for ladder in items(seen.ladders))
    everything = len(silent) == len(servers)
    yield Finding(
        severity=Severity.ERROR if everything and needed else Severity.WARNING,
        code="NETWORK.DNS_SILENT",
        what="no name server answers" if everything else "not every name server answers",
        why=f"silent: {', '.join(silent)}; of {len(servers)} in all",
        to_do="Check the way to them, or have others handed out (DHCP), or ordered (dns of the network).",
    )


def links(seen: Seen) -> Iterator[Finding]:
    """Links without a carrier, bonds on fewer legs, addresses that somebody else has: as heartbeats tell them."""
    if isinstance(seen.network, Unknown):
        return
    for fault in standing(seen.network, wanted(seen, seen.network)):
        yield Finding(
            severity=Severity.WARNING if fault.code in OWN_CODES else Severity.ERROR,
            code=fault.code,
            what=fault.message,
            why=described(seen.network),
            to_do=fault.hint,
        )


def wanted(seen: Seen, state: NetworkState) -> NetworkConfig:
    """What held last, and whatever somebody made a link of: a bond that is there was meant. NICs may lie idle."""
    made = [link.config for link in state.links if link.config is not None and link.kind != "ethernet" and link.up]
    held = seen.remembered[0] if not isinstance(seen.remembered, Unknown) else None
    ordered = held.config.links if held is not None else ()
    named = {link.name for link in ordered}
    return NetworkConfig.model_construct(links=(*ordered, *(link for link in made if link.name not in named)))


def described(state: NetworkState) -> str:
    """Links as they are, briefly."""
    return ", ".join(f"{link.name} {word(link)}" for link in state.links)


def word(link: LinkState) -> str:
    """One."""
    return "down" if not link.up else "up" if link.carrier else "without carrier"


def vlan_not_announced(seen: Seen) -> Iterator[Finding]:
    """A switch that says which VLANs it carries on a port, and says nothing of ours."""
    if isinstance(seen.network, Unknown) or isinstance(seen.neighbours, Unknown) or not seen.neighbours:
        return
    state = {link.name: link for link in seen.network.links}
    for link in seen.network.links:
        if not isinstance(link.config, Vlan):
            continue
        for nic in nics_below(state, link.config.parent):
            heard = seen.neighbours.get(nic)
            if heard is None or not heard.vlans or link.config.vlan_id in (*heard.vlans, heard.port_vlan_id):
                continue
            yield Finding(
                severity=Severity.WARNING,
                code="NETWORK.VLAN_NOT_ANNOUNCED",
                what=f"the switch does not announce VLAN {link.config.vlan_id} of {link.name} on {nic}",
                why=f"{heard.system_name or heard.chassis_id}, port {heard.port_id}, announces "
                f"{', '.join(map(str, sorted(heard.vlans)))}",
                to_do="Add the VLAN to that port; with a bond, to all of its ports.",
            )


def nics_below(state: Mapping[str, LinkState], name: str) -> Iterator[str]:
    """The NICs that a link stands on: itself, its bond's or bridge's ports, whatever is below those."""
    link = state.get(name)
    if link is None:
        return
    below = link.config.lower if link.config is not None else ()
    if not below:
        yield name
    for each in below:
        yield from nics_below({key: value for key, value in state.items() if key != name}, each)


def change_pending(seen: Seen) -> Iterator[Finding]:
    """Neither proven nor taken back."""
    if isinstance(seen.remembered, Unknown) or (pending := seen.remembered[1]) is None:
        return
    same_boot = pending.boot_id == seen.boot_id
    yield Finding(
        severity=Severity.WARNING if same_boot and seen.is_running else Severity.ERROR,
        code="NETWORK.CHANGE_PENDING",
        what="a change of the network is neither proven nor taken back",
        why=f"it was begun {'in this boot' if same_boot else 'in an earlier boot'}",
        to_do="bms-agent network revert takes it back (--plan shows how).",
    )


def not_applied(seen: Seen) -> Iterator[Finding]:
    """The controller wants another network than the one that holds: it was taken back, or could not be planned."""
    if isinstance(seen.remembered, Unknown) or isinstance(seen.desired, Unknown) or seen.desired is None:
        return
    held = seen.remembered[0]
    if seen.desired.network is None or (held is not None and held.config == seen.desired.network):
        return
    yield Finding(
        severity=Severity.ERROR,
        code="NETWORK.NOT_APPLIED",
        what=f"the network of generation {seen.desired.generation} is not in force",
        why=f"what holds is generation {held.generation if held else 0}: the newer one was refused, or taken back",
        to_do="The agent's log says what did not work; correct that, or order another network.",
    )
