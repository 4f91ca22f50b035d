# SPDX-License-Identifier: Apache-2.0
"""Physical network interfaces: netlink for what they are now, sysfs for what they are made of."""

from __future__ import annotations

import re

from agent.host.doors import Files
from agent.host.network_doors import Tables
from agent.inventory.fact import attempt, number, text
from agent.model.fact import Fact, Unknown, known
from agent.model.network import MAIN_TABLE, IPAddress, LinkState, Nic

PCI_ADDRESS = re.compile(r"[0-9a-f]{4,}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]")


def nics_of(files: Files, tables: Tables) -> tuple[Nic, ...]:
    """Every NIC that has a device behind it and is no virtual function of another. Raises `HostError`."""
    return tuple(
        nic(files, link, gateway_of(link, tables))
        for link in tables.links
        if link.is_nic and files.exists(f"{sysfs(link)}/device") and not files.exists(f"{sysfs(link)}/device/physfn")
    )


def nic(files: Files, link: LinkState, gateway: IPAddress | None) -> Nic:
    """One NIC."""
    device = f"{sysfs(link)}/device"
    pci = attempt(lambda: pci_address(files, device))
    return Nic(
        name=link.name,
        mac=link.permanent_mac or link.mac,
        current_mac=link.mac,
        pci_address=pci,
        driver=attempt(lambda: driver(files, device)),
        vendor=text(files, f"/sys/bus/pci/devices/{known(pci)}/vendor") if known(pci) else None,
        product=text(files, f"/sys/bus/pci/devices/{known(pci)}/device") if known(pci) else None,
        speed_mbps=speed(files, link),
        carrier=link.carrier if link.up else Unknown(unknown=f"{link.name} is down: its driver does not look"),
        up=link.up,
        mtu=link.mtu,
        numa_node=number(files, f"{device}/numa_node"),
        addresses=(*link.addresses, *link.leases),
        gateway=gateway,
    )


def gateway_of(link: LinkState, tables: Tables) -> IPAddress | None:
    """Of the best default route through this NIC."""
    found = [
        route
        for route in (*tables.routes, *tables.leased_routes)
        if route.link == link.name and route.is_default and route.table == MAIN_TABLE and route.gateway
    ]
    return min(found, key=lambda route: (route.destination.version, route.metric)).gateway if found else None


def speed(files: Files, link: LinkState) -> Fact[int]:
    """Mbit/s of the present link. Without a carrier there is none, and reading it fails (EINVAL)."""
    return number(files, f"{sysfs(link)}/speed") if link.up and link.carrier else None


def pci_address(files: Files, device: str) -> str | None:
    """The PCI function that the NIC is, or (virtio) that its bus hangs on; a NIC on USB has none."""
    if "/usb" in (path := files.resolve(device)):
        return None
    functions = [part for part in path.split("/") if PCI_ADDRESS.fullmatch(part)]
    return functions[-1] if functions else None


def driver(files: Files, device: str) -> str | None:
    """The name of the driver that has the device."""
    path = f"{device}/driver"
    return files.resolve(path).rpartition("/")[2] if files.exists(path) else None


def sysfs(link: LinkState) -> str:
    """The directory of a link."""
    return f"/sys/class/net/{link.name}"
