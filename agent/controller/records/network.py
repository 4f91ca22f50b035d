# SPDX-License-Identifier: Apache-2.0
"""Networks: VPCs and their subnets, security groups, EIPs. Ports of servers are in `records/server.py`."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from ipaddress import IPv4Network
from typing import Annotated

from pydantic import Field

from agent.controller.records.owned import Name, Owned, SharedOwned
from agent.model.frozen import Frozen
from agent.model.network import EipMode, SecurityRule
from agent.model.network.firewall import GROUP_PATTERN
from agent.model.network.values import Addressv4, Networkv4

Mtu = Annotated[int, Field(ge=1280, le=9216)]
GroupName = Annotated[str, Field(pattern=GROUP_PATTERN, description="letters, digits, '_', '-'; at most 63")]


class Segment(StrEnum):
    """How a VPC is told apart on the wire."""

    FLAT = "flat"
    """not at all: each attachment is a physical NIC, and the switch knows to which network that belongs"""
    VLAN = "vlan"
    VXLAN = "vxlan"


class VpcSpec(Frozen):
    """A private network."""

    name: Name
    cidr: Networkv4 = IPv4Network("10.0.0.0/8")
    segment: Segment = Segment.FLAT
    segment_id: int | None = Field(default=None, description="VLAN id or VNI; left out, a free one is taken")


class Vpc(VpcSpec, SharedOwned):
    """A VPC as it is kept. `number` is unique and small: VRFs and their tables are called by it."""

    id: str
    number: int
    created_at: datetime


class SubnetRoute(Frozen):
    """A network behind one of the subnet's hosts."""

    destination: Networkv4
    next_hop: Addressv4


class SubnetSpec(Frozen):
    """A range of a VPC's addresses."""

    name: Name
    vpc: str = Field(description="name or id")
    cidr: Networkv4
    gateway: Addressv4 | None = Field(default=None, description="left out, it is the first address")
    dns: tuple[Addressv4, ...] = Field(default=(), max_length=5)
    mtu: Mtu | None = None
    dhcp: bool = Field(default=False, description="addresses come from a DHCP server of the network's own")
    routes: tuple[SubnetRoute, ...] = Field(default=(), max_length=32)
    routed: bool | None = Field(
        default=None,
        description="the gateway is there, and leads everywhere else; left out, it is unless the VPC is a vxlan",
    )


class SubnetChange(Frozen):
    """What may change while servers are in it; what is left out stays."""

    dns: tuple[Addressv4, ...] | None = Field(default=None, max_length=5)
    routes: tuple[SubnetRoute, ...] | None = Field(default=None, max_length=32)


class Subnet(SharedOwned):
    """A subnet as it is kept."""

    id: str
    name: str
    vpc_id: str
    cidr: Networkv4
    gateway: Addressv4
    dns: tuple[Addressv4, ...] = ()
    mtu: int | None = None
    dhcp: bool = False
    routes: tuple[SubnetRoute, ...] = ()
    routed: bool = True
    created_at: datetime


class GroupSpec(Frozen):
    """A security group to be."""

    name: GroupName


class Group(GroupSpec, SharedOwned):
    """A security group. What no rule of a port's groups allows is dropped by the server itself."""

    id: str
    created_at: datetime


class GroupRule(Frozen):
    """A rule of a group; a remote group in it is an id."""

    id: str
    group_id: str
    rule: SecurityRule
    created_at: datetime


class EipSpec(Frozen):
    """A public address, with what may pass by it."""

    address: Addressv4
    bandwidth_mbps: int = Field(default=5, ge=1, le=2000, description="each way, of traffic with the outside")
    mode: EipMode = Field(default=EipMode.GATEWAY, description="who translates: the network's gateway, or the server")


class EipChange(Frozen):
    """What may change while it is bound."""

    bandwidth_mbps: int = Field(ge=1, le=2000)


class ElasticIp(EipSpec, Owned):
    """An EIP as it is kept; `port_id` is what it is bound to."""

    id: str
    port_id: str | None = None
    created_at: datetime
