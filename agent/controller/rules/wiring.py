# SPDX-License-Identifier: Apache-2.0
"""All that decides a server's network, as values; and what its links are called.

An Ethernet's name is only what others call it here: the agent finds the NIC by its MAC. What is virtual is created
under its name, which is 15 characters at most.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import IPv4Address, IPv4Interface

from agent.controller.records.network import ElasticIp, Segment, Subnet, Vpc
from agent.controller.records.server import PinnedBond, Port
from agent.controller.rules.segments import USUAL_MTU
from agent.model.network import DriftPolicy, SecurityRule

VRF_TABLES = 1000  # and the VPC's number
BOND = "bond0"


@dataclass(frozen=True)
class Attachment:
    """A port with all that it is attached to."""

    port: Port
    subnet: Subnet
    vpc: Vpc
    eip: ElasticIp | None = None

    @property
    def interface(self) -> IPv4Interface | None:
        """Its address, unless a DHCP server gives it."""
        return IPv4Interface(f"{self.port.address}/{self.subnet.cidr.prefixlen}") if self.port.address else None

    @property
    def gateway(self) -> IPv4Address | None:
        """Of its subnet, if it is there."""
        return self.subnet.gateway if self.subnet.routed else None


@dataclass(frozen=True)
class Rules:
    """A security group's name and rules."""

    name: str
    rules: tuple[SecurityRule, ...] = ()


@dataclass(frozen=True)
class Wiring:
    """A server's ports in any order, and what must be known of others."""

    ports: tuple[Attachment, ...]
    bond: PinnedBond | None = None
    drift: DriftPolicy = DriftPolicy.CORRECT
    groups: Mapping[str, Rules] = field(default_factory=dict)
    """By id: every group that a port is in."""
    members: Mapping[tuple[str, str], frozenset[IPv4Address]] = field(default_factory=dict)
    """Addresses of all ports in a group (id), by VPC (id)."""
    peers: Mapping[str, frozenset[IPv4Address]] = field(default_factory=dict)
    """By vxlan VPC (id): primary addresses of the other servers in it."""

    @cached_property
    def attachments(self) -> tuple[Attachment, ...]:
        """The primary one first."""
        return tuple(sorted(self.ports, key=lambda one: one.port.position))

    @property
    def primary(self) -> Attachment:
        """Untagged, on the first NIC; what is virtual stands on it."""
        return self.attachments[0]

    @property
    def trunk(self) -> str:
        """The primary port's link."""
        return self.link(self.primary)

    @property
    def trunk_mtu(self) -> int:
        """What the primary port's link carries."""
        return self.primary.subnet.mtu or USUAL_MTU

    @cached_property
    def by_vpc(self) -> tuple[tuple[Vpc, tuple[Attachment, ...]], ...]:
        """The primary port's VPC, then the others by number."""
        vpcs = {one.vpc.id: one.vpc for one in self.attachments}.values()
        ordered = sorted(vpcs, key=lambda vpc: (vpc.id != self.primary.vpc.id, vpc.number))
        return tuple((vpc, tuple(one for one in self.attachments if one.vpc.id == vpc.id)) for vpc in ordered)

    def link(self, one: Attachment) -> str:
        """What its link is called."""
        if one.port.position == 0 and self.bond:
            return BOND
        match one.vpc.segment:
            case Segment.FLAT:
                return f"nic{one.port.position}"
            case Segment.VLAN:
                return f"{self.trunk}.{one.vpc.segment_id}"
            case Segment.VXLAN:
                return f"vxlan{one.vpc.segment_id}"
