# SPDX-License-Identifier: Apache-2.0
"""Orders that destroy data and wait for a second person."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from agent.controller.records.owned import Owned


class Destructive(StrEnum):
    """What is ordered."""

    DELETE = "delete server"
    REINSTALL = "reinstall server"
    CLEAN = "clean node"


class Decision(StrEnum):
    """What the second person said."""

    APPROVED = "approved"
    REFUSED = "refused"


class Approval(Owned):
    """An order as it was asked for, and what became of it; `subject_id` is the server's, or the node's."""

    id: str
    order: Destructive
    subject_id: str
    name: str = Field(description="of the server or the node, when it was asked")
    verify: bool = False
    asked_by: str
    asked_at: datetime
    expires_at: datetime
    decision: Decision | None = None
    decided_by: str | None = None
    decided_at: datetime | None = None
