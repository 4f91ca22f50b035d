# SPDX-License-Identifier: Apache-2.0
"""`bmsctl job`: what takes time."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import typer

from agent.bmsctl.answers import Job
from agent.bmsctl.client import Client, read
from agent.bmsctl.named import escaped
from agent.bmsctl.show import Json, client_of, console, facts, gigabytes, show, show_json
from agent.bmsctl.watch import timeline, watch
from agent.model.job import Progress

app = typer.Typer(no_args_is_help=True, help="Jobs: what was ordered and takes time.")


@app.command("show")
def show_job(context: typer.Context, job_id: str, json: Json = False) -> None:
    """A job with its timeline."""
    answer = client_of(context).get(f"/v1/jobs/{escaped(job_id)}")
    job = read(Job, answer)
    about = facts(
        {
            "job": job.job_id,
            "operation": job.operation,
            "status": job.status,
            "server": job.entities.get("server_id"),
            "node": job.entities.get("node_id"),
            "progress": progress_text(job.progress),
            "fault": f"{job.fault.code}: {job.fault.message}" if job.fault else None,
        }
    )
    show(answer, json, about, timeline(job, datetime.now(UTC)))


def progress_text(progress: Progress | None) -> str | None:
    """How far the step under way is, and what holds it up."""
    if progress is None:
        return None
    if progress.said is not None:
        return f"{progress.step}: {progress.said}"
    share = f" ({progress.done_bytes / progress.total_bytes:.0%})" if progress.total_bytes else ""
    limit = f", limited by {progress.limited_by}" if progress.limited_by else ""
    return f"{progress.step} {gigabytes(progress.done_bytes)}{share}{limit}"


@app.command("wait")
def wait_job(context: typer.Context, job_id: str, json: Json = False) -> None:
    """Wait until a job is over; its fault is the exit status."""
    follow(client_of(context), job_id, json)


def follow(client: Client, job_id: str, as_json: bool) -> None:
    """Watch it to its end, on the terminal's other channel if the answer is for a program."""
    terminal = console()
    if as_json:
        terminal.stderr = True
    watch(client.silent, job_id, terminal)
    if as_json:
        show_json(client.get(f"/v1/jobs/{escaped(job_id)}"))


def began(client: Client, answer: Any, what: str, *, wait: bool, as_json: bool) -> None:
    """An order was taken: say so, and follow it if that is wanted."""
    if not (wait and as_json):
        show(answer, as_json, f"{what}: job {answer['job_id']}")
    if wait:
        follow(client, answer["job_id"], as_json)
