# SPDX-License-Identifier: Apache-2.0
"""The resident agent, once its session with the controller is open: threads, watchdog, end. Both modes run this.

    listen ──► ledger ──► worker (executor) ──► outbox ──► deliver
                   └────► network (convergence) ◄── hear (the kernel's changes)
                                └──► beat: what is observed
    survey: once an hour, what has become of the hardware

A thread that dies takes the process with it: systemd starts it again, and the journal knows where it was.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import dataclass
from threading import Condition, Event, Thread
from typing import TYPE_CHECKING, Protocol
from uuid import uuid4

import structlog
from pydantic import SecretStr

from agent.config import Settings
from agent.errors import AgentError, HostError
from agent.host.doors import Clock, Host
from agent.host.identity import boot_id
from agent.host.sd_notify import Notifier
from agent.job.executor import Executor
from agent.job.journal import Journal
from agent.job.ledger import Ledger
from agent.job.outbox import Outbox
from agent.job.status import StatusFile
from agent.job.survey import Survey
from agent.link.client import Client
from agent.link.loops import Listener, beat, deliver
from agent.model.fault import Fault
from agent.model.inventory import Inventory
from agent.model.protocol import Acknowledged, Desired, Heartbeat, Mode, Session
from agent.model.request import Request
from agent.operations import Operations

if TYPE_CHECKING:  # the ramdisk keeps no network as it was ordered, and half of what configures one is spared
    from agent.job.convergence import Convergence

NETWORK_PERIOD_S = 60.0
NETWORK_RETRY_S = 5.0
TICK_S = 1.0
SETTLE_S = 0.2
"""From the first change heard to looking: what comes together is seen together."""
WORKER_RETRY_S = 5.0
JOIN_S = 3.0
"""For all threads together: whatever they were at is journalled, and a reboot waits for us."""

log = structlog.get_logger("daemon")


@dataclass(frozen=True)
class Open:
    """An open session: who we are to the controller."""

    session: Session
    url: str
    node_id: str
    credential: SecretStr


class Serving(Protocol):
    """The executor, as the worker sees it."""

    def serve(self, request: Request, stop: Event, wanted: Callable[[], bool]) -> object: ...


class Worker:
    """Serves the newest request; one at a time. One that is not wanted any more is recalled, and ends soon. One that
    could not be brought to an end (a full disk, a reboot that systemd refused) is served again, if still wanted.
    """

    def __init__(self, executor: Serving, clock: Clock) -> None:
        self._executor = executor
        self._clock = clock
        self._changed = Condition()
        self._wanted: Request | None = None
        self._next: Request | None = None
        self.fault: Fault | None = None

    def take(self, request: Request | None) -> None:
        """This is what is asked for now; what was asked for before and not begun is not wanted any more."""
        with self._changed:
            self._wanted = self._next = request
            self._changed.notify_all()

    def work(self, stop: Event) -> None:
        """Until stopped."""
        while not stop.is_set():
            with self._changed:
                self._changed.wait_for(lambda: self._next is not None, timeout=TICK_S)
                request, self._next = self._next, None
            if request is not None and not self._served(request, stop):
                self._clock.wait(stop, WORKER_RETRY_S)
                self._again(request)

    def _served(self, request: Request, stop: Event) -> bool:
        try:
            self._executor.serve(request, stop, lambda: self._wanted == request)
        except AgentError as error:
            fault = Fault.of(error)
            if fault != self.fault:
                log.error("request not served", request=request.request_id, code=error.code, error=str(error))
            self.fault = fault
            return False
        self.fault = None
        return True

    def _again(self, request: Request) -> None:
        with self._changed:
            if self._wanted is request:
                self._next = request


class Daemon:
    """Everything that runs while a session is open."""

    def __init__(self, host: Host, settings: Settings, opened: Open, convergence: Convergence | None) -> None:
        """`convergence` is None in the ramdisk, whose network is not the server's."""
        self._host = host
        self._settings = settings
        self._opened = opened
        self._convergence = convergence
        directory = str(settings.state_dir)
        operations = Operations(host, opened.session.mode, f"{settings.runtime_dir}/spool", settings.images)
        self._outbox = Outbox(host.files, directory, str(uuid4()))
        self._executor = Executor(
            operations, Journal(host.files, directory), self._outbox, host.clock, opened.session.boot_id
        )
        self._worker = Worker(self._executor, host.clock)
        self._listener = Listener(
            self._client(), Ledger(host.files, directory, opened.node_id), self._act, settings.poll_s
        )
        self._status = StatusFile(host, str(settings.runtime_dir), "embedded", opened.url)
        self._news = Event()
        self._observed = Event()
        """The network is another than the last heartbeat told."""

    def run(self, stop: Event, notifier: Notifier) -> None:
        """Until stopped. Raises what killed a thread."""
        died: list[BaseException] = []
        threads = [Thread(target=guarded(loop, died), name=name, daemon=True) for name, loop in self._loops(stop)]
        for thread in threads:
            thread.start()
        notifier.ready(f"session open as node {self._opened.node_id}")
        while not (self._host.clock.wait(stop, TICK_S) or died):
            notifier.watchdog()
            self._say()
        stop.set()
        notifier.stopping()
        self._news.set()
        patience_ends_s = self._host.clock.monotonic_s() + JOIN_S
        for thread in threads:
            thread.join(max(0.0, patience_ends_s - self._host.clock.monotonic_s()))
        if died:
            raise died[0]

    def _loops(self, stop: Event) -> list[tuple[str, Callable[[], None]]]:
        clock, settings = self._host.clock, self._settings
        loops: list[tuple[str, Callable[[], None]]] = [
            ("worker", lambda: self._worker.work(stop)),
            ("listen", lambda: self._listener.listen(clock, stop)),
            ("deliver", lambda: deliver(self._client(), self._outbox, clock, stop)),
            (
                "beat",
                lambda: beat(self._client(), self._heartbeat, settings.heartbeat_s, clock, stop, self._observed),
            ),
        ]
        if self._convergence is not None:
            convergence = self._convergence
            loops.append(("network", lambda: self._converge(convergence, stop)))
            loops.append(("hear", lambda: self._hear(stop)))
            survey = Survey(self._host, str(settings.state_dir), self._tell)
            loops.append(("survey", lambda: survey.loop(clock, stop)))
        return loops

    def _tell(self, inventory: Inventory) -> None:
        """The controller, that this machine is another than it was."""
        self._client().post("/v1/agent/inventory", inventory, Acknowledged)

    def _client(self) -> Client:
        return Client(self._opened.url, self._opened.credential)

    def _act(self, desired: Desired) -> None:
        if self._convergence is not None:
            self._convergence.want(desired.generation, desired.network)
            self._news.set()
        self._worker.take(desired.request)

    def _converge(self, convergence: Convergence, stop: Event) -> None:
        while not stop.is_set():
            self._news.clear()
            before = told(convergence)
            holds = convergence.round()
            if told(convergence) != before:
                self._observed.set()
            self._news.wait(NETWORK_PERIOD_S if holds else NETWORK_RETRY_S)

    def _hear(self, stop: Event) -> None:
        """The kernel tells of every change; a burst of them is one round."""
        while not stop.is_set():
            with self._host.netlink.watching() as watch:
                while not stop.is_set():
                    if watch.wait(TICK_S) and not self._host.clock.wait(stop, SETTLE_S):
                        watch.wait(0)
                        self._news.set()

    def _heartbeat(self, sequence: int) -> Heartbeat:
        convergence = self._convergence
        return Heartbeat(
            session=self._opened.session,
            sequence=sequence,
            at=self._host.clock.now(),
            applied_generation=convergence.applied_generation if convergence else 0,
            network=convergence.state if convergence else None,
            progress=self._executor.progress,
            problems=self._problems(),
        )

    def _problems(self) -> tuple[Fault, ...]:
        convergence = self._convergence
        faults = (self._listener.fault, self._worker.fault, *(convergence.problems if convergence else ()))
        return tuple(fault for fault in faults if fault is not None)

    def _say(self) -> None:
        """For the screen, and for whoever asks what is wrong."""
        self._status.tell(
            "session open",
            node_id=self._opened.node_id,
            progress=self._executor.progress,
            faults=self._problems(),
        )


def told(convergence: Convergence) -> tuple[object, ...]:
    """What a heartbeat would say of it."""
    return convergence.applied_generation, convergence.fault, convergence.state


def guarded(loop: Callable[[], None], died: list[BaseException]) -> Callable[[], None]:
    """The loop, with what ends it kept for the main thread."""

    def run() -> None:
        try:
            loop()
        except BaseException as error:  # noqa: BLE001 - the main thread raises it again
            died.append(error)

    return run


def wait_for_udev(host: Host) -> None:
    """Until all drivers are there; not for ever: a disk that hangs shall be seen by the operator, with its node, and
    must not keep a server off its network.
    """
    try:
        host.udev.settle()
    except HostError as error:
        log.warning("udev is still busy", error=str(error))


def new_session(host: Host, mode: Mode, version: str) -> Session:
    """A session of this run of the process."""
    return Session(session_id=str(uuid4()), boot_id=boot_id(host.files), mode=mode, agent_version=version)


def stop_on_signals() -> Event:
    """Set by SIGTERM and SIGINT."""
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    return stop
