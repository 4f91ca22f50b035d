# SPDX-License-Identifier: Apache-2.0
"""PCI functions and USB devices, from sysfs. Not part of the inventory: they are read when somebody asks for them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from agent.errors import DecodeError
from agent.host.doors import Files
from agent.inventory.folder import Folder, each
from agent.model.devices import PciDevice, UsbDevice

PCI = "/sys/bus/pci/devices"
USB = "/sys/bus/usb/devices"
HUB = "09"  # USB 2.0, table 11-13: bDeviceClass


def pci_devices(files: Files) -> tuple[PciDevice, ...]:
    """Every function, by its address. Raises `HostError`, `DecodeError`."""
    return tuple(pci_device(address, one) for address, one in each(files, PCI))


def pci_device(address: str, one: Folder) -> PciDevice:
    """One function. Raises `HostError`, `DecodeError`."""
    return PciDevice(
        address=address,
        vendor=hexadecimal(one, "vendor"),
        product=hexadecimal(one, "device"),
        device_class=hexadecimal(one, "class"),
        revision=hexadecimal(one, "revision") if "revision" in one else None,
        numa_node=one.signed("numa_node"),
    )


def usb_devices(files: Files) -> tuple[UsbDevice, ...]:
    """Every device but hubs. Raises `HostError`, `DecodeError`."""
    return tuple(usb_device(one) for _, one in plugged(files))


def plugged(files: Files) -> Iterator[tuple[str, Folder]]:
    """What is on USB, by its port: no hubs (root hubs are the host controllers), and no interfaces (`1-1:1.0`), which
    are parts of devices. Raises `HostError`.
    """
    for name, one in each(files, USB):
        if ":" not in name and one.line("bDeviceClass") != HUB:
            yield name, one


def usb_device(one: Folder) -> UsbDevice:
    """One device. Raises `HostError`, `DecodeError`."""
    return UsbDevice(
        bus=needed(one, "busnum"),
        number=needed(one, "devnum"),
        vendor=one.words("manufacturer") or one.line("idVendor") or "",
        product=one.words("product") or one.line("idProduct") or "",
    )


def hexadecimal(one: Folder, name: str) -> str:
    """The digits behind 0x. Raises `HostError`, `DecodeError`."""
    text = one.line(name) or ""
    if not re.fullmatch(r"0x[0-9a-f]+", text):
        raise DecodeError(f"reading {one.path}/{name}", f"{text!r} is no hexadecimal number")
    return text.removeprefix("0x")


def needed(one: Folder, name: str) -> int:
    """A number that every device has. Raises `HostError`, `DecodeError`."""
    found = one.whole(name)
    if found is None:
        raise DecodeError(f"reading {one.path}/{name}", "there is none")
    return found
