# SPDX-License-Identifier: Apache-2.0
"""Root's side of the split under Ironic: its calls are made by the process that makes those to our own controller
(`agent.link.process`), and that may do nothing else.

    root: says, judges  ──► /run/bms-agent-link/socket ──►  bms-agent-link: HTTP, TLS  ──► Ironic

Root reads neither HTTP nor TLS of Ironic's: it gets bytes of a bounded size back, and takes them for what its models
make of them. A call is a row of `agent.model.ironic.call.CALLS`; where it goes, and how, is said when a line is opened.

What the split cannot do: whoever has taken that process sees the token, which is in each heartbeat and in the answer to
the lookup, and the key by which Ironic's operator may have us known. To root it then is Ironic: it can say that this
machine is another node and, by the agent's API, give orders, which are judged as Ironic's are. More it is not: no file,
device, setting or memory of root's is open to it, and no disk but by an order; what it answers ends in a model of
root's, or in a call that failed.
"""

from __future__ import annotations

from typing import Protocol

from agent.link.relay import WHOLE_S, Beside, Partner
from agent.model.call import Answer
from agent.model.ironic.call import LARGEST_ANSWER_BYTES, Call, Opening, Whom


class Wire(Protocol):
    """A way to Ironic."""

    def exchange(self, call: Call, body: bytes) -> tuple[Answer, bytes]:
        """Raises `LinkError`, `ConfigError`."""
        ...


class Relay:
    """`Wire` through the process behind a socket."""

    def __init__(self, socket: str, opening: Opening, beside: Beside | None = None, more_s: float = WHOLE_S) -> None:
        """`more_s`: beside what a call may take there, for name servers, and a process that has to start."""
        self._socket = socket
        self._opening = opening
        self._more_s = more_s
        self._partner = Partner(socket, beside, LARGEST_ANSWER_BYTES)
        self._partner.introduce(Whom(whom="ironic"), opening.model_dump_json().encode())

    def exchange(self, call: Call, body: bytes) -> tuple[Answer, bytes]:
        """Raises `LinkError`, `ConfigError`."""
        within_s = self._opening.longest_s(call) + self._more_s
        return self._partner.ask(f"{call.doing} through {self._socket}", call, body, within_s)


def wire_to(opening: Opening, socket: str | None, beside: Beside | None = None) -> Wire:
    """The way there."""
    if socket is not None:
        return Relay(socket, opening, beside)
    from agent.link.ironic.direct import Direct  # only now: beside the other process, this one needs no HTTP nor TLS

    return Direct(opening)
