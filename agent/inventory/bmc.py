# SPDX-License-Identifier: Apache-2.0
"""The BMC's own addresses, asked of it from within: IPMI 2.0 section 23.2, LAN configuration parameters.

Not part of the inventory: a BMC takes its time. Of channels 1 to 11 the first that has an address counts; a link-local
one leads to nobody's BMC in particular, and an address that is wrong is worse than none.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address
from threading import Event

from agent.errors import HostError
from agent.host.device_doors import Ipmi
from agent.host.doors import Host
from agent.model.bmc import Bmc

TRANSPORT, GET_LAN_CONFIGURATION = 0x0C, 0x02
APPLICATION, GET_DEVICE_ID = 0x06, 0x01
CHANNELS = range(1, 12)  # 0 is IPMB, from 12 on they are reserved (table 6-1)
ADDRESS, MAC, ENABLES, V6_STATUS, V6_STATIC, V6_DYNAMIC = 3, 5, 51, 55, 56, 59  # table 23-4
V6_ENABLES = (1, 2)  # IPv6 alone, or both
ACTIVE = 0
SLAAC, DHCPV6 = 1, 2
MOST_ADDRESSES = 16
DRIVERS = ("ipmi_si", "ipmi_devintf")
PATIENCE_S, LOOKS = 0.2, 10


def bmc(host: Host) -> Bmc | None:
    """`None` if there is no BMC that the kernel can talk to. Raises `DeviceError` if it does not answer."""
    if not is_there(host):
        return None
    v4: IPv4Address | None = None
    v6: IPv6Address | None = None
    mac: str | None = None
    for channel in CHANNELS:
        answer = ask(host.ipmi, channel, ADDRESS)
        if len(answer) < 4:
            continue  # no such channel, or it is no LAN
        here_v4 = next((address for address in [IPv4Address(answer[:4])] if not address.is_unspecified), None)
        here_v6 = address_v6(host.ipmi, channel)
        if here_v4 or here_v6:
            mac = mac or hardware_address(ask(host.ipmi, channel, MAC))
        v4, v6 = v4 or here_v4, v6 or here_v6
        if v4 and v6:
            break
    return Bmc(v4=v4, v6=v6, mac=mac, firmware=firmware(host.ipmi))


def firmware(ipmi: Ipmi) -> str | None:
    """Its revision (section 20.1): major in seven bits, minor in BCD. Raises `DeviceError`."""
    answer = ipmi.ask(APPLICATION, GET_DEVICE_ID, b"")
    return f"{answer[3] & 0x7F}.{answer[4]:02x}" if answer[:1] == b"\0" and len(answer) >= 5 else None


def is_there(host: Host) -> bool:
    """Whether there is a device, if need be after loading its drivers: nothing loads `ipmi_devintf` by itself."""
    if host.ipmi.is_there():
        return True
    try:
        host.run(["modprobe", "--all", "--quiet", *DRIVERS])
    except HostError:
        return False  # ipmi_si does not stay where it finds no BMC
    for _ in range(LOOKS):
        if host.ipmi.is_there():
            return True
        host.clock.wait(Event(), PATIENCE_S)
    return False


def ask(ipmi: Ipmi, channel: int, parameter: int, entry: int = 0) -> bytes:
    """A parameter behind its revision; empty if the BMC does not have it. Raises `DeviceError`."""
    answer = ipmi.ask(TRANSPORT, GET_LAN_CONFIGURATION, bytes([channel, parameter, entry, 0]))
    return answer[2:] if answer[:1] == b"\0" else b""


def hardware_address(answer: bytes) -> str | None:
    """A MAC; zeroes are none."""
    return answer[:6].hex(":") if len(answer) >= 6 and any(answer[:6]) else None


def address_v6(ipmi: Ipmi, channel: int) -> IPv6Address | None:
    """The first that is in use: by DHCPv6 or SLAAC, else static. Raises `DeviceError`."""
    enables = ask(ipmi, channel, ENABLES)
    if not enables or enables[0] not in V6_ENABLES:
        return None
    return next(addresses_v6(ipmi, channel), None)


def addresses_v6(ipmi: Ipmi, channel: int) -> Iterator[IPv6Address]:
    """All that are in use; how many there can be, the status says: static ones, then dynamic ones."""
    status = ask(ipmi, channel, V6_STATUS)
    if len(status) < 2:
        return
    for parameter, most in ((V6_DYNAMIC, status[1]), (V6_STATIC, status[0])):
        for entry in range(min(most, MOST_ADDRESSES)):
            with suppress(ValueError):
                yield parse_v6(parameter, ask(ipmi, channel, parameter, entry))


def parse_v6(parameter: int, answer: bytes) -> IPv6Address:
    """Set selector, source, 16 bytes of address, prefix length, status. Raises `ValueError` for one not in use."""
    if len(answer) < 20:
        raise ValueError("too short")
    source, address, status = answer[1], IPv6Address(answer[2:18]), answer[19]
    is_enabled = bool(source & 0x80) if parameter == V6_STATIC else source & 0x0F in (SLAAC, DHCPV6)
    if status != ACTIVE or not is_enabled or address.is_unspecified or address.is_link_local:
        raise ValueError("not in use")
    return address
