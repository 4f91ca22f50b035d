# SPDX-License-Identifier: Apache-2.0
"""What PCI and USB devices are called: udev's hardware database, as its rules have applied it (50-udev-default).

Where that database is not installed, as in the ramdisk, names are absent and numbers stand for themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from agent.host.doors import Host
from agent.inventory.fact import attempt, said
from agent.model.fact import Fact, Unknown

# PCI Code and ID Assignment 1.15, base classes and the subclasses that servers have
CLASSES = {
    "00": "Unclassified device", "0100": "SCSI storage controller", "0101": "IDE interface",
    "0104": "RAID bus controller",
    "0106": "SATA controller", "0107": "Serial Attached SCSI controller", "0108": "Non-Volatile memory controller",
    "01": "Mass storage controller", "0200": "Ethernet controller", "0207": "Infiniband controller",
    "02": "Network controller", "0300": "VGA compatible controller", "0302": "3D controller",
    "03": "Display controller",
    "04": "Multimedia controller", "05": "Memory controller", "0600": "Host bridge", "0601": "ISA bridge",
    "0604": "PCI bridge", "06": "Bridge", "0700": "Serial controller", "07": "Communication controller",
    "0806": "IOMMU", "08": "Generic system peripheral", "09": "Input device controller", "0b": "Processor",
    "0c03": "USB controller", "0c05": "SMBus", "0c04": "Fibre Channel", "0c": "Serial bus controller",
    "0d": "Wireless controller", "0f": "Satellite communications controller", "10": "Encryption controller",
    "11": "Signal processing controller", "12": "Processing accelerators", "13": "Non-Essential Instrumentation",
    "ff": "Unassigned class",
}  # fmt: skip

DATABASES = ("/usr/lib/udev/hwdb.bin", "/etc/udev/hwdb.bin")


class Names(NamedTuple):
    """A device's."""

    vendor: Fact[str] = None
    product: Fact[str] = None


class Book:
    """The names of a subsystem's devices. Without udev they are unknown, and nothing else is."""

    def __init__(self, host: Host, subsystem: str) -> None:
        is_installed = any(host.files.exists(path) for path in DATABASES)
        self._found = attempt(lambda: host.udev.devices(subsystem)) if is_installed else {}

    def of(self, name: str) -> Names:
        """By kernel name."""
        if isinstance(self._found, Unknown):
            return Names(self._found, self._found)
        return named(self._found.get(name, {}))


def named(properties: Mapping[str, str]) -> Names:
    """One device's."""
    return Names(said(properties.get("ID_VENDOR_FROM_DATABASE")), said(properties.get("ID_MODEL_FROM_DATABASE")))


def class_name(device_class: str) -> str | None:
    """Of a class in six hexadecimal digits: of its subclass, else of its base class."""
    return CLASSES.get(device_class[:4]) or CLASSES.get(device_class[:2])
