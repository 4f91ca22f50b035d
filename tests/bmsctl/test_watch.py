# SPDX-License-Identifier: Apache-2.0
"""Following a job: line by line, on a terminal, through an outage of the controller, to its end or its fault."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rich.console import Console

from agent.bmsctl.answers import Job
from agent.bmsctl.client import JobFailed
from agent.bmsctl.job import progress_text
from agent.bmsctl.watch import Answers, bar, timeline, watch
from agent.errors import LinkError
from agent.model.job import Progress

BEGIN = datetime(2026, 5, 1, 12, 0, 0, tzinfo=UTC)


def at(seconds: float) -> str:
    """A time of the job."""
    return (BEGIN + timedelta(seconds=seconds)).isoformat()


def phase(name: str, began: float, ended: float | None) -> dict[str, Any]:
    """A line of its timeline."""
    return {"name": name, "began_at": at(began), "ended_at": None if ended is None else at(ended)}


def job(status: str, *phases: dict[str, Any], **more: Any) -> dict[str, Any]:
    """What the controller answers."""
    facts: dict[str, Any] = {
        "job_id": "j",
        "operation": "create",
        "status": status,
        "entities": {},
        "begin_time": at(0),
        "end_time": None,
        "fault": None,
        "phases": phases,
        "progress": None,
    }
    return facts | more


WRITING = {"request_id": "r", "step": "write_image", "done_bytes": 500_000_000, "total_bytes": 1_000_000_000}
STORY = [
    job("INIT", phase("waiting for the agent", 0, None)),
    job("RUNNING", phase("waiting for the agent", 0, 3), phase("write_image", 3, None), progress=WRITING),
    LinkError("calling the controller", "it is away"),
    job("SUCCESS", phase("waiting for the agent", 0, 3), phase("write_image", 3, 63.5), end_time=at(63.5)),
]
FAILURE = job(
    "FAIL",
    phase("write_image", 0, 9),
    end_time=at(9),
    fault={"code": "IMAGE.DIGEST_MISMATCH", "message": "writing image to /dev/sda: not the image", "hint": "Register."},
)


class Told:
    """A controller that answers what it was told to."""

    def __init__(self, story: list[Any]) -> None:
        self._story: Iterator[Any] = iter(story)
        self.pauses: list[float] = []

    def get(self, path: str, **query: str) -> Any:
        """The next answer."""
        answer = next(self._story)
        if isinstance(answer, Exception):
            raise answer
        return answer


def followed(story: list[Any], *, terminal: bool) -> str:
    """What is shown of it."""
    told, out = Told(story), io.StringIO()
    answers: Answers = told
    console = Console(file=out, force_terminal=terminal, width=100, color_system=None)
    watch(answers, "j", console, pause=told.pauses.append)
    return out.getvalue()


def test_lines() -> None:
    """Where nobody looks on: a line a phase when it has ended, one for an outage, which is waited out, and one at the
    end."""
    assert followed(STORY, terminal=False).splitlines() == [
        "   3.0 s  ✔ waiting for the agent",
        "the controller does not answer: it is waited for",
        "  60.5 s  ✔ write_image",
        "create done after 63.5 s",
    ]


def test_terminal() -> None:
    """On a terminal: the timeline and a bar while it is written, and no bar at the end."""
    shown = followed(STORY, terminal=True)

    assert "500 MB 50%" in shown
    assert "the controller does not answer" in shown and "the controller" not in shown.rpartition("\x1b[2K")[2]
    assert "write_image" in shown.rpartition("\x1b[2K")[2]
    assert "500 MB" not in shown.rpartition("\x1b[2K")[2]
    assert "create done after 63.5 s" in shown


def test_a_fault_is_raised() -> None:
    """As the job has it, so that the exit status is its own."""
    with pytest.raises(JobFailed) as failed:
        followed([FAILURE], terminal=False)

    assert failed.value.fault.code == "IMAGE.DIGEST_MISMATCH"
    assert failed.value.hint == "Register."


def test_the_failed_phase_is_marked() -> None:
    """The last one, and no other."""
    text = render(lambda: timeline(Job.model_validate(FAILURE), BEGIN))

    assert "✘  write_image" in text


@pytest.mark.parametrize(("total", "shown"), [(1_000_000_000, "500 MB 50%"), (None, "500 MB")])
def test_bar(total: int | None, shown: str) -> None:
    """With a share where the whole is known."""
    progress = Progress(request_id="r", step="write_image", done_bytes=500_000_000, total_bytes=total)

    assert shown in render(lambda: bar(progress))


def test_a_step_that_counts_no_bytes() -> None:
    """It says in its own words how far it is, and nothing of megabytes."""
    progress = Progress(request_id="r", step="validate", limited_by="cpu.load: cpu, 3 of 10 s")
    text = render(lambda: bar(progress))

    assert "validate" in text and "cpu.load: cpu, 3 of 10 s" in text and "MB" not in text and "limited" not in text
    assert progress_text(progress) == "validate: cpu.load: cpu, 3 of 10 s"


def render(make: Callable[[], Any]) -> str:
    """As text."""
    out = io.StringIO()
    Console(file=out, width=100, color_system=None).print(make())
    return out.getvalue()
