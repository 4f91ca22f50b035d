# SPDX-License-Identifier: Apache-2.0
"""A `Doer` for tests: a disk that is a number, on a host whose death can be planned."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

from agent.errors import DeviceError, DiskChanged
from agent.host.fake import FakeHost
from agent.job.executor import Executor
from agent.job.journal import Journal
from agent.job.outbox import Outbox
from agent.model.disk import DiskIdentity
from agent.model.job import Advance, Result
from agent.model.plan import DiskMustBe, Epilogue, EraseDisk, EraseDisks, Plan, Precondition, Step
from agent.model.request import EraseRequest, PowerOffRequest, RebootRequest, Request
from tests.hardware import SSD

DIRECTORY = "/var/lib/bms-agent"
ERASE = EraseRequest(request_id="erase-1", node_id="node-1")
STEP = EraseDisks(erasures=(EraseDisk(disk=SSD.identity, sample_offsets=(0,), sample_bytes=1),), at_once=1)


@dataclass
class OneDisk:
    """Erasing counts; planning remembers what it was told had begun."""

    erased: int = 0
    fails: bool = False
    holds: int = 1 << 30
    begun: list[tuple[DiskIdentity, ...]] = field(default_factory=list)
    ended: list[Epilogue] = field(default_factory=list)

    def plan(self, request: Request, begun: tuple[DiskIdentity, ...]) -> Plan:
        """Two erasures; a reboot for the power verbs."""
        self.begun.append(begun)
        if isinstance(request, RebootRequest | PowerOffRequest):
            return Plan(epilogue=Epilogue.REBOOT)
        return Plan(preconditions=(DiskMustBe(disk=SSD.identity),), steps=(STEP, STEP))

    def alone(self, plan: Plan) -> AbstractContextManager[None]:
        """There is nobody else."""
        return nullcontext()

    def hold(self, precondition: Precondition) -> None:
        """Everything holds, so many times."""
        self.holds -= 1
        if self.holds < 0:
            raise DiskChanged("checking the disk", "another disk is at its path")

    def do(self, step: Step, advance: Advance) -> Result:
        """Erase."""
        advance(1, 2)
        if self.fails:
            raise DeviceError(f"erasing {SSD.path}", "medium error")
        self.erased += 1
        return {"erased": self.erased}

    def end(self, epilogue: Epilogue) -> None:
        """Note it."""
        self.ended.append(epilogue)


def process(host: FakeHost, doer: OneDisk, boot_id: str = "boot-1") -> tuple[Executor, Outbox]:
    """What a process of the agent has after its start."""
    outbox = Outbox(host.files, DIRECTORY, "stream-1")
    journal = Journal(host.files, DIRECTORY)
    return Executor(doer, journal, outbox, host.clock, boot_id), outbox
