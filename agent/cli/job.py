# SPDX-License-Identifier: Apache-2.0
"""Running a request by hand: the same table, planner, checker and executor as for the controller; a progress bar."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from json import dumps
from threading import Event, Thread
from typing import TYPE_CHECKING
from uuid import uuid4

import typer

from agent.cli.bar import bar
from agent.cli.exits import exit_status_of
from agent.cli.machine import must_be_real
from agent.cli.resident import settings_of
from agent.errors import AgentError, ConfigError
from agent.host.doors import Files, Host
from agent.host.identity import boot_id
from agent.job.executor import Executor
from agent.job.journal import Job, Journal
from agent.job.outbox import Outbox
from agent.model.fault import Fault
from agent.model.request import Request
from agent.operations import Operations
from agent.plan.text import text

if TYPE_CHECKING:
    from agent.apply.convert import Show
    from agent.config import Settings

    Drawn = Callable[[], AbstractContextManager[Show]]

BY_HAND = "by-hand"
BEGUN = {
    "image.deploy": "A disk that is not whole does not boot. The same command goes on where this one ended, or begins "
    "anew where its image's format knows no such place.",
    "disk.erase": "What is erased is gone, and nothing is proven of any disk; a drive that erases itself may still do "
    "so. The same command begins anew.",
    "image.capture": "The disk is as it was, and there is no image of it. The same command begins anew.",
    "hardware.validate": "Nothing is left behind.",
}
"""What is left of what was interrupted, and how to go on."""
OTHERS = "It is not done to its end: the same command with --plan shows what is left to do."
NOT_BEGUN = "Nothing was touched."
DIRECTORY = "/run/bms-agent/by-hand"


def new_request_id() -> str:
    """For a request that an operator makes."""
    return f"{BY_HAND}:{uuid4()}"


def perform(host: Host, request: Request, *, plan_only: bool, as_json: bool = False) -> None:
    """Show the plan, or carry it out. The epilogue (a reboot) is left to the operator. Raises `AgentError`.

    As JSON it is one object: the plan, or the result.
    """
    operations = by_hand(host)
    plan = operations.plan(request)
    if plan_only or not as_json:
        typer.echo(plan.model_dump_json(indent=2) if as_json else text(plan))
    if plan_only:
        return
    job = carried_out(host, operations, request)
    if job.fault is not None:
        raise Failed(job.fault)
    told = ", ".join(f"{name} {value}" for name, value in job.result.items())
    typer.echo(dumps(job.result, indent=2) if as_json else f"done: {told}")


def by_hand(host: Host) -> Operations:
    """The table, for an operator."""
    settings = settings_of(host, with_cmdline=True)
    return Operations(
        host,
        None,
        f"{DIRECTORY}/spool",
        settings.images,
        shared_too=settings.wipe_special_filesystems,
        writer=writer_of(host.files, settings),
    )


def writer_of(files: Files, settings: Settings) -> str | None:
    """Where there is one: nobody who types has to know."""
    return str(settings.writer_socket) if files.exists(str(settings.writer_socket)) else None


def carried_out(host: Host, operations: Operations, request: Request, drawn: Drawn = bar) -> Job:
    """Serve it to its end, with a bar, unless it is interrupted at the keyboard."""
    must_be_real(f"doing {request.verb}")
    outbox = Outbox(host.files, DIRECTORY, str(uuid4()))
    executor = Executor(operations, Journal(host.files, DIRECTORY), outbox, host.clock, boot_id(host.files))
    return watched(executor, request, drawn)


class Failed(AgentError):
    """A job's fault, as an error again: with the code, and so the exit status, that the job ended with."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message, hint=fault.hint)
        self.code = fault.code  # type: ignore[misc]
        self.exit_status = exit_status_of(fault.code)  # type: ignore[misc]
        self._causes = fault.details

    def causes(self) -> str:
        """As the fault tells them."""
        return self._causes


def watched(executor: Executor, request: Request, drawn: Drawn = bar) -> Job:
    """Serve the request in a thread, and show how far it is. At SIGINT it ends where a recalled job does, at a second
    one at once.
    """
    done: list[Job] = []
    stop, called_off, ended = Event(), Event(), Event()
    stop.set()  # nobody confirms reports here, so nothing may wait for that

    def serve() -> None:
        try:
            done.append(executor.serve(request, stop, lambda: not called_off.is_set()))
        finally:
            ended.set()

    with drawn() as show:
        Thread(target=serve, name="job", daemon=True).start()
        while not ended.is_set():  # a join that is interrupted takes its thread for ended (CPython's issue 90882)
            try:
                ended.wait(0.2)
                if (now := executor.progress) is not None:
                    show(now.step, now.done_bytes, now.total_bytes, now.limited_by)
            except KeyboardInterrupt:
                if called_off.is_set():
                    typer.echo(left(request), err=True)
                    raise
                called_off.set()
                typer.echo("ending what was begun; once more ends it at once", err=True)
    if called_off.is_set() and (not done or done[0].fault is not None):
        is_begun = not done or done[0].step is not None
        typer.echo(left(request) if is_begun else NOT_BEGUN, err=True)
        raise KeyboardInterrupt
    if not done:
        raise ConfigError("running the job", "it ended without a result")
    return done[0]


def left(request: Request) -> str:
    """For whoever interrupted it."""
    return BEGUN.get(request.verb, OTHERS)
