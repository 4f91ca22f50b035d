# SPDX-License-Identifier: Apache-2.0
"""Whatever is sent to whichever route: it is answered, refused, or not understood; never is it a fault of ours.

Schemathesis makes the calls from the OpenAPI, some with bodies that do not fit it; about half of them name things that
are there. Callers are an administrator, somebody of a project, and a node.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from random import Random
from typing import Any

import hypothesis
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.model.protocol import Refusal
from tests.controller.machine import Machine
from tests.controller.people import Belongings, administrator, furnish, person
from tests.controller.world import World

Mode = schemathesis.GenerationMode
PARTS = 4


@schemathesis.serializer("application/gzip")
def as_it_is(_context: Any, value: Any) -> bytes:
    """A bundle of logs, which is none."""
    return value if isinstance(value, bytes) else str(value).encode(errors="replace")


@pytest.fixture
def theirs(world: World) -> Belongings:
    """A project that has one of everything, and beside it a node that is free."""
    theirs = furnish(world, person(world, "blue", "operator", "blue"))
    Machine(world, 2).power_on()
    return theirs


def answers(
    world: World, theirs: Belongings, lot: Random, examples: int, part: int = 0, parts: int = 1
) -> Counter[tuple[str, int]]:
    """What every route answers to so many calls; of several parts, every so-manieth route."""
    document = world.http.get("/openapi.json").json()
    tokens = (
        administrator(world).token,
        person(world, "red", "admin", "red").token,
        theirs.machine.credential,
    )
    counted: Counter[tuple[str, int]] = Counter()
    for operation in islice(operations(document), part, None, parts):
        for mode in (Mode.POSITIVE, Mode.NEGATIVE) if takes_json(operation) else (Mode.POSITIVE,):

            @hypothesis.seed(lot.randrange(2**32))
            @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
            @given(operation.as_strategy(generation_mode=mode), st.sampled_from(tokens), st.booleans())
            def one(case: Any, token: str, names: bool) -> None:
                counted[operation.label, send(world, theirs, case, token, names=names)] += 1  # noqa: B023 - called at once

            one()
    return counted


def operations(document: dict[str, Any]) -> Iterator[Any]:
    """Every operation of the document."""
    results: Iterator[Any] = schemathesis.openapi.from_dict(document).get_all_operations()
    for result in results:
        yield result.ok()


def takes_json(operation: Any) -> bool:
    """So that there are bodies that do not fit."""
    return any(body.media_type == "application/json" for body in operation.body)


def send(world: World, theirs: Belongings, case: Any, token: str, *, names: bool) -> int:
    """One call; the status of its answer, which is never a fault of ours, and is a fault in our form if it is one."""
    if names:
        noun = next((word for word in reversed(case.path.split("/")) if word in theirs.names), "")
        case.path_parameters = {name: theirs.names.get(noun, "none") for name in case.path_parameters or {}}
    sent = case.as_transport_kwargs(base_url="http://controller")
    kept = {"content": sent.get("data"), "json": sent.get("json"), "params": sent.get("params")}
    headers = {name: value for name, value in dict(sent["headers"]).items() if value.isascii()}
    answer = world.http.request(
        sent["method"],
        sent["url"],
        headers=headers | {"Authorization": f"Bearer {token}"},
        **{name: value for name, value in kept.items() if value is not None},
    )
    assert answer.status_code < 500 or answer.status_code == 503, (case.as_curl_command(), answer.text)
    if answer.status_code >= 400 and answer.content and case.operation.method != "head":
        Refusal.model_validate(json.loads(answer.text))
    return answer.status_code


def test_no_call_is_a_fault_of_ours(world: World, theirs: Belongings, lot: Random) -> None:
    """No 5xx whatever is sent; and the calls are not all refused at the door: each kind of answer is among them."""
    counted = answers(world, theirs, lot, examples=3)
    statuses = {status for _, status in counted}

    assert {200, 201, 401, 403, 404, 422} <= statuses
    assert len({label for label, _ in counted}) == len(list(operations(world.http.get("/openapi.json").json())))
    assert "unexpected error" not in world.log.getvalue()


@pytest.mark.long
@pytest.mark.parametrize("part", range(PARTS))
def test_no_call_is_a_fault_of_ours_at_length(world: World, theirs: Belongings, lot: Random, part: int) -> None:
    """The same with thirty times as many, each route's in one of so many parts, side by side."""
    counted = answers(world, theirs, lot, 100, part, PARTS)

    assert {200, 403, 404, 422} <= {status for _, status in counted}
    assert sum(counted.values()) >= 100 * len({label for label, _ in counted}) // 2
    assert "unexpected error" not in world.log.getvalue()
