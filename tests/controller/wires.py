# SPDX-License-Identifier: Apache-2.0
"""Made-up networks for the tests of pure rules: VPCs, subnets, ports."""

from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from agent.controller.records.network import ElasticIp, Segment, Subnet, Vpc
from agent.controller.records.server import Port
from agent.controller.rules.wiring import Attachment

NOW = datetime(2026, 5, 1, tzinfo=UTC)


def vpc(number: int = 1, segment: Segment = Segment.FLAT, segment_id: int | None = None) -> Vpc:
    """A VPC."""
    return Vpc(
        id=f"vpc-{number}", name=f"v{number}", number=number, segment=segment, segment_id=segment_id, created_at=NOW
    )


def subnet(name: str, cidr: str, **more: Any) -> Subnet:
    """A subnet with a name server."""
    net = IPv4Network(cidr)
    facts = {
        "id": f"id-of-{name}",
        "name": name,
        "vpc_id": "v",
        "cidr": net,
        "gateway": net.network_address + 1,
        "dns": (IPv4Address("10.1.0.254"),),
        "created_at": NOW,
    }
    return Subnet.model_validate(facts | more)


def attached(
    position: int,
    network: Vpc,
    where: Subnet,
    address: str | None,
    *groups: str,
    eip: ElasticIp | None = None,
) -> Attachment:
    """An attachment."""
    mac = f"52:54:00:00:{position:02x}:01"
    port = Port(
        id=f"port-{position}",
        server_id="s",
        subnet_id=where.id,
        position=position,
        mac=mac,
        address=address,
        security_groups=groups,
    )
    return Attachment(port=port, subnet=where, vpc=network, eip=eip)
