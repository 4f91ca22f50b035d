# SPDX-License-Identifier: Apache-2.0
"""A server's network as its agent is told: links of its ports, and what the other files here make of them.

The primary port's VPC has the main routing table; every other VPC is a VRF, so that their addresses may be the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from agent.controller.records.network import Segment
from agent.controller.rules.firewall import firewall_of
from agent.controller.rules.routing import routing_of
from agent.controller.rules.segments import OVERHEAD_BYTES
from agent.controller.rules.wiring import BOND, VRF_TABLES, Attachment, Wiring
from agent.model.network import (
    Bandwidth,
    Bond,
    BondMode,
    Dns,
    Eip,
    Ethernet,
    HashPolicy,
    LacpRate,
    Link,
    NetworkConfig,
    Vlan,
    Vrf,
    Vxlan,
)
from agent.model.network.firewall import INSIDE

MIIMON_MS = 100


def network_config(wiring: Wiring) -> NetworkConfig:
    """All of it; the order of what goes in does not matter."""
    routes, rules = routing_of(wiring)
    return NetworkConfig(
        links=(*_bonded(wiring), *(_link(wiring, one) for one in wiring.attachments), *_vrfs(wiring)),
        routes=routes,
        rules=rules,
        dns=_dns(wiring),
        firewall=firewall_of(wiring),
        eips=tuple(_eips(wiring)),
        drift=wiring.drift,
    )


def _bonded(wiring: Wiring) -> Iterator[Link]:
    """The NICs below a bond."""
    macs = wiring.bond.macs if wiring.bond else ()
    for letter, mac in zip("ab", macs, strict=False):
        yield Ethernet(name=f"{BOND}{letter}", mac=mac, mtu=wiring.primary.subnet.mtu, addresses=(), dhcp4=False)


def _link(wiring: Wiring, one: Attachment) -> Link:
    settings = _settings(wiring, one)
    if one is wiring.primary and wiring.bond:
        return _bond(BondMode(wiring.bond.mode), settings)
    match one.vpc.segment:
        case Segment.FLAT:
            return Ethernet(**settings)
        case Segment.VLAN:
            return Vlan(**settings, parent=wiring.trunk, vlan_id=one.vpc.segment_id)
        case Segment.VXLAN:
            return _vxlan(wiring, one, settings)


def _settings(wiring: Wiring, one: Attachment) -> dict[str, Any]:
    """What links of every kind have."""
    return {
        "name": wiring.link(one),
        "mac": one.port.mac,
        "mtu": one.subnet.mtu,
        "addresses": (one.interface,) if one.interface else (),
        "dhcp4": one.interface is None,
        "bandwidth": _bandwidth(one),
        "port_id": one.port.id,
    }


def _bandwidth(one: Attachment) -> Bandwidth:
    """An EIP's, of traffic with the outside."""
    if one.eip is None:
        return Bandwidth()
    mbps = one.eip.bandwidth_mbps
    return Bandwidth(egress_mbps=mbps, ingress_mbps=mbps, exempt=(one.vpc.cidr,))


def _bond(mode: BondMode, settings: dict[str, Any]) -> Bond:
    hashed = {"lacp_rate": LacpRate.FAST, "hash_policy": HashPolicy.LAYER34} if mode is BondMode.LACP else {}
    return Bond(**settings, mode=mode, ports=(f"{BOND}a", f"{BOND}b"), miimon_ms=MIIMON_MS, **hashed)


def _vxlan(wiring: Wiring, one: Attachment, settings: dict[str, Any]) -> Vxlan:
    """From primary address to primary address."""
    assert wiring.primary.interface is not None, "checked when the port was made"
    room = wiring.trunk_mtu - OVERHEAD_BYTES[Segment.VXLAN]
    return Vxlan(
        **settings | {"mtu": one.subnet.mtu or room},
        vni=one.vpc.segment_id,
        local=wiring.primary.interface.ip,
        parent=wiring.trunk,
        remotes=tuple(wiring.peers.get(one.vpc.id, ())),
    )


def _vrfs(wiring: Wiring) -> Iterator[Vrf]:
    for vpc, attachments in wiring.by_vpc[1:]:
        ports = tuple(wiring.link(one) for one in attachments)
        yield Vrf(name=f"vrf{vpc.number}", table=VRF_TABLES + vpc.number, ports=ports)


def _dns(wiring: Wiring) -> Dns | None:
    """Name servers that the main routing table leads to; by DHCP they are not ours to say."""
    _, attachments = wiring.by_vpc[0]
    servers = tuple(dict.fromkeys(server for one in attachments if one.interface for server in one.subnet.dns))
    return Dns(servers=servers) if servers else None


def _eips(wiring: Wiring) -> Iterator[Eip]:
    for one in wiring.attachments:
        if one.eip is not None and one.interface is not None:
            yield Eip(
                address=one.eip.address,
                private=one.interface.ip,
                link=wiring.link(one),
                mode=one.eip.mode,
                exempt=tuple(sorted({one.vpc.cidr, *INSIDE})),
            )
