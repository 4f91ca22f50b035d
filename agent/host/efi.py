# SPDX-License-Identifier: Apache-2.0
"""The door to the firmware's variables: efivarfs, of the global namespace (UEFI 2.10, section 3.3) alone.

The kernel lets `Boot####` and `BootOrder` be changed and removed as they are: it knows what is valid in them, and
makes immutable only what it does not know (drivers/firmware/efi/vars.c, variable_validate).
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

from agent.errors import DeviceError
from agent.host.doors import Files
from agent.host.files import doing, opened

VARIABLES = "/sys/firmware/efi/efivars"
GLOBAL = "8be4df61-93ca-11d2-aa0d-00e098032b8c"
ATTRIBUTE_BYTES = 4
KEPT = (7).to_bytes(ATTRIBUTE_BYTES, "little")
"""Non-volatile, for boot services and for the system that runs (section 8.2)."""


class RealEfi:
    """`doors.Efi` over efivarfs."""

    def __init__(self, files: Files) -> None:
        self._files = files

    def is_there(self) -> bool:
        """Whether the kernel was booted by UEFI."""
        return self._files.exists("/sys/firmware/efi")

    def names(self) -> tuple[str, ...]:
        """Without their namespace, sorted."""
        found = self._files.names(VARIABLES)
        if not found and self.is_there():
            raise DeviceError("reading the firmware's variables", f"efivarfs is not mounted on {VARIABLES}")
        return tuple(name.removesuffix(f"-{GLOBAL}") for name in found if name.endswith(f"-{GLOBAL}"))

    def read(self, name: str) -> bytes:
        """Its content, behind its attributes."""
        return self._files.read_bytes(f"{VARIABLES}/{name}-{GLOBAL}")[ATTRIBUTE_BYTES:]

    def write(self, name: str, data: bytes) -> None:
        """In one write(2), which is one SetVariable(); half a write would be half a variable."""
        content = KEPT + data
        with doing(f"writing the firmware's variable {name}"), opened(self._at(name), os.O_WRONLY | os.O_CREAT) as fd:
            if os.write(fd, content) != len(content):
                raise OSError(errno.EIO, "the firmware took a part of it")

    def remove(self, name: str) -> None:
        """One that is not there is fine."""
        with doing(f"removing the firmware's variable {name}"):
            self._at(name).unlink(missing_ok=True)

    def _at(self, name: str) -> Path:
        return Path(self._files.real_path(f"{VARIABLES}/{name}-{GLOBAL}"))
