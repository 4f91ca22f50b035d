# SPDX-License-Identifier: Apache-2.0
"""A call to Ironic, between the two processes that make it: `agent.link.ironic.relay` asks, `agent.link.process` does.

The table of calls is closed: what is not a row of it is not made, whoever asks. Where a call goes, and how, was said
when the line was opened; nothing in a call says it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from agent.model.frozen import Frozen, Secret

CONNECT_TIMEOUT_S = 10.0
ANSWER_TIMEOUT_S = 30.0
INSPECTION_TIMEOUT_S = 120.0
LARGEST_ANSWER_BYTES = 8 * 1024 * 1024
"""A node as a lookup tells of it; Ironic says stars in place of a config drive (ironic/api/controllers/v1/node.py)."""

Uuid = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
Mac = Annotated[str, StringConstraints(pattern=r"^[0-9A-Fa-f:.]{0,64}$")]


class Page(StrEnum):
    """Of Ironic's: all that are called."""

    LOOKUP = "lookup"
    HEARTBEAT = "heartbeat"
    INSPECTION = "inspection"


@dataclass(frozen=True)
class Row:
    """Of the table. An inspection goes to URLs of its own, and without a version, as IPA's does: older hooks look for
    that."""

    method: Literal["GET", "POST"]
    path: str
    most_bytes: int
    """Of the body."""
    answer_s: float | None = None
    """In which an answer is to be there; None: as the operator says."""


CALLS = {
    Page.LOOKUP: Row("GET", "/v1/lookup", 0),
    Page.HEARTBEAT: Row("POST", "/v1/heartbeat/", 64 * 1024),
    Page.INSPECTION: Row("POST", "", 32 * 1024 * 1024, INSPECTION_TIMEOUT_S),
}


class Whom(Frozen):
    """The head of the first piece on a line, where it is Ironic that is called; its body is the `Opening`, since a list
    of authorities may be long."""

    whom: Literal["ironic"]


class Manner(Frozen):
    """How Ironic is called.

    ca_pem       the only authorities that are trusted
    client_pem   the certificate, and its key, by which we are known
    request_id   marks all calls in its logs
    """

    ca_pem: str | None = None
    client_pem: Secret | None = None
    insecure: bool = False
    tls_min_version: Literal["1.2", "1.3"] | None = None
    tls_ciphers: str | None = None
    request_id: str | None = None
    api_version: str | None = None
    connect_timeout_s: float = Field(default=CONNECT_TIMEOUT_S, gt=0)
    answer_timeout_s: float = Field(default=ANSWER_TIMEOUT_S, gt=0)


class Opening(Frozen):
    """Whom all calls on a line go to: the first of these URLs that answers at all."""

    urls: tuple[str, ...] = ()
    callbacks: tuple[str, ...] = Field(default=(), description="where the inspection goes")
    version: str = Field(pattern=r"^\d+\.\d+$", description="of Ironic's API")
    manner: Manner = Manner()

    def places(self, call: Call) -> tuple[str, ...]:
        """Where this call goes, in turn."""
        if call.page is Page.INSPECTION:
            return self.callbacks
        return tuple(f"{url}{call.path}" for url in self.urls)

    def answer_s(self, call: Call) -> float:
        """In which an answer of one of these is to be there."""
        return CALLS[call.page].answer_s or self.manner.answer_timeout_s

    def longest_s(self, call: Call) -> float:
        """What all of it may take, name servers aside."""
        return len(self.places(call)) * (self.manner.connect_timeout_s + self.answer_s(call))


class Call(Frozen):
    """One call. The body goes beside it."""

    page: Page
    macs: tuple[Mac, ...] = Field(default=(), description="by which the machine is looked up")
    node_uuid: Uuid | None = None

    @property
    def path(self) -> str:
        """Behind Ironic's URL."""
        return f"{CALLS[self.page].path}{self.node_uuid if self.page is Page.HEARTBEAT else ''}"

    @property
    def query(self) -> dict[str, str]:
        """Behind the path."""
        if self.page is not Page.LOOKUP:
            return {}
        return {"addresses": ",".join(self.macs), **({"node_uuid": self.node_uuid} if self.node_uuid else {})}

    @property
    def doing(self) -> str:
        """For errors."""
        return "posting the inspection" if self.page is Page.INSPECTION else f"calling {self._method} {self.path}"

    @property
    def _method(self) -> str:
        return CALLS[self.page].method

    def refusal(self, size_bytes: int) -> str | None:
        """Why this is no call of the table; None if it is one."""
        if self.page is Page.HEARTBEAT and self.node_uuid is None:
            return "a heartbeat is of a node"
        if size_bytes > CALLS[self.page].most_bytes:
            return f"{self.page.value} takes {CALLS[self.page].most_bytes} bytes, not {size_bytes}"
        return None
