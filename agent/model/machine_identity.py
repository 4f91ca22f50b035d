# SPDX-License-Identifier: Apache-2.0
"""Who a machine is: its SMBIOS UUID, or its MACs where the maker gave every board the same UUID."""

from __future__ import annotations

from uuid import UUID

from agent.model.fact import Fact, known
from agent.model.inventory import Inventory
from agent.model.network import Nic
from agent.model.system import System

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
    return _macs(inventory.nics)


def system_uuid(inventory: Inventory) -> str | None:
    """The SMBIOS UUID if it can tell machines apart."""
    return _uuid(inventory.system)


def identity(inventory: Inventory) -> str:
    """The machine's identity, as text."""
    uuid = system_uuid(inventory)
    return f"smbios:{uuid}" if uuid else by_macs(inventory)


def by_macs(inventory: Inventory) -> str:
    """The identity that stands on the MACs alone."""
    return f"macs:{','.join(macs(inventory))}"


def marks(system: Fact[System], nics: Fact[tuple[Nic, ...]]) -> tuple[str, ...]:
    """All by which a machine is known again, each alone: another machine has none of them."""
    uuid = _uuid(system)
    return (*([f"smbios:{uuid}"] if uuid else []), *(f"mac:{mac}" for mac in _macs(nics)))


def _macs(nics: Fact[tuple[Nic, ...]]) -> tuple[str, ...]:
    return tuple(sorted({nic.mac.lower() for nic in known(nics) or ()}))


def _uuid(system: Fact[System]) -> str | None:
    found = known(system)
    text = known(found.uuid) if found else None
    try:
        uuid = str(UUID(text)) if text else None
    except ValueError:
        return None
    return None if uuid in WORTHLESS else uuid
