# SPDX-License-Identifier: Apache-2.0
"""Jobs as they are reported: states, progress, reports."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Protocol

from pydantic import Field

from agent.model.bounds import MOST
from agent.model.fault import Fault
from agent.model.frozen import Frozen

Result = dict[str, str | int]
"""What a step found out or made, for the job's final report."""


SILENT_S = 30.0
"""So long a drive may be busy with one order: a full cache, a range that it zeroes, a sector that it tries again."""
NO_ANSWER = "no answer for"
"""In the words for what holds a step up: a disk has had an order for longer than that."""


class Advance(Protocol):
    """Told by a step as it goes, from its own thread. It may raise: the step ends then."""

    def __call__(self, done_bytes: int, total_bytes: int | None, limited_by: str | None = None, /) -> None:
        """Bytes done, bytes in all where known, and what holds the step up, in words."""
        ...


class JobState(StrEnum):
    """Where a job stands; the legal moves are in `agent.job.table`."""

    ACCEPTED = "accepted"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"

    @property
    def final(self) -> bool:
        """No move leads out of it."""
        return self in (JobState.SUCCEEDED, JobState.FAILED)


class Progress(Frozen):
    """How far a step is. Best effort: the newest wins, a lost one is not missed."""

    request_id: str
    step: str = Field(description="the step's kind, such as write_image")
    done_bytes: int = 0
    total_bytes: int | None = None
    limited_by: str | None = Field(default=None, description="what holds it up, such as 'the disk, 510 MB/s'")

    @property
    def said(self) -> str | None:
        """Of a step that counts no bytes, such as a test of hardware: how far it is, in its own words."""
        return self.limited_by if not (self.done_bytes or self.total_bytes) else None


class JobReport(Frozen):
    """One durable fact about a job: a change of its state, or a step begun while it runs."""

    request_id: str
    verb: str
    state: JobState
    step: str | None = None
    fault: Fault | None = None
    result: dict[str, str | int] = Field(default_factory=dict)
    at: datetime


class SequencedReport(Frozen):
    """A report in the outbox: delivered again until acknowledged, dropped by the receiver if already seen."""

    sequence: int = Field(ge=1, le=MOST)
    report: JobReport
