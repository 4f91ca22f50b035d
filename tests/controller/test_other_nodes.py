# SPDX-License-Identifier: Apache-2.0
"""A node's credential is good for its own node: over every route of the OpenAPI nothing of another node is read or
written with it, by whatever agent it speaks, whatever it says, and wherever that would be kept.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from agent.model.inventory import Inventory
from agent.model.job import JobState
from agent.model.request import EraseRequest
from tests.controller.machine import Machine, a_key
from tests.controller.routes import OPEN, routes, users_routes
from tests.controller.test_identity import Two, sent
from tests.controller.world import World


def kept(two: Two) -> list[tuple[str, str]]:
    """Every row of every table that names the other node, its server, one of its requests or a MAC of its; but for what
    is of the first node, whatever that says."""
    theirs, mine = two.theirs, two.mine.node_id
    words = {theirs.node_id, two.world.server("theirs")["id"], two.request.request_id, theirs.mac}
    found = []
    with closing(sqlite3.connect(two.world.controller.options.data / "controller.sqlite")) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            rows = [repr(row) for row in database.execute(f'SELECT * FROM "{table}"')]
            found += [(table, row) for row in rows if any(word in row for word in words) and mine not in row]
    files = [str(path) for path in (two.world.controller.bundles / theirs.node_id).rglob("*")]
    return sorted([*found, *(("bundles", name) for name in files)])


def lies(two: Two) -> Iterator[tuple[str, Any]]:
    """What more may be said of another node: in what is told lately, and in what is certified of one's own request."""
    theirs, mine = two.theirs, two.mine
    for inventory in (theirs.inventory, mine.inventory.model_copy(update={"nics": theirs.inventory.nics})):
        yield "/v1/agent/inventory", Inventory.model_validate_json(inventory.model_dump_json())
    request = mine.desired().request if mine.mode == "ramdisk" else None
    for state in JobState:
        entries = [theirs.entry(100, two.request, state, result={"verdict": "failed", "node_id": theirs.node_id})]
        if isinstance(request, EraseRequest) and not state.final:
            certificate = mine.certificate(request, node_id=theirs.node_id)
            entries.append(mine.entry(101, request, state, result=certificate))
        for entry in entries:
            told = {"stream_id": f"stream-{state.value}", "reports": [entry.model_dump(mode="json")]}
            yield "/v1/agent/reports", told


def in_service(_: Two) -> None:
    """It is the OS of a server."""


def in_its_ramdisk(two: Two) -> None:
    """It erases its disks, after its server was deleted."""
    two.world.user("DELETE", "/v1/servers/mine", status=202)
    two.world.clock.move(80)
    two.mine.key = a_key()
    two.mine.power_on()
    assert two.mine.mode == "ramdisk" and isinstance(two.mine.desired().request, EraseRequest)


@pytest.mark.parametrize("speaks", [in_service, in_its_ramdisk])
def test_nothing_of_another_node_is_written_or_read(world: World, speaks: Any) -> None:
    """Whoever speaks, in either mode: each row that is the other node's is afterwards what it was, and no answer has a
    word of it."""
    two = Two(world)
    speaks(two)
    messages = [(path, message) for path, each in two.messages().items() if path for message in each]
    agents = {route.path: route for route in routes() if route.is_agents and route.key not in OPEN}
    words = {two.theirs.node_id, world.server("theirs")["id"], two.request.request_id}
    before = kept(two)

    assert {table for table, _ in before} >= {"nodes", "inventories", "sessions", "credentials", "assignments", "jobs"}
    asked = [(path, None) for path, route in agents.items() if route.reads]
    for path, message in [*asked, *messages, *lies(two)]:
        answer = sent(two.mine, agents[path], message)
        assert [word for word in words if word in answer.text] == [], path
        assert kept(two) == before, (path, answer.text)


def test_no_node_is_a_user(world: World) -> None:
    """A call that is signed as an agent's opens no user's route: neither for the other node, nor for its own."""
    two = Two(world)
    before = kept(two)
    for route in users_routes():
        for node_id, server in ((two.mine.node_id, "mine"), (two.theirs.node_id, "theirs")):
            path = re.sub(r"\{[^}]+\}", node_id if "/nodes/" in route.path else server, route.path)
            signed = two.mine.authorization | two.mine.signature(route.method, path)
            answer = world.http.request(route.method, path, headers=signed)
            assert answer.status_code == 401, (route, answer.text)

    assert kept(two) == before


def test_a_row_that_is_written_would_be_seen(world: World) -> None:
    """What is compared above changes with whatever the other node does itself."""
    two = Two(world)
    before = kept(two)
    two.theirs.beat()
    after_a_beat = kept(two)
    sent(two.theirs, next(one for one in routes() if one.path == "/v1/agent/bundles"), b"\x1f\x8b theirs")

    assert before != after_a_beat != kept(two)
    assert isinstance(two.theirs, Machine)
