# SPDX-License-Identifier: Apache-2.0
"""What is plugged in beside disks and NICs, and which processors and memory are near to each other.

None of it is part of the inventory: only an inspection by OpenStack Ironic asks for it.
"""

from __future__ import annotations

from pydantic import Field

from agent.model.frozen import Frozen


class PciDevice(Frozen):
    """A PCI function. Numbers are in hexadecimal, without 0x, as sysfs has them."""

    address: str = Field(description="such as 0000:3b:00.0")
    vendor: str
    product: str
    device_class: str
    revision: str | None = None
    numa_node: int | None = Field(default=None, description="-1 is near to none; None where the kernel has no NUMA")


class UsbDevice(Frozen):
    """A USB device. Where it has no words for itself, it is called by its numbers."""

    bus: int
    number: int
    vendor: str
    product: str


class NumaNode(Frozen):
    """Memory that some processors are near to."""

    number: int
    memory_kib: int


class Core(Frozen):
    """A core and the logical processors that share it. Cores are numbered anew in each socket."""

    node: int
    number: int
    threads: tuple[int, ...]


class NumaNic(Frozen):
    """A NIC, and the node that it is near to; -1 is none."""

    name: str
    node: int


class NumaTopology(Frozen):
    """All nodes of a machine."""

    nodes: tuple[NumaNode, ...]
    cores: tuple[Core, ...]
    nics: tuple[NumaNic, ...]
