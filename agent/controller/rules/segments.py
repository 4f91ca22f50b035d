# SPDX-License-Identifier: Apache-2.0
"""How VPCs are told apart on the wire, and what that asks of a server's ports."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import count

from agent.controller.records.network import Segment, Subnet, Vpc
from agent.controller.refusal import BadParameter

IDS = {Segment.VLAN: range(1, 4095), Segment.VXLAN: range(1, 1 << 24)}
"""IEEE 802.1Q keeps 0 and 4095; a VNI has 24 bits (RFC 7348 section 5)."""
FIRST_ALLOCATED = {Segment.VLAN: 2, Segment.VXLAN: 1}  # VLAN 1 is what most switches call untagged traffic
OVERHEAD_BYTES = {Segment.FLAT: 0, Segment.VLAN: 0, Segment.VXLAN: 50}
"""Of IPv4 in VXLAN in IPv4: RFC 7348 section 5."""
LARGEST_MTU = 9216
SMALLEST_MTU = 1280
USUAL_MTU = 1500


def segment_id(segment: Segment, wanted: int | None, taken: Collection[int], doing: str) -> int | None:
    """The id wanted, or the lowest free one; a flat VPC has none. Raises `BadParameter`."""
    if segment is Segment.FLAT:
        if wanted is not None:
            raise BadParameter(doing, "segment_id: a flat VPC has none")
        return None
    ids = IDS[segment]
    if wanted is None:
        wanted = next((one for one in ids[FIRST_ALLOCATED[segment] - 1 :] if one not in taken), None)
        if wanted is None:
            raise BadParameter(doing, f"segment_id: no {segment.value} id is free")
    if wanted not in ids:
        raise BadParameter(doing, f"segment_id: {wanted} is not within {ids[0]} to {ids[-1]}")
    if wanted in taken:
        raise BadParameter(doing, f"segment_id: another VPC has {segment.value} {wanted}")
    return wanted


def free_number(taken: Collection[int]) -> int:
    """The lowest number that no VPC has."""
    return next(number for number in count(1) if number not in taken)


def check_mtu(segment: Segment, mtu: int | None, doing: str) -> None:
    """Raises `BadParameter` if no underlay has room for it."""
    room = LARGEST_MTU - OVERHEAD_BYTES[segment]
    if mtu is not None and mtu > room:
        raise BadParameter(doing, f"mtu: {mtu} does not fit into a {segment.value}: at most {room}")


def check_ports(attached: Sequence[tuple[Subnet, Vpc]], field: str, doing: str) -> None:
    """Raises `BadParameter` if these subnets, the primary port's first, cannot be those of one server."""
    (primary, trunk), others = attached[0], attached[1:]
    if trunk.segment is not Segment.FLAT:
        raise BadParameter(doing, f"{field}: the first NIC must be in a flat VPC, and {trunk.name} is {trunk.segment}")
    underlay = primary.mtu or USUAL_MTU
    seen: set[str] = set()
    for subnet, vpc in others:
        if vpc.segment is Segment.FLAT:
            continue
        if vpc.id in seen:
            raise BadParameter(doing, f"{field}: a server has one NIC in {vpc.name}, which is a {vpc.segment}")
        seen.add(vpc.id)
        if vpc.segment is Segment.VXLAN and primary.dhcp:
            raise BadParameter(doing, f"{field}: a vxlan needs a first NIC whose address we give, not a DHCP server")
        room = underlay - OVERHEAD_BYTES[vpc.segment]
        if (subnet.mtu or SMALLEST_MTU) > room:
            mtu = f"mtu {subnet.mtu}" if subnet.mtu else f"the least mtu, {SMALLEST_MTU},"
            raise BadParameter(doing, f"{field}: {mtu} of {subnet.name} does not fit into the first NIC's {room}")
