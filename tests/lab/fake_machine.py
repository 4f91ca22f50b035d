# SPDX-License-Identifier: Apache-2.0
"""A machine that only remembers what its BMC did to it."""

from __future__ import annotations

from typing import BinaryIO

from lab.boot_override import BootOverride
from lab.fault import LabFault
from lab.machine import MachineSpec


class FakeMachine:
    """Remembers its power, its boot order and what was pressed; with `broken` set, it does not start."""

    def __init__(self) -> None:
        self.spec = MachineSpec(name="m1")
        self.is_on = False
        self.boot_override = BootOverride()
        self.pressed: list[str] = []
        self.broken = False
        self.disc: str | None = None

    def power_on(self) -> None:
        if self.broken:
            raise LabFault("powering on m1: no such disk")
        self.is_on = True
        self.pressed.append("on")

    def power_off(self) -> None:
        self.is_on = False
        self.pressed.append("off")

    def reset(self) -> None:
        self.pressed.append("reset")

    def insert(self, url: str, content: BinaryIO) -> None:
        self.disc = url
        self.pressed.append(f"insert {len(content.read())}")

    def eject(self) -> None:
        self.disc = None
        self.pressed.append("eject")

    def press_power_button(self) -> None:
        self.pressed.append("button")
