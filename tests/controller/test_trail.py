# SPDX-License-Identifier: Apache-2.0
"""The audit trail over every route that the OpenAPI has: each call of a user's that changes something is in it, once,
with who, where from, and what; so is each that was refused.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.controller.people import Belongings, Person, administrator, furnish, person
from tests.controller.routes import BODIES, Route, users_routes
from tests.controller.world import World

CHANGING = tuple(route for route in users_routes() if not route.reads)
UPLOADS = {
    ("POST", "/v1/images/upload"): "?name=up&format=raw",
    ("POST", "/v1/images/import/upload"): "?name=up2&file=a",
}
LEAST_DONE = 25
"""Routes whose call succeeds with what is in the table; the others are refused by the state that things are in."""


@pytest.fixture
def theirs(world: World) -> Belongings:
    """A project that has one of everything."""
    return furnish(world, person(world, "blue", "operator", "blue"))


def called(somebody: Person, route: Route, theirs: Belongings) -> tuple[int, str]:
    """Call it, with a body that it understands; the status, and the path."""
    path = route.filled(theirs.names)
    if route.key in UPLOADS:
        headers = {"Authorization": f"Bearer {somebody.token}"}
        return somebody.world.http.post(
            path + UPLOADS[route.key], headers=headers, content=bytes(4096)
        ).status_code, path
    return somebody.call(route.method, path, BODIES.get(route.key)).status_code, path


def entries(world: World) -> list[Any]:
    """All of the trail."""
    return list(administrator(world).does("GET", "/v1/audit?limit=1000"))


def test_every_change_is_in_it(world: World, theirs: Belongings) -> None:
    """Exactly one entry a call, be it done or refused: nothing that changes something goes without a word."""
    done = []
    for route in CHANGING:
        before = {entry["id"] for entry in entries(world)}
        status, path = called(administrator(world), route, theirs)
        new = [entry for entry in entries(world) if entry["id"] not in before]
        if status == 422:
            continue  # it was not understood, so nobody was asked for anything
        approved = route.path.endswith("/approve") and len(new) == 2  # the order was, and could not be given
        told = [(one["who"], one["method"], one["path"]) for one in new]
        assert told == [("admin-token", route.method, path)] * (2 if approved else 1), route
        assert (new[0]["refused"] is None) == (status < 400), (route, new)
        assert new[0]["address"]
        done += [route] if status < 400 else []

    assert len(done) >= LEAST_DONE, [route.key for route in done]


def test_every_refusal_is_in_it(world: World, theirs: Belongings) -> None:
    """A viewer who tries it all is told of, with their token, and nothing else has happened."""
    eve = person(world, "eve", "viewer")
    for route in CHANGING:
        before = len(entries(world))
        status, path = called(eve, route, theirs)
        newest = entries(world)[0]
        assert status in (403, 422), route
        if status == 403:
            assert len(entries(world)) == before + 1
            assert (newest["who"], newest["path"], newest["refused"]) == ("eve", path, "AUTH.FORBIDDEN"), route
            assert newest["token_id"]
