# SPDX-License-Identifier: Apache-2.0
"""The list of commands, one of which may run. Ironic goes on by what the last entry says.

Every entry is durable before Ironic hears of it; a running one goes on under its id after the process was killed. What
only looks is answered at any time, and leaves no entry: it would be the last one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from threading import Condition, Event, Thread
from typing import Any
from uuid import uuid4

from agent.api.ironic.record import Order, Record
from agent.api.ironic.refusal import Refusal, bad_request, busy
from agent.life.watch import Watch
from agent.model.fault import Fault
from agent.model.ironic.wire import CommandError, CommandResult, Status
from agent.program.log import Logger
from agent.program.printable import printable

NAME = re.compile(r"[a-z0-9_]{1,64}\.[a-z0-9_]{1,64}")
WAIT_S = 50.0
"""For who waits for a command's end: Ironic gives up after 60 s ([agent]command_timeout)."""

log = Logger("ironic")


class Kind(Enum):
    """How a command is answered."""

    STARTED = "started, and answered while it runs"
    DONE = "done, then answered"
    LOOKED = "done, then answered; changes nothing, so at any time"


class Failed(Exception):
    """A command failed in a way that was told already."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


@dataclass(frozen=True)
class Outcome:
    """What a command came to."""

    status: Status = Status.SUCCEEDED
    result: dict[str, Any] | None = None
    error: CommandError | None = None


@dataclass(frozen=True)
class Command:
    """A row of the table. `run` gets the command's id and parameters; it raises `Refusal` for those that it cannot
    read, before anything is done.
    """

    kind: Kind
    run: Callable[[str, dict[str, Any]], Outcome]
    check: Callable[[dict[str, Any]], None] = lambda _: None


class Commands:
    """What Ironic ordered in this boot."""

    def __init__(
        self, table: Mapping[str, Command], record: Record, news: Event, died: Callable[[BaseException], None]
    ) -> None:
        """`news` is set whenever something came to its end; `died` is told what kept that from being recorded: only
        another process can go on then.
        """
        self._table = table
        self._record = record
        self._news = news
        self._died = died
        self._changed = Condition()
        self._listed: list[CommandResult] = list(record.held.commands) if record.held else []
        self._running: str | None = None
        self._seen: object = None

    @property
    def running(self) -> str | None:
        """What is under way."""
        return self._running

    def watched(self, watch: Watch, progress: object, limit_s: float) -> None:
        """Called now and then: what is under way lives, as long as its progress is another each time within that."""
        now = (self._running, progress)
        if self._running is None:
            watch.let_go("the command")
        elif now != self._seen:
            watch.hear("the command", limit_s)
        self._seen = now

    def listed(self) -> tuple[CommandResult, ...]:
        """In order."""
        with self._changed:
            return tuple(self._listed)

    def found(self, command_id: str, *, wait: bool) -> CommandResult:
        """One of them; with `wait`, once it has come to its end. Raises `Refusal`."""
        with self._changed:
            if wait:
                self._changed.wait_for(lambda: self._status(command_id) is not Status.RUNNING, WAIT_S)
            for one in self._listed:
                if one.id == command_id:
                    return one
        raise Refusal(404, f"Not found: Command Result with id {command_id[:64]!a} not found.")

    def order(self, name: object, params: object, *, wait: bool, request_id: str | None = None) -> CommandResult:
        """Do it, or begin to. What is ordered once more by the same request was begun: its answer was lost with a
        process. Raises `Refusal`.
        """
        if not isinstance(name, str) or not isinstance(params, dict):
            raise bad_request("400 Bad Request: Missing or invalid name or params")
        command = self._known(name)
        order = Order(id=request_id or str(uuid4()), name=name, params=params)
        if command.kind is Kind.LOOKED:
            return ended(order, outcome_of(command, order))
        with self._changed:
            if self._status(order.id) is not None:
                return self._ordered_before(order, wait=wait or command.kind is Kind.DONE)
            if self._running is not None:
                raise busy(self._running)
            command.check(params)
            begun = self._begin(order, command)
        if command.kind is not Kind.STARTED:
            return self._finish(order, command)
        self._start(order, command)
        return self.found(order.id, wait=True) if wait else begun

    def _ordered_before(self, order: Order, *, wait: bool) -> CommandResult:
        known = self.found(order.id, wait=wait)
        if known.command_name != short(order.name):
            raise bad_request(f"400 Bad Request: {order.id} is {known.command_name}, and no {short(order.name)[:64]}")
        return known

    def resume(self) -> None:
        """Go on with what the process was at when it was killed."""
        order = self._record.kept()
        last = self._listed[-1] if self._listed else None
        if last is None or last.command_status is not Status.RUNNING:
            return
        if order is None or order.id != last.id or (command := self._table.get(order.name)) is None:
            order = Order(id=last.id, name=f"?.{last.command_name}", params={})
            fault = Fault(code="AGENT.INTERRUPTED", message="the agent was restarted and does not know what it was at")
            self._end(order, Outcome(Status.FAILED, error=error_of(fault)))
            return
        log.warning("going on with a command after a restart", command=last.command_name, id=last.id)
        self._running = last.command_name
        self._start(order, command)

    def _known(self, name: str) -> Command:
        if NAME.fullmatch(name) is None:
            raise bad_request("Invalid command: Command name must be of the form <extension>.<name>")
        extension = name.partition(".")[0]
        if not any(one.startswith(f"{extension}.") for one in self._table):
            raise Refusal(404, f"Not found: Extension with id {extension} not found.")
        if name not in self._table:
            raise bad_request(f"Invalid command: Unknown command: {name.partition('.')[2]}")
        return self._table[name]

    def _begin(self, order: Order, command: Command) -> CommandResult:
        try:
            self._record.keep(order)
        except ValueError:  # JSON may hold halves of characters, which UTF-8 cannot
            raise bad_request("Invalid command: what is no text is in its parameters") from None
        begun = CommandResult(id=order.id, command_name=short(order.name))
        self._list(begun)
        self._running = short(order.name)
        log.info("command", command=order.name, id=order.id)
        return begun

    def _start(self, order: Order, command: Command) -> None:
        def run() -> None:
            try:
                self._finish(order, command)
            except Refusal as refusal:  # nobody waits for an answer
                log.debug("nobody is told", refusal=str(refusal))
            except BaseException as error:  # noqa: BLE001 - a command that nobody ends
                self._died(error)

        Thread(target=run, name=short(order.name), daemon=True).start()

    def _finish(self, order: Order, command: Command) -> CommandResult:
        result = outcome_of(command, order)
        try:
            return self._end(order, result)
        except Exception as error:
            self._died(error)
            raise Refusal(500, f"the end of {short(order.name)} cannot be recorded; the agent starts again") from error

    def _end(self, order: Order, outcome: Outcome) -> CommandResult:
        result = ended(order, outcome)
        with self._changed:
            self._list(result)
            self._record.drop()
            self._running = None
            self._changed.notify_all()
        told = outcome.error.details if outcome.error else None
        log.info("command ended", command=order.name, id=order.id, status=outcome.status.value, error=told)
        self._news.set()
        return result

    def _list(self, result: CommandResult) -> None:
        """In its place, or at the end."""
        listed = [result if one.id == result.id else one for one in self._listed]
        if result not in listed:
            listed.append(result)
        self._record.list(tuple(listed))
        self._listed = listed

    def _status(self, command_id: str) -> Status | None:
        return next((one.command_status for one in self._listed if one.id == command_id), None)


def short(name: str) -> str:
    """Without its extension: Ironic compares literally."""
    return name.partition(".")[2]


def ended(order: Order, outcome: Outcome) -> CommandResult:
    """As Ironic reads it."""
    return CommandResult(
        id=order.id,
        command_name=short(order.name),
        command_status=outcome.status,
        command_error=outcome.error,
        command_result=outcome.result,
    )


def outcome_of(command: Command, order: Order) -> Outcome:
    """Whatever happens, there is one."""
    try:
        return command.run(order.id, order.params)
    except Failed as failed:
        return Outcome(Status.FAILED, error=error_of(failed.fault))
    except Exception as error:
        fault = Fault.of(error)
        if fault.code == "AGENT.BUG":
            log.exception("a fault of ours", command=order.name)
        return Outcome(Status.FAILED, error=error_of(fault))


def error_of(fault: Fault) -> CommandError:
    """Ironic shows the details and nothing else, so all of it is there. What JSON cannot hold would spoil the list."""
    causes = f" (caused by {fault.details})" if fault.details else ""
    return CommandError(
        type=fault.code,
        message=printable(fault.message),
        details=printable(f"{fault.message}{causes} [{fault.code}] {fault.hint}".strip()),
    )
