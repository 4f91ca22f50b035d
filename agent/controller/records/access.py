# SPDX-License-Identifier: Apache-2.0
"""Who may do what: users, their tokens, whoever calls right now, and what is remembered of the calls."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from agent.controller.records.owned import Name, Owned
from agent.model.frozen import Frozen
from agent.program.printable import on_one_line

PATH_CHARACTERS = 255


class Role(StrEnum):
    """What somebody may do; each may do what the ones before it may."""

    VIEWER = "viewer"
    """read"""
    OPERATOR = "operator"
    """create, change, delete"""
    ADMIN = "admin"
    """users, tokens, the audit trail"""

    def covers(self, needed: Role) -> bool:
        """Whether this one may do what that one may."""
        order = list(Role)
        return order.index(self) >= order.index(needed)


class UserSpec(Frozen):
    """A person or a program; `project` null is the whole cloud, with its nodes, flavors and public addresses."""

    name: Name
    role: Role = Role.VIEWER
    project: Name | None = None


class User(UserSpec):
    """A user as it is kept."""

    created_at: datetime


class ApiToken(Frozen):
    """A user's token: its digest alone is kept. Its role may be lower than the user's, never higher."""

    id: str
    digest: str
    user: str
    role: Role
    note: str = ""
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None = None
    used_at: datetime | None = Field(default=None, description="to the hour")


class Caller(Frozen):
    """Who asks for what is being done."""

    name: str
    role: Role
    project: str | None = Field(default=None, description="as of which they act; null: the whole cloud")
    of_cloud: bool = Field(default=False, description="they are of no project, whichever they act in")
    token_id: str | None = None
    address: str = ""
    call_id: str = Field(description="of this one call")
    method: str = ""
    path: str = ""
    subject: str | None = Field(default=None, description="the name in what was sent")

    def sees(self, record: Frozen) -> bool:
        """Whether this record exists, for them."""
        if self.project is None or not isinstance(record, Owned):
            return True
        return record.project == self.project or (record.project is None and record.shared)

    def owns(self, record: Frozen) -> bool:
        """Whether they may change it, as far as it goes by whose it is."""
        return self.project is None or (isinstance(record, Owned) and record.project == self.project)


class Audited(Frozen):
    """One call that changed something, or was refused to: never changed itself, and never deleted."""

    id: str = Field(description="of the call; sorts by time")
    at: datetime
    who: str
    role: Role
    project: str | None
    token_id: str | None
    address: str
    method: str
    path: str
    subject: str | None
    refused: str | None = Field(default=None, description="the code of the refusal; null: it was done")


def audited(caller: Caller, at: datetime, refused: str | None = None) -> Audited:
    """What is remembered of a call. Its path may hold anything, and PostgreSQL takes no NUL."""
    told = caller.model_dump(exclude={"name", "call_id", "of_cloud", "path"})
    path = on_one_line(caller.path[:PATH_CHARACTERS])
    return Audited(id=caller.call_id, at=at, who=caller.name, path=path, refused=refused, **told)
