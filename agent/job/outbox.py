# SPDX-License-Identifier: Apache-2.0
"""The outbox: reports that the controller has not confirmed yet, in order, numbered, delivered until acknowledged.

Final reports are never dropped. Reports of a step begun are; when more than `BOUND` wait, the oldest of them go.
"""

from __future__ import annotations

from threading import Condition, Event
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from agent.errors import HostError
from agent.host.doors import Clock, Files
from agent.job.log import Log
from agent.model.frozen import Frozen
from agent.model.job import JobReport, SequencedReport
from agent.program.log import Logger

BOUND = 256
log = Logger("job")


class Opened(Frozen):
    """The outbox of this stream; `next_sequence` goes on where the file was compacted."""

    kind: Literal["opened"] = "opened"
    stream_id: str
    next_sequence: int
    reported: tuple[str, ...] = Field(default=(), description="requests whose final report was put in")


class Put(Frozen):
    """A report waits."""

    kind: Literal["put"] = "put"
    sequenced: SequencedReport


class Confirmed(Frozen):
    """The controller holds everything up to this sequence."""

    kind: Literal["confirmed"] = "confirmed"
    sequence: int


Slip = Annotated[Opened | Put | Confirmed, Field(discriminator="kind")]
SLIP: TypeAdapter[Slip] = TypeAdapter(Slip)


class Outbox:
    """One node's outbox. Put by the executor's thread, confirmed by the delivery's."""

    def __init__(self, files: Files, directory: str, new_stream_id: str) -> None:
        """`new_stream_id` names the stream if there is none yet."""
        self._log: Log[Slip] = Log(files, f"{directory}/outbox.log", SLIP)
        self._changed = Condition()
        self._waiting: list[SequencedReport] = []
        self._reported: list[str] = []
        self.stream_id = new_stream_id
        self._next = 1
        slips = self._log.replay()
        for slip in slips:
            self._learn(slip)
        self._is_named = self._compact() or any(isinstance(slip, Opened) for slip in slips)

    def put(self, report: JobReport) -> None:
        """Queue a report, durably. The stream's name comes first, where it could not be written down at the start: in
        another stream what was delivered would be delivered once more, as something new.
        """
        with self._changed:
            if not self._is_named:
                self._log.append(self._opened())
                self._is_named = True
            slip = Put(sequenced=SequencedReport(sequence=self._next, report=report))
            self._log.append(slip)
            self._learn(slip)
            self._changed.notify_all()

    def reported(self, request_id: str) -> bool:
        """Whether a final report of this request was ever put in."""
        return request_id in self._reported

    def pending(self) -> tuple[SequencedReport, ...]:
        """What waits, oldest first."""
        with self._changed:
            return tuple(self._waiting)

    def confirm(self, sequence: int) -> None:
        """The controller holds everything up to `sequence`; a late or doubled confirmation changes nothing. One that
        cannot be written down is known until the next start: then it is all delivered again, which does no harm.
        """
        with self._changed:
            if not self._waiting or sequence < self._waiting[0].sequence:
                return
            self._learn(Confirmed(sequence=sequence))
            if self._waiting or not self._compact():
                self._note(Confirmed(sequence=sequence))
            self._changed.notify_all()

    def wait_empty(self, clock: Clock, stop: Event) -> bool:
        """Wait until everything is confirmed; False if stopped before."""
        while self.pending():
            if clock.wait(stop, 0.1):
                return False
        return True

    def _learn(self, slip: Slip) -> None:
        match slip:
            case Opened():
                self.stream_id, self._next, self._reported = slip.stream_id, slip.next_sequence, list(slip.reported)
            case Put(sequenced=sequenced):
                self._waiting.append(sequenced)
                self._next = sequenced.sequence + 1
                if sequenced.report.state.final:
                    self._reported.append(sequenced.report.request_id)
                self._waiting = bounded(self._waiting)
            case Confirmed(sequence=sequence):
                self._waiting = [one for one in self._waiting if one.sequence > sequence]

    def _note(self, slip: Confirmed) -> None:
        try:
            self._log.append(slip)
        except HostError as error:
            log.warning("a confirmation is not written down", error=str(error))

    def _opened(self) -> Opened:
        return Opened(stream_id=self.stream_id, next_sequence=self._next, reported=tuple(self._reported[-BOUND:]))

    def _compact(self) -> bool:
        return self._log.compact([self._opened(), *(Put(sequenced=one) for one in self._waiting)])


def waiting_in(files: Files, directory: str) -> tuple[SequencedReport, ...]:
    """What waits in an outbox, oldest first, for whoever only looks. Raises as opening does."""
    waiting: dict[int, SequencedReport] = {}
    for slip in Log(files, f"{directory}/outbox.log", SLIP).peek():
        match slip:
            case Put(sequenced=one):
                waiting[one.sequence] = one
            case Confirmed(sequence=sequence):
                waiting = {number: one for number, one in waiting.items() if number > sequence}
    return tuple(bounded(list(waiting.values())))


def bounded(waiting: list[SequencedReport]) -> list[SequencedReport]:
    """At most `BOUND`, as long as there is one to drop that is not final."""
    surplus = len(waiting) - BOUND
    if surplus <= 0:
        return waiting
    droppable = [one.sequence for one in waiting if not one.report.state.final][:surplus]
    return [one for one in waiting if one.sequence not in droppable]
