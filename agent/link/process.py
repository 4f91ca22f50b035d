# SPDX-License-Identifier: Apache-2.0
"""The process that speaks to the controller, and may do nothing else: no root, no capability, no device, no file.

In: calls from root, over the socket that systemd holds, each a row of `agent.model.call.CALLS`. Out: what came of it,
as bytes. It knows nobody's key, opens nothing, and keeps nothing: it may be killed and started again at any moment.
"""

from __future__ import annotations

import socket
from collections.abc import Collection
from threading import BoundedSemaphore, Event, Thread

import structlog

from agent.errors import AgentError, ConfigError, InputError, LinkError
from agent.host.line import Line, accepted
from agent.host.sd_notify import Notifier
from agent.link.direct import Direct
from agent.link.relay import told
from agent.model.call import Call, Opening, Outcome
from agent.model.frozen import decode

SOCKET = "link"
"""What systemd hands over, under that name."""
DOING = "serving root"
TICK_S = 1.0
MOST = 32
"""Calls side by side. Root has one line for each of its loops, and one for each command at the console."""
PIECE_S = 30.0

log = structlog.get_logger("link")


def run(notifier: Notifier) -> None:
    """Until killed, which costs the calls under way and nothing else. Raises `InputError`."""
    listener = notifier.taken(SOCKET)
    if listener is None:
        raise InputError(
            "speaking to the controller", "no socket was handed over", hint="systemd starts this: bms-agent-link.socket"
        )
    serve(listener, notifier, Event())


def serve(listener: socket.socket, notifier: Notifier, stop: Event, trusts: Collection[int] | None = None) -> None:
    """Until stopped: a thread for each line."""
    room = BoundedSemaphore(MOST)
    listener.settimeout(TICK_S)
    notifier.ready("speaking to the controller for root")
    while not stop.is_set():
        notifier.watchdog()
        if not room.acquire(timeout=TICK_S):
            continue
        line = accepted(listener, DOING, trusts)
        if line is None:
            room.release()
        else:
            Thread(target=converse, args=(line, room), name="line", daemon=True).start()


def converse(line: Line, room: BoundedSemaphore) -> None:
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
                outcome, body = made(wire, decode(Call, piece[0], DOING), piece[1])
                line.send(outcome.model_dump_json().encode(), body, PIECE_S)
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
