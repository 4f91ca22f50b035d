# SPDX-License-Identifier: Apache-2.0
"""PCI functions and USB devices, from sysfs. Not part of the inventory: they are read when somebody asks for them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from agent.errors import DecodeError
from agent.host.doors import Files
from agent.inventory.folder import Folder, each
from agent.model.devices import PciDevice, UsbDevice

PCI = "/sys/bus/pci/devices"
USB = "/sys/bus/usb/devices"
UEVENT = re.compile(
    r"^PCI_CLASS=([0-9A-F]{4,6})\nPCI_ID=([0-9A-F]{4}):([0-9A-F]{4})\nPCI_SUBSYS_ID=([0-9A-F]{4}):([0-9A-F]{4})$",
    re.MULTILINE,
)
DRIVER = re.compile(r"^DRIVER=(.+)$", re.MULTILINE)
HUB = "09"  # USB 2.0, table 11-13: bDeviceClass


def pci_devices(files: Files) -> tuple[PciDevice, ...]:
    """Every function, by its address. Raises `HostError`, `DecodeError`."""
    return tuple(pci_device(address, one, pci_words(one)) for address, one in each(files, PCI))


class PciWords(NamedTuple):
    """Who made a function, what it is, and who sold it, as what; who drives it."""

    vendor: str
    product: str
    device_class: str
    subsystem: str | None
    driver: str | None


def pci_words(one: Folder) -> PciWords:
    """From one file, which kernels have for udev (drivers/pci/pci-driver.c, pci_uevent); else from one for each.
    Bridges were sold by nobody: zeroes. Raises `HostError`, `DecodeError`.
    """
    if found := UEVENT.search(one.line("uevent") or ""):
        device_class, vendor, product, sold_by, sold_as = (word.lower() for word in found.groups())
        driver = DRIVER.search(found.string)
        sold = f"{sold_by}:{sold_as}" if sold_by != "0000" else None
        return PciWords(vendor, product, device_class.rjust(6, "0"), sold, driver[1] if driver else None)
    vendor, product, device_class = (hexadecimal(one, name) for name in ("vendor", "device", "class"))
    return PciWords(vendor, product, device_class, subsystem(one), one.target("driver"))


def subsystem(one: Folder) -> str | None:
    """Who sold it, and as what. Raises `HostError`, `DecodeError`."""
    if "subsystem_vendor" not in one:
        return None
    vendor, device = hexadecimal(one, "subsystem_vendor"), hexadecimal(one, "subsystem_device")
    return f"{vendor}:{device}" if vendor != "0000" else None


def pci_device(address: str, one: Folder, words: PciWords) -> PciDevice:
    """One function. Raises `HostError`, `DecodeError`."""
    return PciDevice(
        address=address,
        vendor=words.vendor,
        product=words.product,
        device_class=words.device_class,
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
