# SPDX-License-Identifier: Apache-2.0
"""The fake doors to those who are only listened to: the BMC, and switches at the other end of the cables.

`machine.bmc` has its answers by request (netfn, command, data); `machine.announcements` what is heard by link.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from agent.errors import DeviceError
from agent.host.fake.faults import FakeDoor, counted

INVALID_COMMAND = b"\xc1"


class FakeIpmi(FakeDoor):
    """`doors.Ipmi` that has learnt its answers; it refuses what it was not taught. Without a `bmc`, there is none."""

    noun = "ipmi"
    failure = DeviceError

    @counted
    def is_there(self) -> bool:
        """If the machine has one."""
        return self.machine.bmc is not None

    @counted
    def ask(self, netfn: int, command: int, data: bytes) -> bytes:
        """As learnt."""
        if self.machine.bmc is None:
            raise DeviceError("asking the BMC", "No such file or directory")
        return self.machine.bmc.get(bytes([netfn, command]) + data, INVALID_COMMAND)


class FakeLldp(FakeDoor):
    """`doors.Lldp`: who announces itself does so at once; waiting for the others takes the machine's time."""

    noun = "lldp"

    def __call__(self, links: Sequence[str], timeout_s: float) -> Mapping[str, bytes]:
        """One counted call."""
        return self.hear(tuple(links), timeout_s)

    @counted
    def hear(self, links: Sequence[str], timeout_s: float) -> Mapping[str, bytes]:
        """What is announced on links that are up."""
        found = self.machine.announcements
        heard = {name: found[name] for name in links if name in found and self.machine.links[name].up}
        if len(heard) < len(links):
            self.machine.uptime_s += timeout_s
        return heard
