# SPDX-License-Identifier: Apache-2.0
"""The process that speaks to the controller, and may do nothing else: no root, no capability, no device, no file.

In: calls from root, over the socket that systemd holds, each a row of `agent.model.call.CALLS`. Out: what came of it,
as bytes. It knows nobody's key, opens nothing, and keeps nothing: it may be killed and started again at any moment.
"""

from __future__ import annotations

import socket
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import BoundedSemaphore, Event, Thread, get_ident

from agent.errors import AgentError, ConfigError, InputError, LinkError
from agent.host.line import Line, accepted
from agent.life.lives import LINK, Lives, Memory, live
from agent.life.sd_notify import Notifier
from agent.life.watch import LoopStuck, SystemTime, Watch, doom
from agent.link.direct import Direct
from agent.link.relay import WHOLE_S, told
from agent.model.call import Call, Opening, Outcome
from agent.model.frozen import decode
from agent.program.log import Logger

SOCKET = "link"
"""What systemd hands over, under that name."""
DOING = "serving root"
TICK_S = 1.0
MOST = 32
"""Calls side by side. Root has one line for each of its loops, and one for each command at the console."""
PIECE_S = 30.0
MADE_S = WHOLE_S + 60.0
"""Beside its waiting, a call takes less: by then whoever asked for it has long hung up, and its room is taken."""

log = Logger("link")


class CallStuck(LoopStuck):
    """A call has no end."""

    code = "LINK.STUCK"


def run(notifier: Notifier, stop: Event) -> None:
    """Until stopped, or killed, which costs the calls under way and nothing else. Raises `InputError`, `LoopStuck`."""
    listener = notifier.taken(SOCKET)
    if listener is None:
        raise InputError(
            "speaking to the controller", "no socket was handed over", hint="systemd starts this: bms-agent-link.socket"
        )
    live(Memory(notifier), SystemTime(), stop, notifier, lambda before: serve(listener, notifier, stop, before=before))


def serve(
    listener: socket.socket,
    notifier: Notifier,
    stop: Event,
    trusts: Collection[int] | None = None,
    before: Lives | None = None,
    made_s: float = MADE_S,
) -> None:
    """Until stopped: a thread for each line. `before`: how those before this process ended. Raises `LoopStuck`."""
    room = BoundedSemaphore(MOST)
    desk = Desk(Watch(SystemTime(), CallStuck), before or Lives(), made_s)
    listener.settimeout(TICK_S)
    notifier.ready("speaking to the controller for root")
    while not stop.is_set():
        if stuck := desk.watch.silent():
            doom()
            raise stuck[0]
        notifier.watchdog()
        if not room.acquire(timeout=TICK_S):
            continue
        line = accepted(listener, DOING, trusts)
        if line is None:
            room.release()
        else:
            Thread(target=converse, args=(line, room, desk), name="line", daemon=True).start()


@dataclass(frozen=True)
class Desk:
    """What all lines have in common."""

    watch: Watch
    before: Lives
    made_s: float

    def ended(self) -> int:
        """How many processes in a row ended before this one, until it has lived long enough."""
        return self.before.ended if self.before.fault(self.watch.time.monotonic_s(), LINK) is not None else 0

    @contextmanager
    def watched(self, wait_s: float) -> Iterator[None]:
        """A call that waits so long."""
        name = f"a call (thread {get_ident()})"
        self.watch.hear(name, self.made_s + wait_s)
        try:
            yield
        finally:
            self.watch.let_go(name)


def converse(line: Line, room: BoundedSemaphore, desk: Desk) -> None:
    """Call after call, until the other end hangs up or says what is no call."""
    try:
        with line:
            first = line.receive(PIECE_S)
            if first is None:
                return
            opening = decode(Opening, first[0], DOING)
            wire = Direct(opening.url, opening.ca)
            wire.show(opening.shown.get_secret_value() if opening.shown is not None else None)
            while (piece := line.receive(PIECE_S, waits=True)) is not None:
                call = decode(Call, piece[0], DOING)
                with desk.watched(call.wait_s):
                    outcome, body = made(wire, call, piece[1])
                outcome = outcome.model_copy(update={"ended": desk.ended()})
                line.send(outcome.model_dump_json(exclude_defaults=True).encode(), body, PIECE_S)
    except AgentError as error:
        log.warning("hung up", error=str(error))
    finally:
        room.release()


def made(wire: Direct, call: Call, body: bytes) -> tuple[Outcome, bytes]:
    """The call, and what came of it. Raises `InputError` for what is no call of ours."""
    if (refusal := call.refusal(len(body))) is not None:
        raise InputError(DOING, refusal)
    try:
        answer, content = wire.exchange(call, body)
    except (LinkError, ConfigError) as error:
        return Outcome(failed=told(error)), b""
    return Outcome(answer=answer), content
