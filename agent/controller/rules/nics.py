# SPDX-License-Identifier: Apache-2.0
"""Which NICs a server's ports take: physical ones of its node, or virtual ones with a MAC of their own."""

from __future__ import annotations

from uuid import UUID

from agent.model.fact import Unknown, known
from agent.model.inventory import Inventory
from agent.model.network import Nic

VIRTUAL_PREFIX = "fa:16:3e"  # OpenStack's, which the cloud's virtual NICs have


def physical(inventory: Inventory, boot_mac: str) -> tuple[str, ...]:
    """MACs in the order in which they are taken. The NIC that the machine boots by is the primary one, for it is known
    to be connected; then those with a carrier, in the order of the PCI bus."""

    def rank(nic: Nic) -> tuple[bool, bool, str, str]:
        return nic.mac != boot_mac, known(nic.carrier) is not True, known(nic.pci_address) or "~", nic.name

    nics = () if isinstance(inventory.nics, Unknown) else inventory.nics
    return tuple(nic.mac for nic in sorted(nics, key=rank))


def virtual_mac(port_id: str) -> str:
    """A MAC made of a port's id, which is random."""
    return ":".join([VIRTUAL_PREFIX, *(f"{byte:02x}" for byte in UUID(port_id).bytes[-3:])])
