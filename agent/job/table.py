# SPDX-License-Identifier: Apache-2.0
"""The state table of a job: which moves are legal. Everything else is a fault of ours and raises."""

from __future__ import annotations

from agent.errors import AgentError
from agent.model.job import JobState

MOVES: dict[JobState, frozenset[JobState]] = {
    JobState.ACCEPTED: frozenset({JobState.RUNNING, JobState.FAILED}),
    JobState.RUNNING: frozenset({JobState.RUNNING, JobState.SUCCEEDED, JobState.FAILED}),
    JobState.SUCCEEDED: frozenset(),
    JobState.FAILED: frozenset(),
}
"""RUNNING → RUNNING is a run that was interrupted and begins again."""


def move(now: JobState, to: JobState) -> JobState:
    """`to`, if the table allows it."""
    if to not in MOVES[now]:
        raise AgentError(f"moving a job from {now} to {to}", "the state table does not allow it")
    return to
