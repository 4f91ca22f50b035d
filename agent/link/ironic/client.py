# SPDX-License-Identifier: Apache-2.0
"""Calls to Ironic's API: inspection, lookup, heartbeat. One client belongs to one thread.

What is said is made here, and what is answered is judged here; the bytes go by a wire: `agent.link.ironic.relay`, or
from this very process. Several URLs are tried in their order, each time. The token stands in bodies only, and in no log
line.
"""

from __future__ import annotations

from collections.abc import Sequence

from agent.errors import ControllerRefused, DecodeError, LinkError
from agent.link.ironic.relay import wire_to
from agent.link.relay import Beside
from agent.model.call import Answer
from agent.model.frozen import decode
from agent.model.ironic.call import Call, Manner, Opening, Page
from agent.model.ironic.wire import Beat, FaultString, Inspected, Lookup, Refusal
from agent.model.url import named

NEWEST = (1, 72)
CERTIFICATES, MESSAGES = (1, 68), (1, 72)
"""1.62 brought tokens, 1.68 the agent's certificate, 1.72 its message (ironic/api/controllers/v1/versions.py)."""
EVIDENCE_CHARS = 500
CONFLICT = 409
PLAIN = Manner()


class Ironic:
    """Ironic, at one of these URLs; inspections go to one of the callbacks. With a socket, the process behind it makes
    the calls; `beside` learns of it."""

    def __init__(
        self,
        urls: Sequence[str],
        manner: Manner = PLAIN,
        callbacks: Sequence[str] = (),
        socket: str | None = None,
        beside: Beside | None = None,
    ) -> None:
        self._version = min(NEWEST, version_of(manner.api_version)) if manner.api_version else NEWEST
        version = ".".join(map(str, self._version))
        self._opening = Opening(urls=tuple(urls), callbacks=tuple(callbacks), version=version, manner=manner)
        self._wire = wire_to(self._opening, socket, beside)

    def lookup(self, macs: Sequence[str], node_uuid: str | None) -> Lookup:
        """Who we are to Ironic. Raises `LinkError`; `ControllerRefused` where it does not wait for such a machine;
        `ConfigError` where its manner is none."""
        content = self._asked(Call(page=Page.LOOKUP, macs=tuple(macs), node_uuid=node_uuid))
        return decode(Lookup, content, "reading the answer of Ironic's lookup")

    def heartbeat(self, node_uuid: str, beat: Beat) -> None:
        """Alive, and here, with as much of it as this version knows. Raises as above."""
        unknown = {"agent_verify_ca"} if self._version < CERTIFICATES else set()
        unknown |= {"agent_status_message"} if self._version < MESSAGES else set()
        body = beat.model_dump_json(exclude_none=True, exclude=unknown)
        self._asked(Call(page=Page.HEARTBEAT, node_uuid=node_uuid), body.encode())

    def inspected(self, document: bytes) -> str:
        """Post an inspection, as JSON; the node's UUID. Raises as above."""
        content = self._asked(Call(page=Page.INSPECTION), document)
        return decode(Inspected, content, "reading the answer to the inspection").uuid

    def _asked(self, call: Call, body: bytes = b"") -> bytes:
        answer, content = self._wire.exchange(call, body)
        places = self._opening.places(call)
        must_be_good(f"{call.doing} at {named(places[min(answer.by, len(places) - 1)])}", answer, content)
        return content


def version_of(text: str) -> tuple[int, int]:
    """`1.62` in numbers."""
    major, _, minor = text.partition(".")
    return int(major), int(minor)


def must_be_good(doing: str, answer: Answer, content: bytes) -> None:
    """Raises `LinkError` where another try may help, `ControllerRefused` where Ironic says no."""
    if 200 <= answer.status < 300:
        return
    told = f"{answer.status}: {reason(content)}"
    if answer.status >= 500 or answer.status == CONFLICT:
        raise LinkError(doing, told)
    raise ControllerRefused(doing, told, refusal=f"HTTP.{answer.status}")


def reason(content: bytes) -> str:
    """Ironic's own words: they stand in JSON in JSON (ironic/api/middleware/parsable_error.py)."""
    doing = "reading a refusal of Ironic's"
    try:
        told = decode(Refusal, content, doing).error_message
        text = (decode(FaultString, told, doing) if isinstance(told, str) else told).faultstring
    except DecodeError:
        text = content[: 4 * EVIDENCE_CHARS].decode("utf-8", "replace") or "no reason given"
    return text[:EVIDENCE_CHARS]
