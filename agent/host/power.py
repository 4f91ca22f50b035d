# SPDX-License-Identifier: Apache-2.0
"""The door to power: the end of this boot, by systemd where it runs, by reboot(2) where it does not."""

from __future__ import annotations

import ctypes
import os

from agent.errors import HostError
from agent.host.doors import Files, Run

# linux/reboot.h
RESTART = 0x01234567
POWER_OFF = 0x4321FEDC


class RealPower:
    """`doors.Power` over the operating system."""

    def __init__(self, run: Run, files: Files) -> None:
        self._run = run
        self._files = files

    def reboot(self) -> None:
        """Restart the machine."""
        self._order("reboot", RESTART)

    def power_off(self) -> None:
        """Switch the machine off."""
        self._order("poweroff", POWER_OFF)

    def _order(self, verb: str, command: int) -> None:
        if self._files.exists("/run/systemd/system"):  # sd_booted(3)
            self._run(["systemctl", "--no-block", verb])
        else:
            order_kernel(verb, command)


def order_kernel(verb: str, command: int) -> None:
    """sync(2), then reboot(2), which on success does not come back."""
    os.sync()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.reboot(ctypes.c_int(command - (1 << 32) if command >> 31 else command)) != 0:
        raise HostError(f"asking the kernel for {verb}", os.strerror(ctypes.get_errno()))
