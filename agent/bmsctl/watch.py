# SPDX-License-Identifier: Apache-2.0
"""Watching a job: its timeline as it grows, with a progress bar on a terminal and a line a phase elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import Any, Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from agent.bmsctl.answers import Job, Phase
from agent.bmsctl.client import JobFailed, read
from agent.errors import LinkError
from agent.model.fault import Fault
from agent.model.job import Progress
from agent.program.streams import tell
from agent.program.wait import waiting_if_late

PERIOD_S = 1.0
AWAY = "the controller does not answer: it is waited for"
MARKS = {"SUCCESS": ("✔", "green"), "FAIL": ("✘", "bold red")}


class Answers(Protocol):
    """Who can be asked: the client."""

    def get(self, path: str, **query: str) -> Any:
        """Read."""
        ...


def watch(client: Answers, job_id: str, console: Console, pause: Callable[[float], None] = time.sleep) -> Job:
    """Until the job is over. A controller that is away for a while is waited for. Raises `JobFailed`."""
    shown = _Lines(console) if not console.is_terminal else _Screen(console)
    try:
        with waiting_if_late("waiting for the controller"):
            job = _look(client, job_id)
        with shown:
            while job is None or not job.over:
                if job is None:
                    shown.away()
                else:
                    shown.update(job)
                pause(PERIOD_S)
                job = _look(client, job_id)
            shown.update(job)
    except KeyboardInterrupt:
        tell(f"what was ordered goes on: bmsctl job show {job_id}\n")
        raise
    if job.status == "FAIL":
        raise JobFailed(job.fault or Fault(code="JOB.FAILED", message=f"waiting for job {job_id}: it failed"))
    return job


def _look(client: Answers, job_id: str) -> Job | None:
    try:
        return read(Job, client.get(f"/v1/jobs/{job_id}"))
    except LinkError:
        return None


def timeline(job: Job, now: datetime) -> RenderableType:
    """Phases with their seconds; the one under way is the last."""
    table = Table.grid(padding=(0, 2))
    for phase in job.phases:
        mark, style = mark_of(phase, job)
        table.add_row(Text(mark, style=style), Text(phase.name), Text(seconds(phase, now), style="dim"))
    return table


def mark_of(phase: Phase, job: Job) -> tuple[str, str]:
    """Done, failed, or under way."""
    if phase.ended_at is None:
        return "…", "yellow"
    last = phase is job.phases[-1]
    return MARKS["FAIL"] if last and job.status == "FAIL" else MARKS["SUCCESS"]


def seconds(phase: Phase, now: datetime) -> str:
    """How long it took, or takes."""
    return f"{max(0.0, ((phase.ended_at or now) - phase.began_at).total_seconds()):6.1f} s"


def total(job: Job) -> str:
    """What came of it, in one line."""
    took = (job.end_time - job.begin_time).total_seconds() if job.end_time else 0.0
    return f"{job.operation} {'done' if job.status == 'SUCCESS' else 'failed'} after {took:.1f} s"


class _Screen:
    """On a terminal: the whole timeline, drawn again each second."""

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, auto_refresh=False)
        self._drawn: RenderableType = Group()

    def __enter__(self) -> None:
        self._live.start()

    def __exit__(self, *_reason: object) -> None:
        self._live.stop()

    def update(self, job: Job) -> None:
        """Draw it."""
        now = datetime.now(job.begin_time.tzinfo)
        parts: list[RenderableType] = [timeline(job, now)]
        if job.progress is not None and not job.over:
            parts.append(bar(job.progress))
        if job.over:
            parts.append(Text(total(job), style=MARKS.get(job.status, ("", ""))[1]))
        self._drawn = Group(*parts)
        self._live.update(self._drawn, refresh=True)

    def away(self) -> None:
        """Say so below what was seen last."""
        self._live.update(Group(self._drawn, Text(AWAY, style="yellow")), refresh=True)


class _Lines:
    """Elsewhere: a line when a phase has ended, and one at the end."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._told = 0
        self._away = False

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_reason: object) -> None:
        pass

    def update(self, job: Job) -> None:
        """Tell what is new."""
        ended = [phase for phase in job.phases if phase.ended_at is not None]
        for phase in ended[self._told :]:
            self._console.print(f"{seconds(phase, job.begin_time)}  {mark_of(phase, job)[0]} {phase.name}")
        self._told = len(ended)
        self._away = False
        if job.over:
            self._console.print(total(job))

    def away(self) -> None:
        """Say so once."""
        if not self._away:
            self._console.print(AWAY)
        self._away = True


def bar(progress: Progress) -> RenderableType:
    """How far the step under way is."""
    done, whole = progress.done_bytes, progress.total_bytes
    grid = Table.grid(padding=(0, 2))
    if progress.said is not None:
        grid.add_row(Text(f"  {progress.step}"), ProgressBar(width=40, pulse=True), Text(progress.said, style="dim"))
        return grid
    share = f"{done / whole:.0%}" if whole else ""
    grid.add_row(
        Text(f"  {progress.step}"),
        ProgressBar(total=whole, completed=done, width=40, pulse=not whole),
        Text(f"{done / 1000**2:,.0f} MB {share}", style="dim"),
    )
    if progress.limited_by:
        grid.add_row("", Text(f"limited by {progress.limited_by}", style="dim"), "")
    return grid
