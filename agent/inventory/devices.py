# SPDX-License-Identifier: Apache-2.0
"""PCI functions and USB devices, from sysfs. Not part of the inventory: they are read when somebody asks for them."""

from __future__ import annotations

import re

from agent.errors import DecodeError
from agent.host.doors import Files
from agent.inventory.fact import said
from agent.model.devices import PciDevice, UsbDevice

PCI = "/sys/bus/pci/devices"
USB = "/sys/bus/usb/devices"
HUB = "09"  # USB 2.0, table 11-13: bDeviceClass


def pci_devices(files: Files) -> tuple[PciDevice, ...]:
    """Every function, by its address. Raises `HostError`, `DecodeError`."""
    return tuple(pci_device(files, address) for address in files.names(PCI))


def pci_device(files: Files, address: str) -> PciDevice:
    """One function."""
    at = f"{PCI}/{address}"
    return PciDevice(
        address=address,
        vendor=hexadecimal(files, f"{at}/vendor"),
        product=hexadecimal(files, f"{at}/device"),
        device_class=hexadecimal(files, f"{at}/class"),
        revision=hexadecimal(files, f"{at}/revision") if files.exists(f"{at}/revision") else None,
        numa_node=whole(files, f"{at}/numa_node") if files.exists(f"{at}/numa_node") else None,
    )


def usb_devices(files: Files) -> tuple[UsbDevice, ...]:
    """Every device but hubs; interfaces (`1-1:1.0`) are parts of devices. Raises `HostError`, `DecodeError`."""
    names = [name for name in files.names(USB) if ":" not in name]
    return tuple(usb_device(files, f"{USB}/{name}") for name in names if not is_hub(files, f"{USB}/{name}"))


def usb_device(files: Files, at: str) -> UsbDevice:
    """One device."""
    return UsbDevice(
        bus=whole(files, f"{at}/busnum"),
        number=whole(files, f"{at}/devnum"),
        vendor=line(files, f"{at}/manufacturer") or files.read_text(f"{at}/idVendor").strip(),
        product=line(files, f"{at}/product") or files.read_text(f"{at}/idProduct").strip(),
    )


def is_hub(files: Files, at: str) -> bool:
    """Root hubs are the host controllers."""
    return files.read_text(f"{at}/bDeviceClass").strip() == HUB


def hexadecimal(files: Files, path: str) -> str:
    """The digits behind 0x. Raises `HostError`, `DecodeError`."""
    text = files.read_text(path).strip()
    if not re.fullmatch(r"0x[0-9a-f]+", text):
        raise DecodeError(f"reading {path}", f"{text!r} is no hexadecimal number")
    return text.removeprefix("0x")


def whole(files: Files, path: str) -> int:
    """A whole number. Raises `HostError`, `DecodeError`."""
    text = files.read_text(path).strip()
    if not re.fullmatch(r"-?[0-9]+", text):
        raise DecodeError(f"reading {path}", f"{text!r} is no number")
    return int(text)


def line(files: Files, path: str) -> str | None:
    """What a file says, if there is one and it says anything. Raises `HostError`."""
    return said(files.read_text(path)) if files.exists(path) else None
