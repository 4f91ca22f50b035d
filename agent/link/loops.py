# SPDX-License-Identifier: Apache-2.0
"""The three conversations with the controller, each a loop in a thread of its own, each with its own client.

    beat     every 60 s ± 10 %, every 2 s while a job runs: alive, and what is observed
    listen   long poll: what shall be
    deliver  the outbox, oldest first, until confirmed

A loop outlives every failure of the link. It ends when `stop` is set, or raises when the controller does not know
this session any more: the process then ends, is started again, and opens a new one. Once a turn it says that it is
`alive`, to whoever watches it (`agent.life.loops`).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from threading import Event

from agent.errors import AgentError, ControllerRefused, InputError, LinkError
from agent.host.doors import Clock
from agent.job.ledger import Ledger
from agent.job.outbox import Outbox
from agent.life.watch import Alive, unwatched
from agent.link.client import Client
from agent.model.fault import Fault
from agent.model.protocol import Desired, Heartbeat, HeartbeatAnswer, ReportBatch, ReportsAnswer
from agent.program.log import Logger

BUSY_PERIOD_S = 2.0
RETRY_S = 5.0
NEWS_S = 1.0
BATCH = 32
UNKNOWN_SESSION = frozenset({"AGENT.UNAUTHORIZED", "HTTP.401", "HTTP.403"})

log = Logger("link")


def lost(error: AgentError) -> bool:
    """Whether the controller no longer knows who calls."""
    return isinstance(error, ControllerRefused) and error.refusal in UNKNOWN_SESSION


def beat(
    client: Client,
    compose: Callable[[int], Heartbeat],
    period_s: float,
    clock: Clock,
    stop: Event,
    news: Event | None = None,
    alive: Alive = unwatched,
) -> None:
    """Send heartbeats. `compose` makes the one with the given sequence; a lost one is not sent again. With `news` set
    the next one follows within a second.
    """
    sequence = 0
    while True:
        alive()
        sequence += 1
        heartbeat = compose(sequence)
        try:
            client.post("/v1/agent/heartbeat", heartbeat, HeartbeatAnswer)
        except (LinkError, InputError) as error:
            if lost(error):
                raise
            log.warning("heartbeat lost", sequence=sequence, error=str(error))
        if rest(clock, stop, jittered(period_s, busy=heartbeat.progress is not None), news):
            return


def rest(clock: Clock, stop: Event, period_s: float, news: Event | None) -> bool:
    """Until the period is over or there are news; True if stopped."""
    if news is None:
        return clock.wait(stop, period_s)
    end_s = clock.monotonic_s() + period_s
    while (left_s := end_s - clock.monotonic_s()) > 0 and not news.is_set():
        if clock.wait(stop, min(NEWS_S, left_s)):
            return True
    news.clear()
    return stop.is_set()


def jittered(period_s: float, *, busy: bool) -> float:
    """So that a thousand machines that were switched on together do not call together."""
    return min(period_s, BUSY_PERIOD_S) if busy else period_s * random.uniform(0.9, 1.1)  # noqa: S311


class Listener:
    """Asks for the desired state, writes it to the ledger, and hands on what is new."""

    def __init__(self, client: Client, ledger: Ledger, act: Callable[[Desired], None], poll_s: float) -> None:
        self._client = client
        self._ledger = ledger
        self._act = act
        self._poll_s = poll_s
        self.fault: Fault | None = None

    def listen(self, clock: Clock, stop: Event, alive: Alive = unwatched) -> None:
        """Until stopped. What was held before this start is acted upon first: it may be unfinished."""
        if self._ledger.held is not None:
            self._act(self._ledger.held)
        while not stop.is_set():
            alive()
            try:
                self._ask()
                self.fault = None
            except (LinkError, InputError) as error:
                if lost(error):
                    raise
                self._failed(error)
                clock.wait(stop, RETRY_S)

    def _ask(self) -> None:
        query = {"generation": str(self._ledger.generation), "wait_s": str(self._poll_s)}
        desired = self._client.get("/v1/agent/desired", Desired, query, wait_s=self._poll_s)
        if self._ledger.accept(desired):
            log.info(
                "desired state",
                generation=desired.generation,
                request=desired.request.request_id if desired.request else None,
            )
            self._act(desired)

    def _failed(self, error: AgentError) -> None:
        fault = Fault.of(error)
        if fault != self.fault:
            log.warning("desired state not taken", code=fault.code, fault=fault.message)
        self.fault = fault


def deliver(client: Client, outbox: Outbox, clock: Clock, stop: Event, alive: Alive = unwatched) -> None:
    """Deliver what waits, again and again until it is confirmed."""
    pause_s = 0.2
    while not clock.wait(stop, pause_s):
        alive()
        pending = outbox.pending()[:BATCH]
        pause_s = 0.2
        if not pending:
            continue
        try:
            batch = ReportBatch(stream_id=outbox.stream_id, reports=pending)
            outbox.confirm(client.post("/v1/agent/reports", batch, ReportsAnswer).acknowledged)
        except (LinkError, InputError) as error:
            if lost(error):
                raise
            log.warning("reports wait", waiting=len(outbox.pending()), error=str(error))
            pause_s = RETRY_S
