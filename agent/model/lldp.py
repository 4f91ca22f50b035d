# SPDX-License-Identifier: Apache-2.0
"""What a switch says of itself on a cable: LLDP (IEEE 802.1AB-2016, section 8). Bytes → TLVs. Pure.

Ironic wants them raw; `neighbour` says what they mean.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any, NamedTuple

from pydantic import Field

from agent.errors import DecodeError
from agent.model.frozen import Frozen

END = 0
HEADER_BYTES = 2
LENGTH_BITS = 9
CHASSIS, PORT, VALIDITY, MANAGEMENT, OWN = 1, 2, 3, 8, 127
TEXTS = {4: "port_description", 5: "system_name", 6: "system_description"}
MAC_NAMES, ADDRESS_NAMES = {CHASSIS: b"\4", PORT: b"\3"}, {CHASSIS: b"\5", PORT: b"\4"}
PORT_VLAN, VLAN_NAME = b"\x00\x80\xc2\x01", b"\x00\x80\xc2\x03"  # IEEE 802.1Q, annex D
FRAME_SIZE = b"\x00\x12\x0f\x04"  # IEEE 802.3, clause 79


class Tlv(NamedTuple):
    """One statement: 1 is the chassis' id, 2 the port's, 5 the system's name, 127 an organisation's own."""

    kind: int
    value: bytes


def tlvs(unit: bytes) -> tuple[Tlv, ...]:
    """An LLDP data unit, behind the Ethernet header; the padding behind its end is dropped. Raises `DecodeError`."""
    found: list[Tlv] = []
    at = 0
    while at + HEADER_BYTES <= len(unit):
        header = int.from_bytes(unit[at : at + HEADER_BYTES])
        kind, length = header >> LENGTH_BITS, header & ((1 << LENGTH_BITS) - 1)
        value = unit[at + HEADER_BYTES : at + HEADER_BYTES + length]
        if len(value) < length:
            raise DecodeError("reading what a switch says by LLDP", f"it ends within the TLV at byte {at}")
        found.append(Tlv(kind, value))
        if kind == END:
            break
        at += HEADER_BYTES + length
    return tuple(found)


class LldpNeighbour(Frozen):
    """The other end of a cable, as it announces itself: texts as they are, MACs and addresses as such."""

    chassis_id: str | None = None
    port_id: str | None = None
    port_description: str | None = None
    system_name: str | None = None
    system_description: str | None = None
    management_addresses: tuple[str, ...] = ()
    port_vlan_id: int | None = Field(default=None, description="of untagged frames; 802.1's")
    vlans: dict[int, str] = Field(default_factory=dict, description="by number: what the switch calls them")
    largest_frame_bytes: int | None = None
    valid_s: int | None = Field(default=None, description="for how long it may be believed")


def neighbour(unit: bytes) -> LldpNeighbour:
    """What a data unit means (sections 8.5, annexes D and E). Raises `DecodeError`."""
    found: dict[str, Any] = {}
    addresses: list[str] = []
    vlans: dict[int, str] = {}
    for kind, value in tlvs(unit):
        if kind in (CHASSIS, PORT):
            found["chassis_id" if kind == CHASSIS else "port_id"] = identified(kind, value)
        elif kind == VALIDITY and len(value) >= 2:
            found["valid_s"] = int.from_bytes(value[:2])
        elif kind in TEXTS:
            found[TEXTS[kind]] = words(value)
        elif kind == MANAGEMENT and len(value) > 1 and value[0]:
            addresses.append(network_address(value[1 : 1 + value[0]]))
        elif kind == OWN and value.startswith(PORT_VLAN) and len(value) >= 6:
            found["port_vlan_id"] = int.from_bytes(value[4:6]) or None
        elif kind == OWN and value.startswith(VLAN_NAME) and len(value) >= 7:
            vlans[int.from_bytes(value[4:6])] = words(value[7 : 7 + value[6]]) or ""
        elif kind == OWN and value.startswith(FRAME_SIZE) and len(value) >= 6:
            found["largest_frame_bytes"] = int.from_bytes(value[4:6])
    return LldpNeighbour(**found, management_addresses=tuple(addresses), vlans=vlans)


def identified(kind: int, value: bytes) -> str | None:
    """By the kind of name that it is (tables 8-2 and 8-3): MACs and addresses are numbers, all else is text."""
    subkind, name = value[:1], value[1:]
    if subkind == MAC_NAMES[kind] and len(name) == 6:
        return name.hex(":")
    return (network_address(name) if subkind == ADDRESS_NAMES[kind] and name else words(name)) or None


def network_address(value: bytes) -> str:
    """Its family (IANA's numbers), and itself."""
    family, address = value[0], value[1:]
    if (family, len(address)) in ((1, 4), (2, 16)):
        return str(ip_address(address))
    return address.hex(":")


def words(value: bytes) -> str | None:
    """On one line, with nothing in it that a terminal would do: anybody on the cable may have written it."""
    plain = "".join(one if one.isprintable() else " " for one in value.decode("utf-8", errors="replace"))
    return " ".join(plain.split()) or None
