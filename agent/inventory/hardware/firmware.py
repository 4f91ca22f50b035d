# SPDX-License-Identifier: Apache-2.0
"""How the firmware boots: Secure Boot and the boot entries, from UEFI's variables (UEFI 2.10, section 3.3)."""

from __future__ import annotations

from agent.errors import DecodeError
from agent.host.device_doors import Efi
from agent.host.doors import Host
from agent.inventory.efi import firmware_boot
from agent.inventory.fact import attempt, of
from agent.model.efi import BootEntry, shown
from agent.model.fact import Fact
from agent.model.hardware.firmware import Entry, FirmwareInFull


def firmware(host: Host) -> FirmwareInFull:
    """All absent without UEFI. Raises `HostError` where its variables cannot be reached."""
    if not host.efi.is_there():
        return FirmwareInFull()
    names = frozenset(host.efi.names())
    boot = attempt(lambda: firmware_boot(host))
    entries = of(boot, lambda found: tuple(map(entry, found.entries)))
    order = of(boot, lambda found: tuple(f"Boot{number:04X}" for number in found.order))
    return FirmwareInFull(
        secure_boot=flag(host.efi, names, "SecureBoot"),
        setup_mode=flag(host.efi, names, "SetupMode"),
        entries=() if entries is None else entries,
        order=() if order is None else order,
        booted=entry_name(host.efi, names, "BootCurrent"),
        next=entry_name(host.efi, names, "BootNext"),
    )


def entry(one: BootEntry) -> Entry:
    """In words."""
    return Entry(name=one.name, label=one.option.label, path=shown(one.option.path), is_active=one.option.is_active)


def flag(efi: Efi, names: frozenset[str], name: str) -> Fact[bool]:
    """A variable of one byte."""

    def read() -> bool | None:
        raw = efi.read(name) if name in names else None
        if raw is not None and raw not in (b"\0", b"\1"):
            raise DecodeError(f"reading the firmware's variable {name}", f"{raw[:8].hex() or 'nothing'} is no flag")
        return None if raw is None else raw == b"\1"

    return attempt(read)


def entry_name(efi: Efi, names: frozenset[str], name: str) -> Fact[str]:
    """A variable of one entry's number."""

    def read() -> str | None:
        raw = efi.read(name) if name in names else None
        if raw is not None and len(raw) != 2:
            raise DecodeError(f"reading the firmware's variable {name}", f"{raw[:8].hex() or 'nothing'} is no number")
        return None if raw is None else f"Boot{int.from_bytes(raw, 'little'):04X}"

    return attempt(read)
