# SPDX-License-Identifier: Apache-2.0
"""Finding what a user names, by id or by name; and what is said when a name is taken, or its bearer in use."""

from __future__ import annotations

from typing import TypeVar

from agent.controller.records.access import Caller
from agent.controller.records.server import Server, ServerStatus
from agent.controller.refusal import BadParameter, Forbidden, InUse, NameTaken, Refused, ServerMissing
from agent.controller.store.database import Transaction
from agent.controller.store.shelf import Shelf
from agent.model.frozen import Frozen
from agent.program.log import Logger

R = TypeVar("R", bound=Frozen)
LIVING = tuple(status for status in ServerStatus if status is not ServerStatus.DELETED)

log = Logger("controller")


def named(shelf: Shelf[R], key: str, doing: str, refusal: type[Refused], kind: str, *, to_change: bool = False) -> R:
    """The record with this id or name, as far as it exists for whoever asks. Raises the refusal, or `Forbidden`."""
    record = shelf.get(key) or shelf.find(name=key)
    if record is None or not shelf.sees(record):
        raise refusal(doing, f"there is no {kind} {key}")
    if to_change:
        own(shelf.caller, record, doing)
    return record


def own(caller: Caller | None, record: Frozen, doing: str) -> None:
    """Raises `Forbidden` unless whoever asks may change it."""
    if caller is not None and not caller.owns(record):
        raise Forbidden(doing, f"it is shared by all projects, and {caller.name} is of project {caller.project}")


def server_named(tx: Transaction, key: str, doing: str) -> Server:
    """The server with this id, deleted or not, or the living one with this name.

    Raises `ServerMissing`, or `BadParameter` if several have that name.
    """
    server = tx.servers.get(key)
    if server is not None and tx.servers.sees(server):
        return server
    found = tx.servers.visible(name=key, status=LIVING)
    if not found:
        raise ServerMissing(doing, f"there is no server {key}")
    if len(found) > 1:
        told = f"{len(found)} servers are called {key}: {', '.join(server.id for server in found)}"
        raise BadParameter(doing, told, hint="Name the one that is meant by its id.")
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
