# SPDX-License-Identifier: Apache-2.0
"""The journal: what each request came to. Written before acting; replayed at start for reporting, never to continue.

It holds no secret: of a request only its id, its verb and a digest; of a plan only the disks it writes to.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from typing import Annotated, Literal, assert_never

from pydantic import Field, TypeAdapter

from agent.host.doors import Files
from agent.job.log import Log
from agent.job.table import move
from agent.model.disk import DiskIdentity
from agent.model.fault import Fault
from agent.model.frozen import Frozen, said
from agent.model.job import JobState
from agent.model.plan import Epilogue
from agent.model.request import Request

KEPT = 32
"""Ended jobs whose results are kept: a request served again within that many is answered from here."""


class Accepted(Frozen):
    """A request was taken."""

    kind: Literal["accepted"] = "accepted"
    request_id: str
    verb: str
    digest: str


class Begun(Frozen):
    """Its plan holds, and its first step is about to act on these disks."""

    kind: Literal["begun"] = "begun"
    request_id: str
    disks: tuple[DiskIdentity, ...]
    epilogue: Epilogue | None


class StepBegun(Frozen):
    """A step is about to act."""

    kind: Literal["step_begun"] = "step_begun"
    request_id: str
    step: str


class Ended(Frozen):
    """It came to this, in this boot."""

    kind: Literal["ended"] = "ended"
    request_id: str
    state: JobState
    boot_id: str
    fault: Fault | None = None
    result: dict[str, str | int] = Field(default_factory=dict)


Entry = Annotated[Accepted | Begun | StepBegun | Ended, Field(discriminator="kind")]
ENTRY: TypeAdapter[Entry] = TypeAdapter(Entry)


@dataclass(frozen=True)
class Job:
    """What the journal knows of one request."""

    request_id: str
    verb: str
    digest: str
    state: JobState = JobState.ACCEPTED
    disks: tuple[DiskIdentity, ...] = ()
    epilogue: Epilogue | None = None
    step: str | None = None
    boot_id: str | None = None
    fault: Fault | None = None
    result: dict[str, str | int] = field(default_factory=dict)

    def entries(self) -> list[Entry]:
        """The shortest journal that says the same."""
        entries: list[Entry] = [Accepted(request_id=self.request_id, verb=self.verb, digest=self.digest)]
        if self.state in (JobState.RUNNING, JobState.SUCCEEDED) or self.disks or self.epilogue:
            entries.append(Begun(request_id=self.request_id, disks=self.disks, epilogue=self.epilogue))
        if self.state.final and self.boot_id is not None:
            entries.append(
                Ended(
                    request_id=self.request_id,
                    state=self.state,
                    boot_id=self.boot_id,
                    fault=self.fault,
                    result=self.result,
                )
            )
        return entries


class Journal:
    """The journal of one node. One writer; opening it replays and compacts."""

    def __init__(self, files: Files, directory: str) -> None:
        self._log: Log[Entry] = Log(files, f"{directory}/journal.log", ENTRY)
        self._jobs: dict[str, Job] = {}
        for entry in self._log.replay():
            self._learn(entry)
        self._compact()

    def job(self, request_id: str) -> Job | None:
        """What is known of that request."""
        return self._jobs.get(request_id)

    def write(self, entry: Entry) -> Job:
        """Make it durable, then known. Illegal moves raise before anything is written."""
        after = learned(self._jobs.get(entry.request_id), entry)
        self._log.append(entry)
        self._jobs[entry.request_id] = after
        return after

    def _learn(self, entry: Entry) -> None:
        self._jobs[entry.request_id] = learned(self._jobs.get(entry.request_id), entry)

    def _compact(self) -> None:
        ended = [name for name, job in self._jobs.items() if job.state.final]
        for name in ended[:-KEPT]:
            del self._jobs[name]
        self._log.compact([entry for job in self._jobs.values() for entry in job.entries()])


def recalled(files: Files, directory: str) -> tuple[Job, ...]:
    """What a journal says, oldest first, for whoever only looks: its writer may be at work. Raises as opening does."""
    jobs: dict[str, Job] = {}
    for entry in Log(files, f"{directory}/journal.log", ENTRY).peek():
        jobs[entry.request_id] = learned(jobs.get(entry.request_id), entry)
    return tuple(jobs.values())


def learned(job: Job | None, entry: Entry) -> Job:
    """The job after this entry: the fold of the journal."""
    if isinstance(entry, Accepted):
        return job or Job(entry.request_id, entry.verb, entry.digest)
    assert job is not None, f"{entry.kind} of a request that was never accepted"
    match entry:
        case Begun():
            return replace(job, state=move(job.state, JobState.RUNNING), disks=entry.disks, epilogue=entry.epilogue)
        case StepBegun():
            return replace(job, step=entry.step)
        case Ended():
            return replace(
                job, state=move(job.state, entry.state), boot_id=entry.boot_id, fault=entry.fault, result=entry.result
            )
    assert_never(entry)


def digest(request: Request) -> str:
    """Of the whole request, secrets included: the same id may not come back with other content. What is by default so
    is not in it: an agent that was brought up to date in the middle of a request knows it again.
    """
    return hashlib.sha256(json.dumps(said(request), sort_keys=True).encode()).hexdigest()


def former_digest(request: Request) -> str:
    """The same, as agents up to 0.1.0 wrote it."""
    return hashlib.sha256(request.model_dump_json().encode()).hexdigest()
