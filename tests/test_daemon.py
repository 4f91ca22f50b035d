# SPDX-License-Identifier: Apache-2.0
"""What runs while a session is open: the worker's choice of requests, and the daemon's end."""

from __future__ import annotations

import faulthandler
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from threading import Event, Thread
from time import monotonic

import pytest
from pydantic import SecretStr

from agent.config import Settings
from agent.daemon import Daemon, Open, Worker
from agent.errors import AgentError, ControllerRefused, HostError
from agent.host.clock import RealClock
from agent.host.fake import FakeHost
from agent.job.convergence import Convergence
from agent.job.status import status_in
from agent.life.loops import Loop
from agent.life.sd_notify import Notifier
from agent.life.watch import Alive, LoopStuck
from agent.model.protocol import Session
from agent.model.request import EraseRequest, PowerOffRequest, RebootRequest, Request
from agent.networking import Networking
from tests.link.answers import answering

SESSION = Session(session_id="s", boot_id="boot-1", mode="service", agent_version="1")
REBOOT = RebootRequest(request_id="r1", node_id="node-1")
POWER_OFF = PowerOffRequest(request_id="r2", node_id="node-1")
UNAUTHORIZED = '{"fault": {"code": "AGENT.UNAUTHORIZED", "message": "who are you"}}'


class Scripted:
    """An executor that ends each request as it is told: with an error, or `None`. After the last it stops the worker;
    `meanwhile` is what the controller wants while the first is served."""

    def __init__(self, stop: Event, *ends: AgentError | None, meanwhile: tuple[Request | None, ...] = ()) -> None:
        self.stop = stop
        self.ends = list(ends)
        self.meanwhile = list(meanwhile)
        self.served: list[str] = []
        self.worker: Worker | None = None

    def serve(self, request: Request, stop: Event, wanted: Callable[[], bool]) -> None:
        """End as told."""
        self.served.append(request.request_id)
        while self.meanwhile and self.worker is not None:
            self.worker.take(self.meanwhile.pop(0))
        end = self.ends.pop(0)
        if not self.ends:
            self.stop.set()
        if end is not None:
            raise end


def served(*ends: AgentError | None, meanwhile: tuple[Request | None, ...] = ()) -> tuple[list[str], Worker]:
    """Which requests were served, of one that was taken first."""
    stop = Event()
    executor = Scripted(stop, *ends, meanwhile=meanwhile)
    worker = executor.worker = Worker(executor, FakeHost.with_files({}).clock)
    worker.take(REBOOT)
    worker.work(stop)
    return executor.served, worker


def test_a_request_that_could_not_be_served_is_tried_again() -> None:
    """A full disk, or a reboot that systemd refused, is told in the heartbeat and does not lose the request."""
    told, worker = served(HostError("rebooting", "no"), HostError("rebooting", "no"), None)
    assert told == ["r1", "r1", "r1"] and worker.fault is None

    _, worker = served(HostError("rebooting", "no"))
    assert worker.fault is not None and worker.fault.message == "rebooting: no"


def test_only_what_is_wanted_now_is_tried_again() -> None:
    """What the controller wants instead comes next; what it does not want any more does not come back."""
    assert served(HostError("rebooting", "no"), None, meanwhile=(POWER_OFF,))[0] == ["r1", "r2"]
    assert served(HostError("rebooting", "no"), None, meanwhile=(None, POWER_OFF))[0] == ["r1", "r2"]


def test_an_order_that_is_said_otherwise_goes_on() -> None:
    """The same id with other content recalls nothing: what was begun is brought to its end."""
    wanted: list[bool] = []

    class Asking(Scripted):
        """One whose step says how far it is, once the controller has said something else."""

        def serve(self, request: Request, stop: Event, wants: Callable[[], bool]) -> None:
            """Asked after what came meanwhile."""
            super().serve(request, stop, wants)
            wanted.append(wants())

    otherwise = EraseRequest(request_id="r1", node_id="node-1")
    for meanwhile in (otherwise, POWER_OFF, None):
        stop = Event()
        executor = Asking(stop, None, meanwhile=(meanwhile,))
        worker = executor.worker = Worker(executor, FakeHost.with_files({}).clock)
        worker.take(REBOOT)
        worker.work(stop)

    assert wanted == [True, False, False]


def daemon(url: str) -> Daemon:
    """A daemon in service mode, on a machine that is nothing but a boot."""
    host = replace(FakeHost.with_files({}), clock=RealClock())
    opened = Open(session=SESSION, url=url, node_id="node-1", credential=SecretStr("c"))
    return Daemon(host, Settings(), opened, Convergence(host, Networking(host), "/state"))


def test_a_dead_thread_ends_the_process() -> None:
    """A controller that does not know the credential any more ends the process with its answer, and the stop is set."""
    stop = Event()
    with answering((401, UNAUTHORIZED)) as server, pytest.raises(ControllerRefused, match=r"AGENT\.UNAUTHORIZED"):
        daemon(server.url).run(stop, Notifier({}))
    assert stop.is_set()


def test_it_starts_upon_what_cannot_be_read() -> None:
    """A damaged journal and outbox keep no server out of reach."""
    state = str(Settings().state_dir)
    damaged = {f"{state}/{name}": "damaged\ndamaged\n" for name in ("journal.log", "outbox.log")}
    host = FakeHost.with_files(damaged)
    opened = Open(session=SESSION, url="http://127.0.0.1:1", node_id="node-1", credential=SecretStr("c"))

    Daemon(host, Settings(), opened, None)
    assert all(host.files.read_text(f"{path}.unreadable") == text for path, text in damaged.items())


@pytest.fixture
def no_end() -> Iterator[None]:
    """A loop that is found stuck would end this process, too."""
    yield
    faulthandler.cancel_dump_traceback_later()


def dies(_: Alive) -> None:
    """As by a fault of ours."""
    raise ValueError("as none foresaw")


def hangs(_: Alive) -> None:
    """As one does that waits for a device."""
    Event().wait(30)


NAMES = ("worker", "listen", "deliver", "beat", "network", "hear", "survey")


@pytest.mark.parametrize("how", [dies, hangs])
@pytest.mark.parametrize("name", NAMES)
def test_each_loop_is_watched(name: str, how: Callable[[Alive], None], no_end: None) -> None:
    """There is no other one, and the death of each and the hang of each ends the process, by its name; but for the
    survey, whose end is told.
    """
    stop = Event()

    class Resident(Daemon):
        """One of whose loops ends so, while the others live."""

        def loops(self, stop: Event) -> list[Loop]:
            """All of them."""
            loops = super().loops(stop)
            assert tuple(loop.name for loop in loops) == NAMES
            return [
                replace(loop, run=how, limit_s=0.2) if loop.name == name else replace(loop, run=lambda _: stop.wait())
                for loop in loops
            ]

        def _say(self) -> None:
            self.told = self._problems()
            if self.told:
                stop.set()

    host = replace(FakeHost.with_files({}), clock=RealClock())
    opened = Open(session=SESSION, url="http://127.0.0.1:1", node_id="node-1", credential=SecretStr("c"))
    resident = Resident(host, Settings(), opened, Convergence(host, Networking(host), "/state"))
    if name == "survey":
        resident.run(stop, Notifier({}))
        assert "the survey loop" in resident.told[0].message
    else:
        with pytest.raises(LoopStuck if how is hangs else ValueError, match=name if how is hangs else "foresaw"):
            resident.run(stop, Notifier({}))


def test_stops_soon_whatever_the_controller_does() -> None:
    """A controller that takes calls and never answers does not hold up the end: a reboot waits for it."""
    stop, begun = Event(), []

    def answer_nothing(silent: socket.socket) -> None:
        callers = [silent.accept(), silent.accept()]  # the heartbeat's and the listener's
        begun.append(monotonic())
        stop.set()
        daemon_ended.wait(30)
        for caller, _ in callers:
            caller.close()

    daemon_ended = Event()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        thread = Thread(target=answer_nothing, args=(silent,))
        thread.start()
        daemon(f"http://127.0.0.1:{silent.getsockname()[1]}").run(stop, Notifier({}))
        took_s = monotonic() - begun[0]
        daemon_ended.set()
        thread.join()

    assert took_s < 5.0


def test_it_says_how_it_is() -> None:
    """For the screen: whose node it is, and that its controller does not hear it, stand in /run a moment later."""
    host = replace(FakeHost.with_files({"/proc/sys/kernel/random/boot_id": "boot-1\n"}), clock=RealClock())
    opened = Open(session=SESSION, url="http://127.0.0.1:1", node_id="node-1", credential=SecretStr("c"))
    stop, run = Event(), str(Settings().runtime_dir)
    thread = Thread(target=Daemon(host, Settings(), opened, None).run, args=(stop, Notifier({})))
    thread.start()
    end_s = monotonic() + 30
    while not ((told := status_in(host.files, run)) and told.faults) and monotonic() < end_s:
        stop.wait(0.1)
    stop.set()
    thread.join()

    assert told is not None and (told.doing, told.node_id) == ("session open", "node-1")
    assert [fault.code for fault in told.faults] == ["LINK.UNREACHABLE"]
