# SPDX-License-Identifier: Apache-2.0
"""The resident agent, once its session with the controller is open: threads, watchdog, end. Both modes run this.

    listen ──► ledger ──► worker (executor) ──► outbox ──► deliver
                   └────► network (convergence) ◄── hear (the kernel's changes)
                                └──► beat: what is observed
    survey: once an hour, and when some was plugged in or pulled, what has become of the hardware

A thread that dies, or hangs, takes the process with it: systemd starts it again, and the journal knows where it was.
Processes that end again and again are begun later each time, and say so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from threading import Condition, Event
from typing import TYPE_CHECKING, Protocol, TypeVar
from uuid import uuid4

from pydantic import SecretStr

from agent.apply.writer.relay import socket_of
from agent.config import Settings
from agent.errors import AgentError, HostError
from agent.host.doors import Clock, Host
from agent.host.identity import boot_id
from agent.job.executor import Executor
from agent.job.ledger import Ledger
from agent.job.reopening import opened_journal, opened_outbox
from agent.job.status import StatusFile
from agent.job.survey import PERIOD_S, Survey
from agent.life import lives
from agent.life.lives import LONGEST_PAUSE_S, Folder, lives_in
from agent.life.loops import Loop, Loops
from agent.life.sd_notify import Notifier
from agent.life.watch import Alive, unwatched
from agent.link.certificate import NodeCertificates
from agent.link.client import Client
from agent.link.key import NodeKey
from agent.link.loops import Listener, beat, deliver
from agent.link.relay import Beside
from agent.model.fault import Fault
from agent.model.inventory import Inventory
from agent.model.protocol import Acknowledged, Desired, Heartbeat, Mode, Session
from agent.model.request import Request
from agent.operations import Operations
from agent.program.log import Logger

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
TURN_S = 300.0
"""Longer than a turn of any loop takes that talks to the controller or hears the kernel, without its pause."""
ROUND_S = 1800.0
"""The same for the network, whose changes are proven, and for the inventory, which asks every device."""
STEP_S = 25 * 3600.0
"""A step says how far it is, every half second while drives erase themselves, recalled or not; what else it waits for
ends within a day.
"""

Found = TypeVar("Found")
log = Logger("daemon")


@dataclass(frozen=True)
class Open:
    """An open session: who we are to the controller."""

    session: Session
    url: str
    node_id: str
    credential: SecretStr
    key: NodeKey | None = None
    """None: an earlier release's way, with the credential alone."""
    ca: str | None = None
    socket: str | None = None
    """Of the process that speaks to the controller; None: this one does."""


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

    def work(self, stop: Event, alive: Alive = unwatched) -> None:
        """Until stopped."""
        while not stop.is_set():
            alive()
            with self._changed:
                self._changed.wait_for(lambda: self._next is not None, timeout=TICK_S)
                request, self._next = self._next, None
            if request is not None and not self._served(request, stop, alive):
                self._clock.wait(stop, WORKER_RETRY_S)
                self._again(request)

    def _served(self, request: Request, stop: Event, alive: Alive) -> bool:
        def is_wanted() -> bool:
            """Asked whenever a step says how far it is. The same id is the same order: what is said otherwise of it
            since (earlier controllers did, once they were brought up to date) is refused when this one has ended.
            """
            alive()
            wanted = self._wanted
            return wanted is not None and wanted.request_id == request.request_id

        try:
            self._executor.serve(request, stop, is_wanted)
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
        self._certificates = NodeCertificates()
        self._beside = Beside()
        directory = str(settings.state_dir)
        operations = Operations(
            host,
            opened.session.mode,
            f"{settings.runtime_dir}/spool",
            settings.images,
            shared_too=settings.wipe_special_filesystems,
            writer=socket_of(host.files, str(settings.writer_socket)),
        )
        ledger, boot = Ledger(host.files, directory, opened.node_id), opened.session.boot_id
        journal = opened_journal(host.files, directory, ledger.held.request if ledger.held else None, boot)
        self._outbox = opened_outbox(host.files, directory, str(uuid4()))
        self._executor = Executor(operations, journal, self._outbox, host.clock, boot)
        self._worker = Worker(self._executor, host.clock)
        self._listener = Listener(self._client(), ledger, self._act, settings.poll_s)
        self._status = StatusFile(
            host, str(settings.runtime_dir), "embedded", opened.url, opened.key.fingerprint if opened.key else None
        )
        self._before = lives_in(Folder(host.files, str(settings.runtime_dir)))
        self._watched: Loops | None = None
        self._news = Event()
        self._observed = Event()
        """The network is another than the last heartbeat told."""

    def run(self, stop: Event, notifier: Notifier) -> None:
        """Until stopped. Raises what killed a thread, or `LoopStuck`."""
        loops = self._watched = Loops(self._host.clock, stop, self.loops(stop))
        loops.start()
        notifier.ready(f"session open as node {self._opened.node_id}")
        while not (self._host.clock.wait(stop, TICK_S) or loops.fault()):
            notifier.watchdog()
            self._say()
        stop.set()
        notifier.stopping()
        self._news.set()
        loops.join(JOIN_S)
        loops.check()

    def loops(self, stop: Event) -> list[Loop]:
        """What runs side by side."""
        clock, settings = self._host.clock, self._settings
        beat_s, poll_s = settings.heartbeat_s, settings.poll_s

        def beats(alive: Alive) -> None:
            beat(self._client(), self._heartbeat, beat_s, clock, stop, self._observed, alive)

        loops = [
            Loop("worker", lambda alive: self._worker.work(stop, alive), STEP_S),
            Loop("listen", lambda alive: self._listener.listen(clock, stop, alive), poll_s + TURN_S),
            Loop("deliver", lambda alive: deliver(self._client(), self._outbox, clock, stop, alive), TURN_S),
            Loop("beat", beats, 2 * beat_s + TURN_S),
        ]
        if self._convergence is None:
            return loops
        convergence, survey = self._convergence, Survey(self._host, str(settings.state_dir), self._tell)
        return [
            *loops,
            Loop("network", lambda alive: self._converge(convergence, stop, alive), NETWORK_PERIOD_S + ROUND_S),
            Loop("hear", lambda alive: self._hear(stop, alive), TURN_S),
            # What it hangs at is a device that does not answer. The next process would ask it again, and hang again,
            # while the network and orders need nothing of it: it is told (`Loops.problems`), and ends nothing.
            Loop("survey", lambda alive: survey.loop(clock, stop, alive), PERIOD_S + ROUND_S, is_vital=False),
        ]

    def _tell(self, inventory: Inventory) -> None:
        """The controller, that this machine is another than it was."""
        self._client().post("/v1/agent/inventory", inventory, Acknowledged)

    def _client(self) -> Client:
        opened = self._opened
        return Client(
            opened.url,
            opened.credential,
            opened.key,
            opened.session.session_id,
            opened.ca,
            opened.socket,
            self._certificates,
            beside=self._beside,
        )

    def _act(self, desired: Desired) -> None:
        if self._convergence is not None:
            self._convergence.want(desired.generation, desired.network)
            self._news.set()
        self._worker.take(desired.request)

    def _converge(self, convergence: Convergence, stop: Event, alive: Alive) -> None:
        while not stop.is_set():
            alive()
            self._news.clear()
            before = told(convergence)
            holds = convergence.round()
            if told(convergence) != before:
                self._observed.set()
            self._news.wait(NETWORK_PERIOD_S if holds else NETWORK_RETRY_S)

    def _hear(self, stop: Event, alive: Alive) -> None:
        """The kernel tells of every change; a burst of them is one round. What changed before anybody heard is looked
        for.
        """
        while not stop.is_set():
            with self._host.netlink.watching() as watch:
                self._news.set()
                while not stop.is_set():
                    alive()
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
        crashed = self._before.fault(self._host.clock.monotonic_s())
        key = self._opened.key
        faults = (
            crashed,
            key.fault if key else None,
            self._certificates.fault,
            self._beside.fault,
            self._listener.fault,
            self._worker.fault,
            *(convergence.problems if convergence else ()),
        )
        stuck = self._watched.problems if self._watched else ()
        return (*(fault for fault in faults if fault is not None), *stuck)

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


def live(
    host: Host,
    settings: Settings,
    stop: Event,
    notifier: Notifier,
    work: Callable[[], Found],
    longest_pause_s: float = LONGEST_PAUSE_S,
) -> Found | None:
    """One life of a resident mode, which begins later where those before it were short; None if it was stopped."""
    shelf = Folder(host.files, str(settings.runtime_dir))
    return lives.live(shelf, host.clock, stop, notifier, lambda _: work(), longest_pause_s)


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
