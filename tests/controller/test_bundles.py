# SPDX-License-Identifier: Apache-2.0
"""Bundles of logs: taken from a node in its own name, the last few kept, listed and fetched by its operator."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

from agent.controller import bundles
from agent.controller.bundles import KEPT, PART
from agent.model.bundle import LARGEST_BYTES, Taken
from tests.controller.machine import Machine, a_key
from tests.controller.world import World

PATH = "/v1/agent/bundles"
PACKED = gzip.compress(b"logs")


@pytest.fixture
def machine(world: World) -> Machine:
    """One that is taken in."""
    return Machine(world).power_on()


def sent(machine: Machine, body: bytes) -> Any:
    """The answer."""
    return machine.world.http.post(PATH, content=body, headers=machine.authorization)


def listed(machine: Machine) -> list[dict[str, Any]]:
    """As the operator sees them."""
    found: list[dict[str, Any]] = machine.world.user("GET", f"/v1/nodes/{machine.node_id}/bundles")
    return found


def fetched(machine: Machine, name: str) -> Any:
    """The answer."""
    headers = {"Authorization": f"Bearer {machine.world.controller.user_token}"}
    return machine.world.http.get(f"/v1/nodes/{machine.node_id}/bundles/{name}", headers=headers)


def test_what_was_sent_is_fetched(machine: Machine) -> None:
    """Byte for byte, under the name that the node was told, and no cache keeps it."""
    assert listed(machine) == []
    taken = Taken.model_validate_json(sent(machine, PACKED).content)
    answer = fetched(machine, taken.name)

    assert taken.name.startswith("20260501T1200") and taken.size_bytes == len(PACKED)
    assert [(one["name"], one["size_bytes"]) for one in listed(machine)] == [(taken.name, len(PACKED))]
    assert (answer.status_code, answer.content, answer.headers["content-type"]) == (200, PACKED, "application/gzip")
    assert "no-store" in answer.headers["cache-control"] and taken.name in answer.headers["content-disposition"]


def test_the_oldest_makes_room(machine: Machine) -> None:
    """Of a node five are kept, the newest first; of another node none goes for it."""
    other = Machine(machine.world, number=2).power_on()
    first = sent(other, PACKED).json()["name"]
    names = []
    for number in range(KEPT + 2):
        machine.world.clock.move(60)
        names.append(sent(machine, gzip.compress(b"%d" % number)).json()["name"])

    assert [one["name"] for one in listed(machine)] == names[:1:-1] and len(listed(machine)) == 5
    assert [one["name"] for one in listed(other)] == [first]
    assert fetched(machine, names[0]).status_code == 404


@pytest.mark.parametrize(
    ("body", "why"), [(b"", "gzip"), (b"PK\3\4", "gzip"), (PACKED.ljust(LARGEST_BYTES + 1, b"x"), "more than 33554432")]
)
def test_what_is_none(machine: Machine, body: bytes, why: str) -> None:
    """What is too large, or no archive, is refused, and nothing of it is left."""
    answer = sent(machine, body)

    assert answer.status_code == 400 and why in answer.json()["fault"]["message"]
    assert list((machine.world.controller.bundles / machine.node_id).iterdir()) == []


def test_only_what_was_signed_is_kept(world: World) -> None:
    """The body is read piece by piece after the signature was judged: it is compared with what that says of it."""
    machine = Machine(world, key=a_key()).power_on()
    kind = {"Content-Type": "application/gzip"}
    for body, status in ((gzip.compress(b"others"), 400), (PACKED, 200)):
        headers = machine.authorization | kind | machine.signature("POST", PATH, PACKED)
        assert world.http.post(PATH, content=body, headers=headers).status_code == status

    assert [one["size_bytes"] for one in listed(machine)] == [len(PACKED)]


@pytest.mark.parametrize("token", ["", "wrong"])
def test_nobody_else_sends(machine: Machine, token: str) -> None:
    """Neither without a credential, nor with a wrong one, nor as a user."""
    for bearer in (token, machine.world.controller.user_token):
        answer = machine.world.http.post(PATH, content=PACKED, headers={"Authorization": f"Bearer {bearer}"})
        assert answer.status_code == 401
    assert not machine.world.controller.bundles.exists()


@pytest.mark.parametrize("name", ["%2e%2e", "x.tar.gz", "..%2f..%2fkey", "20260501T120000Z-012345678901.tar.gz"])
def test_no_other_file_is_fetched(machine: Machine, name: str) -> None:
    """Only what is a bundle's name, and is there."""
    sent(machine, PACKED)

    assert fetched(machine, name).status_code in (404, 405)


def test_half_of_one_goes_at_the_next_start(world: World, machine: Machine, tmp_path: Path) -> None:
    """What an earlier process was killed in."""
    sent(machine, PACKED)
    part = world.controller.bundles / machine.node_id / f"{PART}1"
    part.write_bytes(b"half")
    world.restart()

    assert not part.exists() and len(bundles.bundles(part.parent)) == 1
