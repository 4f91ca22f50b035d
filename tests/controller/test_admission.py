# SPDX-License-Identifier: Apache-2.0
"""Operators' enrolment tokens: whoever shows one is approved, so many times, so long, and nobody else."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.controller.machine import Machine, a_key
from tests.controller.test_enrolment import refusal
from tests.controller.world import World


@pytest.fixture
def strict(made: Callable[..., World]) -> World:
    """A controller that approves nobody by itself."""
    return made(enrolment="manual")


def comes_by(world: World, number: int, token: str, boot_id: str = "boot") -> Machine:
    """A machine whose command line has that token."""
    return Machine(world, number, boot_id=f"{boot_id}-{number}", token=token, key=a_key())


def test_an_enrolment_token_approves(strict: World) -> None:
    """Whoever shows it is available at once, and in its rack; so many machines come by it, and no more. One that boots
    again has used it up already."""
    made = strict.user("POST", "/v1/enrolment-tokens", {"rack": "r7", "machines": 2}, status=201)
    first, second, third = (comes_by(strict, number, made["token"]) for number in (1, 2, 3))
    first.enrol()
    second.enrol()
    comes_by(strict, 1, made["token"], "later").enrol()

    nodes = strict.user("GET", "/v1/nodes")
    assert [(node["state"], node["rack"]) for node in nodes] == [("available", "r7")] * 2
    assert refusal(third.send("/v1/agent/enroll", third.enrolment())) == (403, "ENROLL.TOKEN_REFUSED")
    assert strict.user("GET", "/v1/enrolment-tokens")[0]["left"] == 0


def test_an_enrolment_token_lets_in_who_waited(strict: World) -> None:
    """A node that waits for approval needs none any more."""
    Machine(strict, key=a_key()).power_on()
    assert strict.node()["state"] == "enroll"
    comes_by(strict, 1, strict.user("POST", "/v1/enrolment-tokens", {}, status=201)["token"]).enrol()

    assert strict.node()["state"] == "available"


@pytest.mark.parametrize("spoilt", ["expired", "revoked", "another MAC", "another key"])
def test_an_enrolment_token_that_is_not_good(strict: World, spoilt: str) -> None:
    """Nobody comes by it."""
    mac = "52:54:00:00:01:09" if spoilt == "another MAC" else "52:54:00:00:01:01"
    made = strict.user("POST", "/v1/enrolment-tokens", {"mac": mac, "hours": 1}, status=201)
    machine = comes_by(strict, 1, made["token"])
    if spoilt == "expired":
        strict.clock.move(3600)
    elif spoilt == "revoked":
        strict.user("DELETE", f"/v1/enrolment-tokens/{made['id']}", status=200)
    elif spoilt == "another key":
        comes_by(strict, 1, made["token"]).enrol()

    assert refusal(machine.send("/v1/agent/enroll", machine.enrolment())) == (403, "ENROLL.TOKEN_REFUSED")


def test_an_enrolment_token_is_kept_nowhere(strict: World) -> None:
    """Its digest is."""
    token = strict.user("POST", "/v1/enrolment-tokens", {}, status=201)["token"]
    stored = b"".join(path.read_bytes() for path in strict.options.data.glob("controller.sqlite*"))

    assert token.encode() not in stored
    assert token not in strict.log.getvalue()
    assert token not in str(strict.user("GET", "/v1/enrolment-tokens"))
