# SPDX-License-Identifier: Apache-2.0
"""Doing `SelectBoot` and `ForgetBoot`: the firmware's variables, each read back after it was written.

Whatever interrupts it, every entry that the order names is there: an entry is written before the order names it, and
removed after the order has lost it.
"""

from __future__ import annotations

from agent.errors import ChangeUnderWay, DeviceError
from agent.host.device_doors import Efi
from agent.host.doors import Host
from agent.model.efi import decode_order, encode_order
from agent.model.job import Result
from agent.model.plan import ForgetBoot, SelectBoot

ORDER = "BootOrder"


def select_boot(host: Host, step: SelectBoot) -> Result:
    """Returns the entry and where it leads to. Raises `HostError`, `ChangeUnderWay`."""
    entry = step.entry
    if entry.name not in host.efi.names():
        put(host.efi, entry.name, entry.raw)
    elif host.efi.read(entry.name) != entry.raw:
        raise ChangeUnderWay(f"writing {entry}", f"there is another {entry.name} now")
    put_in_order(host.efi, step.before, step.order)
    return {"boot entry": str(entry)}


def forget_boot(host: Host, step: ForgetBoot) -> Result:
    """Returns the entries that are gone. Raises `HostError`, `ChangeUnderWay`."""
    names = host.efi.names()
    there = [entry for entry in step.entries if entry.name in names]
    for entry in there:
        if host.efi.read(entry.name) != entry.raw:
            raise ChangeUnderWay(f"removing {entry}", f"there is another {entry.name} now")
    put_in_order(host.efi, step.before, step.order)
    for entry in there:
        host.efi.remove(entry.name)
    left = [entry.name for entry in there if entry.name in host.efi.names()]
    if left:
        raise DeviceError("removing boot entries", f"the firmware still has {', '.join(left)}")
    return {f"forgot {entry.name}": str(entry) for entry in step.entries}


def put_in_order(efi: Efi, before: tuple[int, ...], order: tuple[int, ...]) -> None:
    """Set the order, unless it is set, or somebody else has changed it since it was planned."""
    now = decode_order(efi.read(ORDER)) if ORDER in efi.names() else ()
    if now == order:
        return
    if now != before:
        raise ChangeUnderWay("setting the boot order", f"it was {numbers(before)}, and now it is {numbers(now)}")
    put(efi, ORDER, encode_order(order))


def put(efi: Efi, name: str, data: bytes) -> None:
    """Write, and read back: firmware has been seen to say yes and to keep what it likes."""
    efi.write(name, data)
    kept = efi.read(name) if name in efi.names() else None
    if kept != data:
        told = "nothing" if kept is None else f"{len(kept)} other bytes"
        raise DeviceError(f"writing the firmware's variable {name}", f"it has kept {told}")


def numbers(order: tuple[int, ...]) -> str:
    """As firmware's menus write them."""
    return ",".join(f"{number:04X}" for number in order) or "empty"
