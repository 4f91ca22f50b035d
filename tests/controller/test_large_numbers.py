# SPDX-License-Identifier: Apache-2.0
"""Numbers that no database holds, in every place of every route where a number may stand: whoever sends one is told
which it was, in our words, and never in the database's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import pytest

from agent.model.job import JobReport, JobState, SequencedReport
from agent.model.protocol import ReportBatch
from tests.controller.machine import Machine
from tests.controller.people import administrator, furnish, person
from tests.controller.routes import BODIES
from tests.controller.world import World

LARGE = (2**31, 2**63, 2**64, 10**40, -(2**63) - 1)
OF_A_DATABASE = re.compile(
    r"sqlite|psycopg|postgres|too large to convert|out of range|overflow|\bINSERT\b|\bUPDATE\b", re.I
)
KEPT = {2**31: {"file_bytes", "size_bytes", "generation"}}
"""What may be as large as that: lengths, and a generation by hand."""


@dataclass(frozen=True)
class Place:
    """Where a whole number may stand: in a body, by its path there, or in a query."""

    method: str
    route: str
    at: tuple[str, ...]
    is_query: bool = False


def places(document: dict[str, Any]) -> Iterator[Place]:
    """All of the users' routes, from the OpenAPI; lists and tables count as their first item."""
    for route, operations in document["paths"].items():
        for method, operation in operations.items():
            for parameter in operation.get("parameters", ()):
                for at in numbers(document, parameter["schema"], (parameter["name"],), frozenset()):
                    yield Place(method.upper(), route, at, is_query=parameter["in"] == "query")
            content = operation.get("requestBody", {}).get("content", {}).get("application/json")
            for at in numbers(document, content["schema"], (), frozenset()) if content else ():
                yield Place(method.upper(), route, at)


def numbers(
    document: dict[str, Any], schema: dict[str, Any], at: tuple[str, ...], seen: frozenset[str]
) -> Iterator[tuple[str, ...]]:
    """Paths to every whole number below a schema, once."""
    if (name := schema.get("$ref", "").rpartition("/")[2]) and name not in seen:
        yield from numbers(document, document["components"]["schemas"][name], at, seen | {name})
    if schema.get("type") == "integer":
        yield at
    for kind in ("anyOf", "oneOf", "allOf"):
        for one in schema.get(kind, ()):
            yield from numbers(document, one, at, seen)
    for key, one in schema.get("properties", {}).items():
        yield from numbers(document, one, (*at, key), seen)
    for more, key in (("items", "0"), ("additionalProperties", "any")):
        if isinstance(schema.get(more), dict):
            yield from numbers(document, schema[more], (*at, key), seen)


def put(body: Any, at: tuple[str, ...], number: int) -> Any:
    """The body with that number there: what is on the way and is not there is made."""
    if not at:
        return number
    key, *rest = at
    if key == "0":
        return [put(body[0] if isinstance(body, list) and body else {}, tuple(rest), number)]
    own = deepcopy(body) if isinstance(body, dict) else {}
    return own | {key: put(own.get(key), tuple(rest), number)}


def test_users_are_told_which(world: World) -> None:
    """Every number of every route, one at a time in a body that is understood: none is a fault of ours, none is
    answered in the database's words, and what is refused as too large is named."""
    theirs = furnish(world, person(world, "blue", "operator", "blue"))
    document = world.http.get("/openapi.json").json()
    found = [place for place in dict.fromkeys(places(document)) if not place.route.startswith("/v1/agent/")]
    assert {("cores",), ("nic_mbps",), ("segment_id",), ("generation",), ("limit",)} <= {place.at for place in found}
    caller = administrator(world, "blue")
    for place in found:
        path = re.sub(r"([^/]+)/\{\w+\}", lambda word: f"{word[1]}/{theirs.names.get(word[1], 'none')}", place.route)
        for number in LARGE:
            if place.is_query:
                answer = caller.call(place.method, f"{path}?{place.at[0]}={number}")
            else:
                answer = caller.call(place.method, path, put(BODIES.get((place.method, place.route)), place.at, number))
            told = f"{place}, {number}: {answer.status_code} {answer.text}"
            assert answer.status_code < 500 and not OF_A_DATABASE.search(answer.text), told
            if place.at[-1] in KEPT.get(number, ()):
                continue
            assert answer.status_code in (400, 422), told
            assert place.at[-1] in ("0", "any") or re.search(rf"\b{place.at[-1]}\b", answer.text), told
    assert "unexpected error" not in world.log.getvalue()


@pytest.mark.parametrize("number", LARGE[1:])
def test_agents_are_told_which(world: World, number: int) -> None:
    """What an agent counts, and what its hardware says: refused by name where it is kept as a number."""
    machine = Machine(world).power_on()
    beat, at = machine.heartbeat(1), world.clock.now()
    report = JobReport(request_id="r", verb="disk.erase", state=JobState.FAILED, at=at)
    entry = SequencedReport(sequence=1, report=report).model_copy(update={"sequence": number})
    batch = ReportBatch(stream_id="s", reports=(entry,))
    answers = {
        "sequence": [
            machine.send("/v1/agent/heartbeat", beat.model_copy(update={"sequence": number})),
            machine.send("/v1/agent/reports", batch),
        ],
        "applied_generation": [
            machine.send("/v1/agent/heartbeat", beat.model_copy(update={"applied_generation": number}))
        ],
    }
    for field, given in answers.items():
        for answer in given:
            assert answer.status_code == 422 and field in answer.text, answer.text
            assert not OF_A_DATABASE.search(answer.text)

    inventory = machine.inventory
    cpu = inventory.cpu.model_copy(update={"threads": number})
    answer = machine.send("/v1/agent/inventory", inventory.model_copy(update={"cpu": cpu}))
    assert answer.status_code < 500 and not OF_A_DATABASE.search(answer.text), answer.text
    world.user("GET", f"/v1/nodes/{machine.node_id}")
    assert "unexpected error" not in world.log.getvalue()


def test_what_an_earlier_release_took_is_still_read(world: World) -> None:
    """A flavor larger than is taken by now: SQLite holds it, and it is shown and compared as it is."""
    world.user("POST", "/v1/flavors", {"name": "huge", "cores": 7}, status=201)
    with world.controller.write() as tx:
        (flavor,) = (one for one in tx.flavors.all() if one.name == "huge")
        tx.flavors.change(flavor, cores=2**40)

    assert world.user("GET", "/v1/flavors/huge")["cores"] == 2**40
