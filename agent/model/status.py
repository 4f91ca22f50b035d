# SPDX-License-Identifier: Apache-2.0
"""How the resident agent is, in its own words: what it writes into /run for the screen, and for whoever asks."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from agent.model.fault import Fault
from agent.model.frozen import Frozen
from agent.model.job import Progress

FILE = "status.json"
"""In the runtime directory."""
OPEN = ("session open", "conducted by Ironic")
"""What it is doing then: it knows itself whether its controller hears it."""


class Status(Frozen):
    """Of one run of the process. `faults` are those of now: what is over is not in it."""

    conductor: Literal["embedded", "ironic"] = Field(description="whose orders it takes")
    controller: str = Field(description="its URL, without secrets")
    fingerprint: str | None = Field(default=None, description="of the node's key: an operator compares it")
    doing: str = Field(description="enrolling, session open …")
    node_id: str | None = None
    progress: Progress | None = None
    faults: tuple[Fault, ...] = ()
    boot_id: str
    at: datetime
