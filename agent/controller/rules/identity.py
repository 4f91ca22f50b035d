# SPDX-License-Identifier: Apache-2.0
"""Who a machine is: its SMBIOS UUID, or its MACs where the maker gave every board the same UUID."""

from __future__ import annotations

from uuid import UUID

from agent.model.fact import Unknown, known
from agent.model.inventory import Inventory

WORTHLESS = frozenset(
    {
        "00000000-0000-0000-0000-000000000000",
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
        "03000200-0400-0500-0006-000700080009",  # AMI's example value, shipped by several board makers
        "00020003-0004-0005-0006-000700080009",  # the same in the other byte order
        "12345678-1234-5678-90ab-cddeefaabbcc",
    }
)


def macs(inventory: Inventory) -> tuple[str, ...]:
    """Permanent MACs, sorted."""
    return () if isinstance(inventory.nics, Unknown) else tuple(sorted({nic.mac.lower() for nic in inventory.nics}))


def system_uuid(inventory: Inventory) -> str | None:
    """The SMBIOS UUID if it can tell machines apart."""
    text = None if isinstance(inventory.system, Unknown) else known(inventory.system.uuid)
    try:
        uuid = str(UUID(text)) if text else None
    except ValueError:
        return None
    return None if uuid in WORTHLESS else uuid


def identity(inventory: Inventory) -> str:
    """The machine's identity, as text."""
    uuid = system_uuid(inventory)
    return f"smbios:{uuid}" if uuid else by_macs(inventory)


def by_macs(inventory: Inventory) -> str:
    """The identity that stands on the MACs alone."""
    return f"macs:{','.join(macs(inventory))}"


def node_name(boot_mac: str) -> str:
    """What a new node is called: short, stable, and to be found on its sticker."""
    return f"node-{boot_mac.replace(':', '')}"
