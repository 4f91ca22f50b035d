# SPDX-License-Identifier: Apache-2.0
"""`FakeHost`: a `Host` made from a recorded machine and a fault plan. For dry runs, simulators and tests.

machine = Machine.load(directory)
host = FakeHost.of(machine, FaultPlan(at=17, effect=Effect.DIE_AFTER))   # the agent's first process
…                                                                        # raises Died
host = FakeHost.of(machine)                                              # started again, on the same machine
machine.cut_power()                                                      # or after a power cut
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from agent.host.doors import Host
from agent.host.fake.datagrams import FakeDatagrams
from agent.host.fake.devices import FakeDrives, FakeEthtool, FakeTpm
from agent.host.fake.disk import FakeDisk
from agent.host.fake.doors import (
    FakeBlock,
    FakeClock,
    FakeCounters,
    FakeLock,
    FakePower,
    FakeUdev,
)
from agent.host.fake.efi import FakeEfi
from agent.host.fake.erasing import FakeErasers
from agent.host.fake.faults import Died, Effect, FaultPlan
from agent.host.fake.files import FakeFiles
from agent.host.fake.listening import FakeIpmi, FakeLldp
from agent.host.fake.load import FakePeer, FakeProcessors
from agent.host.fake.machine import Counts, Machine, Record
from agent.host.fake.network import FakeNetlink, FakeProbe
from agent.host.fake.packets import FakeNftables, FakeTraffic
from agent.host.fake.programs import FakeRun, Output, failing, saying, silent
from agent.host.fake.tree import LinkTo, Tree, Unreadable
from agent.host.fake.web import FakeFetch, Page

__all__ = [
    "Counts",
    "Died",
    "Effect",
    "FakeDisk",
    "FakeHost",
    "FaultPlan",
    "LinkTo",
    "Machine",
    "Output",
    "Page",
    "Record",
    "Tree",
    "Unreadable",
    "failing",
    "saying",
    "silent",
]


@dataclass(frozen=True)
class FakeHost(Host):
    """One process of the agent on a fake machine: the doors, and what is behind them."""

    machine: Machine
    faults: FaultPlan

    @classmethod
    def of(cls, machine: Machine, faults: FaultPlan | None = None) -> FakeHost:
        """The doors of this machine, for a process that just started: whatever another one held open is free."""
        faults = faults or FaultPlan()
        for disk in machine.disks.values():
            disk.opened_exclusively = False
        machine.locks.clear()
        return cls(
            run=FakeRun(machine, faults),
            files=FakeFiles(machine, faults),
            udev=FakeUdev(machine, faults),
            block=FakeBlock(machine, faults),
            netlink=FakeNetlink(machine, faults),
            probe=FakeProbe(machine, faults),
            datagrams=FakeDatagrams(machine, faults),
            lock=FakeLock(machine),
            nftables=FakeNftables(machine, faults),
            traffic=FakeTraffic(machine, faults),
            fetch=FakeFetch(machine, faults),
            power=FakePower(machine, faults),
            clock=FakeClock(machine),
            counters=FakeCounters(machine, faults),
            efi=FakeEfi(machine, faults),
            ipmi=FakeIpmi(machine, faults),
            lldp=FakeLldp(machine, faults),
            drives=FakeDrives(machine, faults),
            erasers=FakeErasers(machine, faults),
            ethtool=FakeEthtool(machine, faults),
            processors=FakeProcessors(machine, faults),
            peer=FakePeer(machine, faults),
            tpm=FakeTpm(machine, faults),
            machine=machine,
            faults=faults,
        )

    @classmethod
    def load(cls, directory: Path, faults: FaultPlan | None = None) -> FakeHost:
        """A recorded machine."""
        return cls.of(Machine.load(directory), faults)

    @classmethod
    def with_files(cls, files: Mapping[str, str | bytes | LinkTo | Unreadable]) -> FakeHost:
        """A machine that is nothing but these files."""
        return cls.of(Machine.of(Tree.of(files)))

    def restarted(self, faults: FaultPlan | None = None) -> FakeHost:
        """The agent's next process on the same machine."""
        return self.of(self.machine, faults)
