# SPDX-License-Identifier: Apache-2.0
"""The inventory in full: what takes longer than a plan can wait for, all collectors side by side, each with a limit.

sysfs, SMBIOS, UEFI's variables and udev's database; then the devices themselves, by ioctls. Nothing is asked that could
change anything, and no command is started but modprobe, for a BMC that SMBIOS tells of and no driver has. A collector
that fails or hangs leaves `Unknown` and its reason in its place.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

from agent.host import smbios
from agent.host.doors import Files, Host
from agent.host.identity import boot_id
from agent.inventory.array import arrays
from agent.inventory.bmc import bmc
from agent.inventory.fact import attempt, of
from agent.inventory.hardware.disk import disks_in_full
from agent.inventory.hardware.firmware import firmware
from agent.inventory.hardware.nic import nics_in_full
from agent.inventory.hardware.pci import gpus, pci
from agent.inventory.hardware.processor import processors
from agent.inventory.hardware.sensors import memory_errors, sensors
from agent.inventory.hardware.tpm import tpm
from agent.inventory.hardware.usb import usb
from agent.inventory.memory import memory
from agent.inventory.once import FilesOnce, UdevOnce
from agent.inventory.side_by_side import side_by_side
from agent.inventory.system import system
from agent.model.bmc import Bmc
from agent.model.fact import Fact, Unknown, known
from agent.model.hardware import Hardware

LIMIT_S = 10.0
OF_THAT = 0.7
"""What a disk, or a NIC, has of the time of all disks: they are listed first."""
SLOW = ("tpm", "bmc")
"""Parts whose devices take milliseconds for every answer."""
Collectors = dict[str, Callable[[], Any]]


def take_in_full(host: Host, *, listen_s: float = 0.0, limit_s: float = LIMIT_S) -> Hardware:
    """Everything. It takes no longer than the limit, and `listen_s` for switches to announce themselves. It never
    raises an `AgentError`.
    """
    host = replace(host, files=cast(Files, FilesOnce(host.files)), udev=UdevOnce(host.udev))
    tables = attempt(lambda: smbios.read(host.files))
    found = side_by_side(collectors(host, tables, listen_s, limit_s), limit_s + listen_s, at_once=1, slow=SLOW)
    functions = found["pci_devices"]
    return Hardware(
        taken_at=host.clock.now(),
        boot_id=attempt(lambda: boot_id(host.files)),
        gpus=functions if isinstance(functions, Unknown) else attempt(lambda: gpus(host.files, functions)),
        **found,
    )


def collectors(host: Host, tables: Fact[smbios.Tables], listen_s: float, limit_s: float) -> Collectors:
    """By the part of the inventory that each brings."""
    files = host.files
    return {
        "system": lambda: system(host, tables),
        "cpu": lambda: processors(host, tables),
        "memory": lambda: memory(host, tables),
        "disks": lambda: disks_in_full(host, OF_THAT * limit_s),
        "arrays": lambda: arrays(host),
        "nics": lambda: nics_in_full(host, OF_THAT * limit_s, listen_s),
        "firmware": lambda: firmware(host),
        "pci_devices": lambda: pci(host),
        "usb_devices": lambda: usb(host),
        "tpm": lambda: tpm(host),
        "bmc": lambda: management(host, tables),
        "sensors": lambda: sensors(files),
        "memory_errors": lambda: memory_errors(files),
    }


def management(host: Host, tables: Fact[smbios.Tables]) -> Bmc | None:
    """Only where there is a device, or the firmware says that there is a BMC (SMBIOS type 38): looking for one loads
    drivers, and takes seconds to find none. Raises `DeviceError`.
    """
    is_told = known(of(tables, lambda found: found.has_bmc))
    return bmc(host) if host.ipmi.is_there() or is_told else None
