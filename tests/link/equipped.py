# SPDX-License-Identifier: Apache-2.0
"""The synthetic Dell with all that an inspection asks for beside the inventory: a BMC, switches, USB, NUMA, classes."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address

from agent.host.fake import FakeHost, LinkTo, Machine
from tests.machines import parts, synthetic

GET_LAN = bytes([0x0C, 0x02])
GOOD = b"\0\x11"
"""Completion code and revision of the parameter."""
CHASSIS, PORT, NAME = bytes.fromhex("0207 04 a0b1c2d3e4f5"), bytes.fromhex("0407 03 a0b1c2d3e401"), b"\x0a\x05tor-7"
ANNOUNCED = CHASSIS + PORT + bytes.fromhex("0602 0078") + NAME + bytes(2)


def lan(channel: int, parameter: int, entry: int = 0) -> bytes:
    """The request for a parameter, as `FakeIpmi` knows it."""
    return GET_LAN + bytes([channel, parameter, entry, 0])


def v6_entry(source: int, address: str, status: int = 0) -> bytes:
    """A static or dynamic IPv6 address as a BMC tells it (IPMI 2.0, table 23-4, parameters 56 and 59)."""
    return GOOD + bytes([0, source]) + IPv6Address(address).packed + bytes([64, status])


def configured(channel: int, v4: str, mac: str, more: Mapping[bytes, bytes] | None = None) -> dict[bytes, bytes]:
    """A BMC with this LAN channel."""
    own = {lan(channel, 3): GOOD + IPv4Address(v4).packed, lan(channel, 5): GOOD + bytes.fromhex(mac.replace(":", ""))}
    return own | dict(more or {})


def dual_stack() -> dict[bytes, bytes]:
    """A BMC on channel 1 with an IPv4 address, a link-local IPv6 address, and one by SLAAC."""
    v6 = {
        lan(1, 51): GOOD + b"\x02",
        lan(1, 55): GOOD + bytes([1, 2, 3]),
        lan(1, 59, 0): v6_entry(1, "fe80::9240:9ff:fe00:1"),
        lan(1, 59, 1): v6_entry(1, "2001:db8::bc"),
        lan(1, 56, 0): v6_entry(0x80, "2001:db8::5"),
    }
    return configured(1, "192.0.2.200", "90:40:09:00:00:01", v6)


def dell() -> Machine:
    """All of it."""
    built = synthetic.dell_r650()
    add_topology(built)
    for number, (address, kind) in enumerate({"0000:19:00.0": "0x020000", "0000:b1:00.0": "0x020700"}.items(), 1):
        at = f"/sys/bus/pci/devices/{address}"
        parts.put(
            built, {f"{built.tree.resolve(at)}/class": kind, f"{built.tree.resolve(at)}/revision": f"0x0{number}"}
        )
    for address in ("0000:19:00.1", "0000:b1:00.1"):
        parts.put(built, {f"{built.tree.resolve(f'/sys/bus/pci/devices/{address}')}/class": "0x020000"})
    add_usb(built)
    parts.put(built, {"/proc/net/if_inet6": "fe80000000000000b22628fffe000001 02 40 20 80     eno1"})
    made = parts.finished(built)
    made.bmc = dual_stack()
    made.announcements = {"eno1": ANNOUNCED}
    return made


def add_topology(built: Machine) -> None:
    """Two nodes of two cores of two threads; cores are numbered anew in each socket."""
    for node, cpus in enumerate(("0-3", "4-7")):
        at = f"/sys/devices/system/node/node{node}"
        parts.put(built, {f"{at}/cpulist": cpus, f"{at}/meminfo": f"Node {node} MemTotal:       263{node}00000 kB"})
    for cpu in range(8):
        parts.put(built, {f"/sys/devices/system/cpu/cpu{cpu}/topology/core_id": str(cpu % 4 // 2)})


def add_usb(built: Machine) -> None:
    """A root hub, a keyboard that the BMC emulates, and a stick without a name."""
    devices = {
        "usb1": {"bDeviceClass": "09", "busnum": "1", "devnum": "1", "product": "EHCI Host Controller"},
        "1-1": {"bDeviceClass": "00", "busnum": "1", "devnum": "2", "product": "Keyboard", "manufacturer": "Avocent"},
        "1-2": {"bDeviceClass": "00", "busnum": "1", "devnum": "3", "idVendor": "0930", "idProduct": "6545"},
    }
    for name, files in devices.items():
        at = f"/sys/devices/pci0000:00/0000:00:14.0/usb1/{name}"
        parts.put(built, {f"/sys/bus/usb/devices/{name}": LinkTo(at), **{f"{at}/{k}": v for k, v in files.items()}})
    interface = "/sys/devices/pci0000:00/0000:00:14.0/usb1/1-1/1-1:1.0"
    parts.put(built, {"/sys/bus/usb/devices/1-1:1.0": LinkTo(interface), f"{interface}/bInterfaceClass": "03"})


def host() -> FakeHost:
    """A process on it."""
    return FakeHost.of(dell())
