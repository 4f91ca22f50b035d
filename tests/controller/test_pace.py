# SPDX-License-Identifier: Apache-2.0
"""How many calls a caller may make, and that a flood of strangers neither grows our memory nor shuts anybody out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Message, Receive, Scope, Send

from agent.controller.api.buckets import BURST_S, Buckets
from agent.controller.api.pace import Acquainted, Pace
from agent.controller.peer import NETWORK
from tests.controller.people import Person, administrator, nobody
from tests.controller.world import World


@given(st.lists(st.floats(min_value=0, max_value=100), max_size=200))
def test_no_more_than_the_rate_gets_through(pauses: list[float]) -> None:
    """In any window as many calls as the bucket holds, and what flows in meanwhile; whoever waits as told is let in."""
    buckets, now, let_in = Buckets(rate=2.0), 0.0, 0
    for pause in pauses:
        now += pause
        wait_s = buckets.take("x", now)
        let_in += not wait_s
        assert wait_s == 0 or buckets.take("x", now) > 0
    assert let_in <= 2.0 * BURST_S + 2.0 * now

    while wait_s := buckets.take("x", now):
        now += wait_s + 1e-9
    assert len(buckets) == 1


def test_a_bucket_is_full_again_and_no_fuller() -> None:
    """After a long rest there is one burst, not ten."""
    buckets = Buckets(rate=1.0)
    for at_s in (0.0, 1e6):
        assert [buckets.take("x", at_s) == 0 for _ in range(int(BURST_S) + 1)] == [True] * int(BURST_S) + [False]


def test_memory_is_bounded() -> None:
    """Whoever comes from a million addresses with a million tokens is not remembered at all."""
    buckets, acquainted = Buckets(rate=1.0, most=100), Acquainted(most=100)
    for number in range(1000):
        buckets.take(str(number), 0.0)
        acquainted.judge(str(number), good=True)

    assert (len(buckets), len(acquainted)) == (100, 100)
    assert "999" in acquainted
    assert "0" not in acquainted


def test_zero_is_no_limit() -> None:
    """For whoever has a proxy that does it."""
    buckets = Buckets(rate=0)

    assert {buckets.take("x", 0.0) for _ in range(1000)} == {0.0}
    assert len(buckets) == 0


def test_whoever_calls_too_often_waits(made: Callable[..., World]) -> None:
    """429 with the seconds to wait; another token is not concerned."""
    world = made(calls_per_s=0.5)
    admin = administrator(world)
    admin.does("POST", "/v1/users", {"name": "ada"})
    ada = Person(world, admin.does("POST", "/v1/tokens", {"user": "ada"})["token"])
    answers = [ada.call("GET", "/v1/whoami") for _ in range(14)]

    assert [answer.status_code for answer in answers[:11]] == [200] * 11  # the first of them as a stranger
    assert answers[-1].status_code == 429
    assert answers[-1].json()["fault"]["code"] == "AUTH.TOO_FAST"
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 2
    assert admin.call("GET", "/v1/whoami").status_code == 200


def test_strangers_spend_their_addresss_patience_alone(made: Callable[..., World]) -> None:
    """Guessed tokens, a new one each time, run dry; from the same address a good token goes on."""
    world = made(strangers_per_s=0.5)
    admin = administrator(world)
    admin.does("GET", "/v1/whoami")
    guesses = [Person(world, str(uuid4())).call("GET", "/v1/whoami").status_code for _ in range(14)]

    assert guesses[:9] == [401] * 9
    assert guesses[-1] == 429
    assert nobody(world).call("GET", "/boot/ipxe?mac=52:54:00:00:01:01").status_code == 429
    assert admin.call("GET", "/v1/whoami").status_code == 200


def test_a_token_that_went_bad_is_a_strangers(made: Callable[..., World]) -> None:
    """Once it is revoked, whoever goes on with it is no better than a guesser."""
    world = made(strangers_per_s=0.5)
    admin = administrator(world)
    admin.does("POST", "/v1/users", {"name": "ada"})
    made_token = admin.does("POST", "/v1/tokens", {"user": "ada"})
    ada = Person(world, made_token["token"])
    ada.does("GET", "/v1/whoami")
    admin.does("DELETE", f"/v1/tokens/{made_token['id']}")

    assert {ada.call("GET", "/v1/whoami").status_code for _ in range(14)} == {401, 429}


def test_ranges_of_images_are_not_counted(made: Callable[..., World]) -> None:
    """One server fetches thousands of them."""
    world = made(strangers_per_s=0.5)

    assert {nobody(world).call("GET", "/images/none/content").status_code for _ in range(20)} == {404}


@pytest.mark.parametrize("path", ["/healthz", "/none", "/boot/ipxe?mac=no", "/v1/agent/enroll"])
def test_a_route_that_asks_for_no_token_makes_none_known(made: Callable[..., World], path: str) -> None:
    """Made-up tokens, a new one each time, share their address's bucket wherever they call, and so does one of them."""
    world = made(strangers_per_s=0.5)
    strangers = [Person(world, str(uuid4())) for _ in range(6)]
    began_s = time.monotonic()
    answers = [stranger.call("GET", path).status_code for stranger in strangers for _ in range(3)]
    let_in = [answer for answer in answers if answer != 429]

    assert 401 not in let_in
    assert 10 <= len(let_in) <= 11 + 0.5 * (time.monotonic() - began_s)


def test_a_known_token_stays_known(made: Callable[..., World]) -> None:
    """A call for which no token is needed says nothing against it, nor does one that is refused."""
    world = made(strangers_per_s=0.5)
    admin = administrator(world)
    for path in ("/v1/whoami", "/healthz", "/v1/nodes/none"):
        admin.call("GET", path)
    assert [nobody(world).call("GET", "/healthz").status_code for _ in range(14)][-1] == 429

    assert admin.call("GET", "/v1/whoami").status_code == 200


def test_a_token_is_one_however_it_is_written(made: Callable[..., World]) -> None:
    """Upper case, more blanks: it has the one bucket."""
    world = made(calls_per_s=0.05)
    token = administrator(world).token
    written = [f"{scheme}{' ' * blanks}{token}" for scheme in ("Bearer", "bearer", "BEARER") for blanks in (1, 9)]
    answers = [world.http.get("/v1/whoami", headers={"Authorization": each}).status_code for each in written]

    assert answers == [200, 200, 429, 429, 429, 429]  # the first of them as a stranger


@pytest.mark.parametrize(
    ("hosts", "let_in"),
    [
        (lambda at: f"2001:db8::{at:x}", 10 * NETWORK),
        (lambda at: f"fe80::{at:x}%eth0", 10 * NETWORK),
        (lambda at: f"2001:db8:0:{at:x}::1", 80),
        (lambda at: f"::ffff:192.0.2.{at}", 80),
        (lambda at: f"192.0.2.{at}", 80),
    ],
)
def test_an_ipv6_network_is_not_as_many_callers_as_it_has_addresses(hosts: Callable[[int], str], let_in: int) -> None:
    """A stranger who has another address of the same /64 for each call is let in no more often than a few strangers;
    others are one each."""

    async def answers() -> list[int]:
        async def ok(_scope: Scope, _receive: Receive, send: Send) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})

        async def nothing() -> Message:
            return {"type": "http.request"}

        found: list[int] = []

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                found.append(message["status"])

        pace = Pace(ok, 0.5, 0.5, lambda: 0.0)
        for at in range(80):
            await pace({"type": "http", "path": "/", "headers": [], "client": (hosts(at), 1)}, nothing, told)
        return found

    statuses = asyncio.run(answers())
    assert (statuses.count(200), statuses.count(429)) == (let_in, 80 - let_in)
