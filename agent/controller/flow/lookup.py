# SPDX-License-Identifier: Apache-2.0
"""Finding what a user names, by id or by name; and what is said when a name is taken, or its bearer in use."""

from __future__ import annotations

from typing import TypeVar

import structlog

from agent.controller.records.server import Server, ServerStatus
from agent.controller.refusal import BadParameter, InUse, NameTaken, Refused, ServerMissing
from agent.controller.store.database import Transaction
from agent.controller.store.shelf import Shelf
from agent.model.frozen import Frozen

R = TypeVar("R", bound=Frozen)
LIVING = tuple(status for status in ServerStatus if status is not ServerStatus.DELETED)

log = structlog.get_logger("controller")


def named(shelf: Shelf[R], key: str, doing: str, refusal: type[Refused], kind: str) -> R:
    """The record with this id or name. Raises the refusal."""
    record = shelf.get(key) or shelf.find(name=key)
    if record is None:
        raise refusal(doing, f"there is no {kind} {key}")
    return record


def server_named(tx: Transaction, key: str, doing: str) -> Server:
    """The server with this id, deleted or not, or the living one with this name.

    Raises `ServerMissing`, or `BadParameter` if several have that name.
    """
    server = tx.servers.get(key)
    if server is not None:
        return server
    found = tx.servers.all(name=key, status=LIVING)
    if not found:
        raise ServerMissing(doing, f"there is no server {key}")
    if len(found) > 1:
        raise BadParameter(doing, f"{len(found)} servers are called {key}: {', '.join(server.id for server in found)}")
    return found[0]


def added(shelf: Shelf[R], record: R, kind: str, name: str) -> R:
    """A new record. Raises `NameTaken`."""
    if not shelf.try_add(record):
        raise NameTaken(f"creating {kind} {name}", "there is one of that name already")
    log.info(f"{kind} created", name=name)
    return record


def unused(users: int, kind: str, name: str) -> None:
    """Raises `InUse`."""
    if users:
        raise InUse(f"deleting {kind} {name}", f"{users} {'user' if users == 1 else 'users'} left")
