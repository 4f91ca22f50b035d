# SPDX-License-Identifier: Apache-2.0
"""A call to the controller, between the two processes that make it: `agent.link.relay` asks, `agent.link.process` does.

The table of calls is closed: what is not a row of it is not made, whoever asks.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from agent.model import signature
from agent.model.bundle import LARGEST_BYTES
from agent.model.frozen import Frozen, Secret
from agent.model.pin import Pin
from agent.model.protocol import CERTIFICATE_PATH

JSON = "application/json"
LARGEST_MESSAGE_BYTES = 16 * 1024 * 1024
"""An inventory of the largest machine has one, packed in no way."""
CALLS: dict[tuple[str, str], tuple[str, int]] = {
    ("POST", "/v1/agent/enroll"): (JSON, LARGEST_MESSAGE_BYTES),
    ("POST", "/v1/agent/boot"): (JSON, LARGEST_MESSAGE_BYTES),
    ("POST", CERTIFICATE_PATH): (JSON, 1024),
    ("POST", "/v1/agent/inventory"): (JSON, LARGEST_MESSAGE_BYTES),
    ("POST", "/v1/agent/heartbeat"): (JSON, LARGEST_MESSAGE_BYTES),
    ("GET", "/v1/agent/desired"): (JSON, 0),
    ("POST", "/v1/agent/reports"): (JSON, LARGEST_MESSAGE_BYTES),
    ("POST", "/v1/agent/bundles"): ("application/gzip", LARGEST_BYTES),
}
"""Method and path: what kind of body it has, and its most bytes. What it means is of `agent.model.protocol`."""
HEADERS = frozenset({signature.CREDENTIAL, signature.SIGNATURE, *signature.HEADERS})
"""That a call may bring along."""
LONGEST_WAIT_S = 3600.0

Text = Annotated[str, StringConstraints(max_length=4096)]


class Opening(Frozen):
    """First on each line: whom all its calls go to, and by which certificate its connection is opened."""

    url: Text
    ca: Pin | None = None
    shown: Secret | None = Field(default=None, description="the node's certificate and its key, as PEM")


class Call(Frozen):
    """One call, whole: it is signed already. The body goes beside it."""

    method: Literal["GET", "POST"]
    target: Text = Field(description="path and query")
    kind: Text = JSON
    headers: dict[Text, Text] = Field(default_factory=dict)
    wait_s: float = Field(default=0.0, ge=0, le=LONGEST_WAIT_S)

    @property
    def path(self) -> str:
        """Without its query."""
        return self.target.partition("?")[0]

    def refusal(self, size_bytes: int) -> str | None:
        """Why this is no call of the table; None if it is one."""
        row = CALLS.get((self.method, self.path))
        if row is None:
            return f"{self.method} {self.path} is no call of ours"
        kind, most_bytes = row
        if self.kind != kind or size_bytes > most_bytes:
            return f"{self.path} takes {most_bytes} bytes of {kind}, not {size_bytes} of {self.kind}"
        if strange := self.headers.keys() - HEADERS:
            return f"no call of ours has a header {sorted(strange)[0]}"
        return None


class Answer(Frozen):
    """What was answered. The body goes beside it, and nobody has looked into it."""

    status: int = Field(ge=100, le=999)
    date: Text | None = Field(default=None, description="the controller's clock, as the header Date tells it")
    by: int = Field(default=0, ge=0, description="which of several URLs it was, counted from 0")


class Failed(Frozen):
    """It did not answer, or not as it must."""

    is_setting: bool = Field(default=False, description="a setting of this machine's is wrong, not the way there")
    doing: Text
    evidence: Text
    hint: Text


class Outcome(Frozen):
    """Of one call."""

    answer: Answer | None = None
    failed: Failed | None = None
    ended: int = Field(
        default=0, ge=0, le=1_000_000, description="processes in a row that made calls and ended before this one"
    )
