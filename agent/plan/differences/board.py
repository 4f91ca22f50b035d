# SPDX-License-Identifier: Apache-2.0
"""What is another about the machine itself: maker's words, firmware, processors, memory, TPM, BMC."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from agent.model.bmc import Bmc
from agent.model.difference import Difference
from agent.model.fact import Fact, Unknown
from agent.model.hardware.firmware import FirmwareInFull
from agent.model.hardware.processor import CpuInFull
from agent.model.hardware.tpm import Tpm
from agent.model.system import Dimm, Memory, System
from agent.plan.differences.fields import changed, each_changed, keyed, lowered, not_in, pairs

SYSTEM = (
    "vendor", "product", "serial", "uuid", "asset_tag", "firmware_vendor", "firmware_version", "firmware_date",
    "firmware_mode",
)  # fmt: skip
CPU = ("architecture", "model", "microcode", "numa_nodes", "offline")
FIRMWARE = ("secure_boot", "setup_mode", "order")
BMC = ("v4", "v6", "mac", "firmware")
TPM = ("version", "manufacturer", "firmware", "certificates")
Part = TypeVar("Part", Tpm, Bmc)
WIDTHS = ("size_bytes", "kind", "rank_count", "total_width_bits")


def system(before: System, after: System) -> Iterator[Difference]:
    """SMBIOS's words."""
    yield from each_changed("system", "SYSTEM", before, after, SYSTEM)


def cpu(before: CpuInFull, after: CpuInFull) -> Iterator[Difference]:
    """Processors: a core less is a fault. Of flags and weaknesses only those that came or went are named."""
    for field in ("sockets", "cores", "threads"):
        yield from lowered(f"processors, {field}", f"CPU.{field.upper()}", *both(before, after, field), field)
    yield from each_changed("processors", "CPU", before, after, CPU)
    if isinstance(before.flags, tuple) and isinstance(after.flags, tuple):
        gone, new = sorted({*before.flags} - {*after.flags}), sorted({*after.flags} - {*before.flags})
        yield from changed("processors, flags", "CPU.FLAGS", tuple(gone) or None, tuple(new) or None)
    if isinstance(before.vulnerabilities, dict) and isinstance(after.vulnerabilities, dict):
        for name in sorted(before.vulnerabilities.keys() & after.vulnerabilities.keys()):
            words = before.vulnerabilities[name], after.vulnerabilities[name]
            yield from changed(f"vulnerability {name}", "CPU.VULNERABILITY", *words)


def both(before: object, after: object, field: str) -> tuple[object, object]:
    """A field of each."""
    return getattr(before, field), getattr(after, field)


def memory(before: Memory, after: Memory) -> Iterator[Difference]:
    """All of it, and module by module."""
    if isinstance(before.physical_bytes, int) and isinstance(after.physical_bytes, int):
        gib = before.physical_bytes / 1024**3, after.physical_bytes / 1024**3
        yield from lowered("memory", "MEMORY.SIZE", *gib, "GiB")
    yield from changed(
        "memory, error correction", "MEMORY.ERROR_CORRECTION", before.error_correction, after.error_correction
    )
    if isinstance(before.dimms, tuple) and isinstance(after.dimms, tuple):
        yield from dimms(before.dimms, after.dimms)


def dimms(before: tuple[Dimm, ...], after: tuple[Dimm, ...]) -> Iterator[Difference]:
    """A module is known by its serial; one without is known by its slot."""
    old, new = keyed(before, who), keyed(after, who)
    for was, now in pairs(old, new):
        name = f"memory module {now.serial or now.part or ''}".strip()
        slots = place(was), place(now)
        if slots[0] != slots[1]:
            yield Difference(code="MEMORY.MODULE_MOVED", weight="change", what=name, before=slots[0], after=slots[1])
        for field in ("speed_mts", "configured_speed_mts"):
            yield from lowered(f"{name} in {slots[1]}", "MEMORY.SPEED", *both(was, now, field), "MT/s")
        yield from each_changed(f"{name} in {slots[1]}", "MEMORY", was, now, WIDTHS)
    for one in not_in(old, new):
        yield Difference(code="MEMORY.MODULE_GONE", weight="fault", what=f"slot {place(one)}", before=described(one))
    for one in not_in(new, old):
        yield Difference(code="MEMORY.MODULE_NEW", weight="change", what=f"slot {place(one)}", after=described(one))


def who(one: Dimm) -> tuple[str | None, ...]:
    """Serials are unique with their part's number only."""
    return (one.serial, one.part) if one.serial else (None, *place(one).split("\0"))


def place(one: Dimm) -> str:
    """Its slot; careless boards call several alike, and then banks differ."""
    return f"{one.locator} ({one.bank})" if one.bank else one.locator


def described(one: Dimm) -> str:
    """Size, kind, maker's number."""
    words = (f"{one.size_bytes // 1024**3} GiB", one.kind, one.manufacturer, one.part, one.serial)
    return " ".join(word for word in words if word)


def firmware(before: FirmwareInFull, after: FirmwareInFull) -> Iterator[Difference]:
    """Secure Boot, the order, and entries that came, went, or lead elsewhere."""
    yield from each_changed("firmware", "FIRMWARE", before, after, FIRMWARE)
    if not isinstance(before.entries, tuple) or not isinstance(after.entries, tuple):
        return
    old, new = ({one.name: one for one in each.entries} for each in (before, after) if isinstance(each.entries, tuple))
    for name in sorted(old.keys() | new.keys()):
        was, now = (f"{one.label} ({one.path})" if (one := each.get(name)) else None for each in (old, new))
        yield from changed(f"boot entry {name}", "FIRMWARE.BOOT_ENTRY", was, now)


def tpm(before: Fact[Tpm], after: Fact[Tpm]) -> Iterator[Difference]:
    """One that is gone is a fault: what is sealed to it cannot be opened."""
    yield from part("TPM", TPM, before, after, lambda one: f"version {one.version}")


def bmc(before: Fact[Bmc], after: Fact[Bmc]) -> Iterator[Difference]:
    """Its addresses and its firmware."""
    yield from part("BMC", BMC, before, after, lambda one: f"the one at {one.v4 or one.v6 or 'no address'}")


def part(
    name: str, fields: tuple[str, ...], before: Fact[Part], after: Fact[Part], words: Callable[[Part], str]
) -> Iterator[Difference]:
    """Of which a machine has one or none; one that is gone is a fault."""
    if isinstance(before, Unknown) or isinstance(after, Unknown):
        return
    if before is not None and after is not None:
        yield from each_changed(name, name, before, after, fields)
    else:
        told = [None if one is None else words(one) for one in (before, after)]
        yield from changed(name, f"{name}.PRESENCE", *told, weight="fault" if after is None else "change")
