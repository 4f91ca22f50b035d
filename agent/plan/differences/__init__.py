# SPDX-License-Identifier: Apache-2.0
"""What has become of a machine: two inventories in full → the differences that somebody should know of. Pure.

Counters, temperatures, free space, addresses, and whatever else changes by itself, is no difference. What was unknown
before, or is now, is none either; but a whole part that could be read once and cannot be read now is told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from agent.model.difference import Difference
from agent.model.fact import Unknown
from agent.model.hardware import Hardware
from agent.plan.differences import board, devices

WEIGHTS = ("fault", "change", "note")
PARTS: dict[str, Callable[[Any, Any], Iterator[Difference]]] = {
    "system": board.system,
    "cpu": board.cpu,
    "memory": board.memory,
    "firmware": board.firmware,
    "tpm": board.tpm,
    "bmc": board.bmc,
    "disks": devices.disks,
    "nics": devices.nics,
    "pci_devices": devices.pci,
    "usb_devices": devices.usb,
}


def differences(before: Hardware, after: Hardware) -> tuple[Difference, ...]:
    """Faults first; the rest in the order of the parts."""
    found = [one for part, compare in PARTS.items() for one in of_part(part, compare, before, after)]
    return tuple(sorted(found, key=lambda one: WEIGHTS.index(one.weight)))


def of_part(
    part: str, compare: Callable[[Any, Any], Iterator[Difference]], before: Hardware, after: Hardware
) -> Iterator[Difference]:
    """Of a part that is known in both."""
    was, now = getattr(before, part), getattr(after, part)
    if isinstance(was, Unknown):
        return
    if isinstance(now, Unknown):
        code = f"{part.upper()}.UNREADABLE"
        yield Difference(code=code, weight="fault", what=f"{part.replace('_', ' ')}: {now}")
        return
    yield from compare(was, now)
