# SPDX-License-Identifier: Apache-2.0
"""Users and their tokens: made, looked up at every call, revoked; and the trail of what was done."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import Field, SecretStr

from agent.controller.context import Controller
from agent.controller.flow.lookup import added
from agent.controller.keys import KEY_BYTES, digest
from agent.controller.records.access import ApiToken, Audited, Caller, Role, User, UserSpec, audited
from agent.controller.records.owned import Name
from agent.controller.refusal import BadParameter, Forbidden, Missing, NameTaken, Unauthorized
from agent.controller.store.database import Transaction
from agent.model.frozen import Frozen
from agent.program.log import Logger

USED_STEP = timedelta(hours=1)
MARK = "bms_"
"""By which a scanner of leaked secrets knows one."""
LIFETIME_DAYS = 90
ADMINISTRATOR, ANYBODY, RESTORE = "admin-token", "anybody", "restore"
"""Who is no user: whoever has that file, whoever calls where no token is asked for, and a restored backup."""
OURS = frozenset({ADMINISTRATOR, ANYBODY, RESTORE})

log = Logger("controller")


@dataclass(frozen=True)
class Known:
    """Who a token says that they are."""

    name: str
    role: Role
    project: str | None
    token_id: str | None = None


class TokenSpec(Frozen):
    """A token to be. Its role is the user's, or a lower one."""

    user: Name
    role: Role | None = None
    days: int = Field(default=LIFETIME_DAYS, ge=1, le=366, description="until it expires")
    note: str = Field(default="", max_length=255, pattern=r"^[^\x00-\x1f]*$", description="what it is for")


def user_of(controller: Controller, token: str) -> Known:
    """Raises `Unauthorized` for a token that was never made, is revoked, or has expired."""
    now, doing = controller.clock.now(), "authenticating a user"
    with controller.read() as tx:
        kept = tx.api_tokens.find(digest=digest(token))
        user = tx.users.get(kept.user) if kept else None
    if kept is None or user is None:
        raise Unauthorized(doing, "the token is wrong")
    if kept.revoked_at is not None:
        raise Unauthorized(doing, f"token {kept.id} of {user.name} is revoked")
    if kept.expires_at <= now:
        raise Unauthorized(doing, f"token {kept.id} of {user.name} has expired")
    if kept.used_at is None or now - kept.used_at >= USED_STEP:
        _note_use(controller, kept, now)
    role = kept.role if user.role.covers(kept.role) else user.role
    return Known(user.name, role, user.project, kept.id)


def _note_use(controller: Controller, token: ApiToken, now: datetime) -> None:
    """As well as it goes: who reads is not kept waiting for an answer by a database that cannot be written to."""
    try:
        with controller.write() as tx:
            if tx.api_tokens.get(token.id) is not None:
                tx.api_tokens.change(token, used_at=now)
    except Exception:  # it is full, locked or read-only
        log.exception("a token's use is not noted", id=token.id)


def create_user(controller: Controller, spec: UserSpec) -> User:
    """Whoever is of a project makes users of that project alone. Raises `NameTaken`, `Forbidden`."""
    if spec.name.lower() in OURS:
        raise NameTaken(f"creating user {spec.name}", "the trail calls somebody else that")
    project = spec.project or controller.project
    if controller.project not in (None, project):
        raise Forbidden(f"creating user {spec.name}", f"you are of project {controller.project}")
    user = User(name=spec.name, role=spec.role, project=project, created_at=controller.clock.now())
    with controller.write() as tx:
        return added(tx.users, user, "user", user.name)


def delete_user(controller: Controller, name: str) -> None:
    """With all tokens. Raises `Missing`."""
    with controller.write() as tx:
        user = user_named(tx, name, "deleting a user")
        tx.api_tokens.remove(user=user.name)
        tx.users.remove(name=user.name)
    log.info("user deleted", name=name)


def create_token(controller: Controller, spec: TokenSpec) -> tuple[ApiToken, SecretStr]:
    """The token itself is nowhere kept: this is the one time that it is told. Raises `Missing`, `BadParameter`."""
    now, secret = controller.clock.now(), MARK + secrets.token_urlsafe(KEY_BYTES)
    with controller.write() as tx:
        user = user_named(tx, spec.user, "creating a token")
        role = spec.role or user.role
        if not user.role.covers(role):
            raise BadParameter(f"creating a token for {user.name}", f"role: {user.name} is {user.role.value} only")
        token = tx.api_tokens.add(
            ApiToken(
                id=secrets.token_hex(6),
                digest=digest(secret),
                user=user.name,
                role=role,
                note=spec.note,
                created_at=now,
                expires_at=now + timedelta(days=spec.days),
            )
        )
    log.info("token created", id=token.id, user=user.name, role=role.value)
    return token, SecretStr(secret)


def revoke_token(controller: Controller, token_id: str) -> ApiToken:
    """From the next call on it is worth nothing; revoking it again changes nothing. Raises `Missing`."""
    with controller.write() as tx:
        token = tx.api_tokens.get(token_id)
        if token is None or token not in tokens(tx):
            raise Missing("revoking a token", f"there is no token {token_id}")
        log.info("token revoked", id=token.id, user=token.user)
        return tx.api_tokens.change(token, revoked_at=token.revoked_at or controller.clock.now())


def users(tx: Transaction) -> tuple[User, ...]:
    """Those of the caller's project, or all."""
    project = tx.caller.project if tx.caller else None
    return tx.users.all() if project is None else tx.users.all(project=project)


def tokens(tx: Transaction) -> tuple[ApiToken, ...]:
    """Those of these users."""
    return tx.api_tokens.all(user=tuple(user.name for user in users(tx)))


def user_named(tx: Transaction, name: str, doing: str) -> User:
    """Raises `Missing`."""
    user = next((user for user in users(tx) if user.name == name), None)
    if user is None:
        raise Missing(doing, f"there is no user {name}")
    return user


def trail(tx: Transaction, count: int, before: str | None) -> tuple[Audited, ...]:
    """What was done in the caller's project, or anywhere; the newest first."""
    project = tx.caller.project if tx.caller else None
    return tx.audit.newest(count, before) if project is None else tx.audit.newest(count, before, project=project)


def remember_refusal(controller: Controller, caller: Caller, at: datetime, code: str) -> None:
    """A call that was to change something, and was refused."""
    entry = audited(caller, at, code)
    with controller.store.write() as tx:
        if not tx.audit.try_add(entry):  # part of it was done: an order was approved, and could not be given
            tx.audit.try_add(entry.model_copy(update={"id": f"{entry.id}.refused"}))
