# SPDX-License-Identifier: Apache-2.0
"""Floor 2, observing: sysfs, SMBIOS, udev, netlink and psutil → `Inventory`. One module per noun. Decides nothing.

A probe that fails leaves `Unknown` and its reason in its own place, and harms no other.
"""

from __future__ import annotations

from agent.host import smbios
from agent.host.doors import Host
from agent.inventory.array import arrays
from agent.inventory.cpu import cpu
from agent.inventory.disk import disks
from agent.inventory.fact import attempt
from agent.inventory.memory import memory
from agent.inventory.network import nics
from agent.inventory.system import system
from agent.model.inventory import Inventory


def take(host: Host) -> Inventory:
    """Everything known about this machine, now. It never raises an `AgentError`."""
    tables = attempt(lambda: smbios.read(host.files))
    return Inventory(
        system=attempt(lambda: system(host, tables)),
        cpu=attempt(lambda: cpu(host, tables)),
        memory=attempt(lambda: memory(host, tables)),
        disks=attempt(lambda: disks(host)),
        nics=attempt(lambda: nics(host)),
        arrays=attempt(lambda: arrays(host)),
    )
