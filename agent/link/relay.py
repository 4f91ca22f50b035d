# SPDX-License-Identifier: Apache-2.0
"""Root's side of the split: calls to the controller that another process makes, which may do nothing else.

    root: signs, judges  ──► /run/bms-agent-link/socket ──►  bms-agent-link: HTTP, TLS  ──► controller

Who opens disks and changes the network reads neither HTTP nor TLS: it gets bytes of a bounded size back, and takes them
for what its models make of them. So a fault in what reads the network is not root's. What the split cannot do is to
tell a controller's orders from those that a taken link makes up: ledger, plan and check judge both alike.

The node's key stays on this side, as OpenSSH's monitor keeps the host's: each call comes signed, and is good once. The
credential goes by in its header; the certificate that opens connections, with a key of its own, when a line is opened.
The other process keeps nothing, on no disk and over no start. systemd holds the socket while it is away: a call then
waits, or fails as any call does, and is made again.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from pydantic import SecretStr

from agent.errors import ConfigError, DecodeError, LinkError
from agent.host.doors import Files
from agent.host.line import BODY_BYTES, Line, dialled
from agent.life.lives import LINK, Lives
from agent.model.call import Answer, Call, Failed, Opening, Outcome
from agent.model.fault import Fault
from agent.model.frozen import Frozen, decode
from agent.program.log import Logger

SEND_S = 30.0
WHOLE_S = 150.0
"""For all of a call but waiting: an authority, a connection, an answer, each of which has an end of its own there."""

log = Logger("link")


class Wire(Protocol):
    """A way to the controller."""

    def exchange(self, call: Call, body: bytes) -> tuple[Answer, bytes]:
        """Raises `LinkError`, `ConfigError`."""
        ...

    def show(self, shown: str | None) -> None:
        """With which certificate and key, as PEM, connections are opened from now on."""
        ...


@dataclass
class Beside:
    """The process that makes the calls, as its answers tell of it; all clients may have this in common."""

    ended: int = 0
    """How many before it ended, one after the other."""

    @property
    def fault(self) -> Fault | None:
        """What is to be told of that."""
        last = Fault(code="LINK.ENDED", message="systemd knows how")
        return Lives(ended=self.ended, last=last).fault(0.0, LINK) if self.ended else None


class Partner:
    """The process behind a socket, by one line, which is made anew after it broke."""

    def __init__(self, socket: str, beside: Beside | None = None, most_bytes: int = BODY_BYTES) -> None:
        """`most_bytes`: of an answer."""
        self._beside = beside or Beside()
        self._path = socket
        self._most_bytes = most_bytes
        self._line: Line | None = None
        self._first = b"", b""

    def introduce(self, opening: Frozen, body: bytes = b"") -> None:
        """What is said first, on a line of its own."""
        if self._line is not None:
            self._line.close()
        self._line = None
        self._first = opening.model_dump_json().encode(), body

    def ask(self, doing: str, call: Frozen, body: bytes, within_s: float) -> tuple[Answer, bytes]:
        """Raises `LinkError`, `ConfigError`."""
        line, self._line = self._line or self._opened(doing), None
        try:
            line.send(call.model_dump_json().encode(), body, SEND_S)
            found = line.receive(within_s)
            if found is None:
                raise LinkError(doing, "that process ended, or hung up", hint="systemctl status bms-agent-link")
            answer = judged(found[0], doing, self._beside)
            if len(found[1]) > self._most_bytes:
                raise LinkError(doing, f"that process makes no sense: an answer of {len(found[1])} bytes")
        except BaseException:
            line.close()
            raise
        self._line = line
        return answer, found[1]

    def _opened(self, doing: str) -> Line:
        line = dialled(self._path, doing)
        line.send(*self._first, SEND_S)
        return line


class Relay:
    """`Wire` through the process behind a socket."""

    def __init__(self, socket: str, url: str, ca: str | None, beside: Beside | None = None) -> None:
        self._path = socket
        self._opening = Opening(url=url, ca=ca)
        self._partner = Partner(socket, beside)
        self._partner.introduce(self._opening)

    def exchange(self, call: Call, body: bytes) -> tuple[Answer, bytes]:
        """Raises `LinkError`, `ConfigError`."""
        doing = f"calling {call.method} {self._opening.url}{call.path} through {self._path}"
        return self._partner.ask(doing, call, body, WHOLE_S + call.wait_s)

    def show(self, shown: str | None) -> None:
        """On a line of its own: it is told first of all."""
        told = SecretStr(shown) if shown is not None else None
        self._opening = self._opening.model_copy(update={"shown": told})
        self._partner.introduce(self._opening)


def judged(head: bytes, doing: str, beside: Beside) -> Answer:
    """What that process says has come of a call. It may be anybody's by now. Raises `LinkError`, `ConfigError`."""
    try:
        outcome = decode(Outcome, head, doing)
    except DecodeError as error:
        raise LinkError(doing, f"that process makes no sense: {error.evidence}") from error
    beside.ended = outcome.ended
    if outcome.failed is not None:
        raise raised(outcome.failed)
    if outcome.answer is None:
        raise LinkError(doing, "that process makes no sense: neither an answer nor a failure")
    return outcome.answer


def raised(failed: Failed) -> LinkError | ConfigError:
    """As if it had happened here."""
    kind = ConfigError if failed.is_setting else LinkError
    return kind(failed.doing, failed.evidence, hint=failed.hint)


def told(error: LinkError | ConfigError) -> Failed:
    """The same, for the other side."""
    return Failed(
        is_setting=isinstance(error, ConfigError),
        doing=error.doing[:1000],
        evidence=error.evidence[:1000],
        hint=error.hint[:1000],
    )


def socket_of(files: Files, path: str) -> str | None:
    """Where the process listens that speaks for us; None where there is none: by hand, in tests, in an older image."""
    if files.exists(path):
        log.info("the controller is spoken to by another process", socket=path)
        return path
    log.warning("the controller is spoken to by this very process: bms-agent-link.socket is not there", socket=path)
    return None


def woken(path: str | None) -> None:
    """systemd starts that process now, beside whatever is done here before the first call. Who is not there is told of
    by that."""
    if path is not None:
        with suppress(LinkError):
            dialled(path, "waking it").close()


def wire_to(url: str, ca: str | None, socket: str | None, beside: Beside | None = None) -> Wire:
    """The way there."""
    if socket is not None:
        return Relay(socket, url, ca, beside)
    from agent.link.direct import Direct  # only now: beside the other process, this one needs neither HTTP nor TLS

    return Direct(url, ca)
