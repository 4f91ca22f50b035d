# SPDX-License-Identifier: Apache-2.0
"""The administrator's face: users, tokens, the audit trail. Who one is oneself, everybody may ask."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query

from agent.controller.api.auth import Acting, User, admin
from agent.controller.flow import access
from agent.controller.flow.access import TokenSpec
from agent.controller.records.access import ApiToken, Audited, Role, UserSpec
from agent.controller.records.access import User as Kept
from agent.model.frozen import Frozen, Secret

router = APIRouter(prefix="/v1", tags=["access"])
of_admins = [Depends(admin)]


class Whoami(Frozen):
    """Whoever calls."""

    name: str
    role: Role
    project: str | None


class TokenView(Frozen):
    """A token without what makes it one."""

    id: str
    user: str
    role: Role
    note: str
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None
    used_at: datetime | None


class NewToken(TokenView):
    """The one answer that has it."""

    token: Secret


@router.get("/whoami")
def get_whoami(caller: User) -> Whoami:
    """What this token is good for."""
    return Whoami(name=caller.name, role=caller.role, project=caller.project)


@router.post("/users", status_code=201, dependencies=of_admins)
def post_user(spec: UserSpec, controller: Acting) -> Kept:
    """Create a user, of a project or of the whole cloud."""
    return access.create_user(controller, spec)


@router.get("/users", dependencies=of_admins)
def get_users(controller: Acting) -> tuple[Kept, ...]:
    """Every user."""
    with controller.read() as tx:
        return access.users(tx)


@router.delete("/users/{name}", status_code=204, dependencies=of_admins)
def delete_user(name: str, controller: Acting) -> None:
    """Delete a user with all tokens; what the user made stays."""
    access.delete_user(controller, name)


@router.post("/tokens", status_code=201, dependencies=of_admins)
def post_token(spec: TokenSpec, controller: Acting) -> NewToken:
    """Create a token for a user. It is in this answer, and nowhere else."""
    token, secret = access.create_token(controller, spec)
    return NewToken(token=secret, **dict(token_view(token)))


@router.get("/tokens", dependencies=of_admins)
def get_tokens(controller: Acting) -> tuple[TokenView, ...]:
    """Every token, spent ones too."""
    with controller.read() as tx:
        return tuple(token_view(token) for token in sorted(access.tokens(tx), key=lambda token: token.created_at))


@router.delete("/tokens/{token_id}", dependencies=of_admins)
def delete_token(token_id: str, controller: Acting) -> TokenView:
    """Revoke a token: it stays in the list, and is good for nothing."""
    return token_view(access.revoke_token(controller, token_id))


@router.get("/audit", dependencies=of_admins)
def get_audit(
    controller: Acting,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    before: Annotated[str | None, Query(max_length=64, description="id of an entry: those older than it")] = None,
) -> tuple[Audited, ...]:
    """Who did what, the newest first."""
    with controller.read() as tx:
        return access.trail(tx, limit, before)


def token_view(token: ApiToken) -> TokenView:
    """As it may be shown."""
    return TokenView.model_validate({name: getattr(token, name) for name in TokenView.model_fields})
