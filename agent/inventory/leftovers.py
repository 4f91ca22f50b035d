# SPDX-License-Identifier: Apache-2.0
"""What a tenant may have left beside disks: a boot that was ordered, what is in the TPM, NICs that are not as made."""

from __future__ import annotations

from agent.errors import AgentError
from agent.host.doors import Host
from agent.host.tpm_kept import kept
from agent.model.fact import Unknown, known
from agent.model.hardware.tpm_owner import ask_permanent, owned_by
from agent.model.inventory import Inventory
from agent.model.leftovers import Leftovers

NICS = "/sys/class/net"


def leftovers(host: Host, inventory: Inventory) -> Leftovers:
    """What cannot be looked at is told, since it cannot be undone either. Raises `HostError` for the firmware's
    variables alone: with another boot order than ours the next tenant's machine may boot what this one left.
    """
    notes: list[str] = []
    try:
        owners = owned_by(host.tpm.ask(ask_permanent())) if host.tpm.is_there() else ()
    except AgentError as error:
        owners = ()
        notes.append(f"TPM: not looked at: {error}")
    keeps: tuple[str, ...] = ()
    try:
        keeps = kept(host.tpm) if host.tpm.is_there() else ()
    except AgentError as error:
        notes.append(f"TPM: what it keeps was not looked at: {error}")
    functions = {}
    for link in host.files.names(NICS):
        try:
            count = virtual_functions(host, link)
        except AgentError as error:
            notes.append(f"NIC {link}: not looked at: {error}")
            continue
        if count:
            functions[link] = count
    nics = () if isinstance(inventory.nics, Unknown) else inventory.nics
    for nic in nics:
        made, now = known(nic.mac), known(nic.current_mac)
        if made and now and made.lower() != now.lower():
            notes.append(f"NIC {nic.name}: its address is {now}, its maker's is {made}: see its own settings")
    boot_next = host.efi.is_there() and "BootNext" in host.efi.names()
    return Leftovers(boot_next=boot_next, tpm_owners=owners, tpm_kept=keeps, functions=functions, notes=tuple(notes))


def virtual_functions(host: Host, link: str) -> int:
    """How many a NIC has. Raises `HostError`."""
    place = f"{NICS}/{link}/device/sriov_numvfs"
    return int(host.files.read_text(place)) if host.files.exists(place) else 0
