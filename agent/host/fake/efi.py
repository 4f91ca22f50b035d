# SPDX-License-Identifier: Apache-2.0
"""The fake door to the firmware's variables: those of the machine, which a power cut leaves alone."""

from __future__ import annotations

from agent.errors import DeviceError
from agent.host.fake.faults import FakeDoor, counted


class FakeEfi(FakeDoor):
    """`doors.Efi` over `machine.variables`; `None` is a machine with a BIOS."""

    noun = "efi"
    failure = DeviceError

    @counted
    def is_there(self) -> bool:
        """Whether it has any."""
        return self.machine.variables is not None

    @counted
    def names(self) -> tuple[str, ...]:
        """Sorted."""
        return tuple(sorted(self._variables()))

    @counted
    def read(self, name: str) -> bytes:
        """What it holds."""
        if name not in self._variables():
            raise DeviceError(f"reading the firmware's variable {name}", "No such file or directory")
        return self._variables()[name]

    @counted
    def write(self, name: str, data: bytes) -> None:
        """All of it."""
        self._variables()[name] = bytes(data)

    @counted
    def remove(self, name: str) -> None:
        """Gone."""
        self._variables().pop(name, None)

    def _variables(self) -> dict[str, bytes]:
        if self.machine.variables is None:
            raise DeviceError("looking for the firmware's variables", "this machine has a BIOS")
        return self.machine.variables
