# SPDX-License-Identifier: Apache-2.0
"""Users and tokens: what a token is good for, how long, and that its digest alone is kept. And the trail of it."""

from __future__ import annotations

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import IntegrityError

from agent.controller.api.errors import REFUSALS_BURST_S, REFUSALS_PER_S
from agent.controller.records.access import Caller, Role
from agent.controller.records.owned import Owned, SharedOwned
from tests.controller.machine import Machine
from tests.controller.people import Person, administrator, person
from tests.controller.world import World

DAY_S = 86400.0


def test_roles_are_ordered() -> None:
    """Each may do what the ones before it may, and no more."""
    covered = {(one, other): one.covers(other) for one in Role for other in Role}

    assert covered == {
        (one, other): order >= place for order, one in enumerate(Role) for place, other in enumerate(Role)
    }


@pytest.mark.parametrize(
    ("mine", "theirs", "shared", "sees", "owns"),
    [
        (None, None, False, True, True),
        (None, "red", False, True, True),
        ("red", "red", False, True, True),
        ("red", "blue", False, False, False),
        ("red", "blue", True, False, False),
        ("red", None, False, False, False),
        ("red", None, True, True, False),
    ],
)
def test_whose_is_what(mine: str | None, theirs: str | None, shared: bool, sees: bool, owns: bool) -> None:
    """The whole cloud sees and owns everything; a project its own; and it sees what the cloud shares."""
    caller = Caller(name="x", role=Role.ADMIN, project=mine, call_id="1")
    record = (SharedOwned if shared else Owned)(project=theirs)

    assert (caller.sees(record), caller.owns(record)) == (sees, owns)


def test_a_token_is_told_once_and_kept_nowhere(world: World) -> None:
    """It is in the answer that made it; in no list, no log and no file."""
    ada = person(world, "ada", "operator", token={"note": "for the pipeline"})
    ada.does("GET", "/v1/servers")
    listed = administrator(world).call("GET", "/v1/tokens").text
    stored = b"".join(path.read_bytes() for path in world.options.data.glob("controller.sqlite*"))

    assert ada.token.startswith("bms_")
    assert "for the pipeline" in listed
    assert [place for place in (listed, world.log.getvalue(), stored.decode("latin-1")) if ada.token in place] == []


def test_a_token_expires(world: World) -> None:
    """After as many days as were said, and not before."""
    ada = person(world, "ada", "viewer", token={"days": 2})
    world.clock.move(2 * DAY_S - 1)
    assert ada.does("GET", "/v1/whoami") == {"name": "ada", "role": "viewer", "project": None}

    world.clock.move(1)
    assert ada.code("GET", "/v1/whoami") == (401, "AUTH.REQUIRED")


def test_a_revoked_token_is_worth_nothing(world: World) -> None:
    """From the next call on; the user's other tokens go on; and it stays in the list."""
    ada, admin = person(world, "ada", "viewer"), administrator(world)
    other = Person(world, admin.does("POST", "/v1/tokens", {"user": "ada"})["token"])
    first = next(token["id"] for token in admin.does("GET", "/v1/tokens") if token["used_at"] is None)
    ada.does("GET", "/v1/whoami")
    used = {token["id"] for token in admin.does("GET", "/v1/tokens") if token["used_at"]}
    [of_ada] = used
    admin.does("DELETE", f"/v1/tokens/{of_ada}")
    admin.does("DELETE", f"/v1/tokens/{of_ada}")

    assert first
    assert ada.code("GET", "/v1/whoami") == (401, "AUTH.REQUIRED")
    assert other.does("GET", "/v1/whoami")["name"] == "ada"
    assert [bool(token["revoked_at"]) for token in admin.does("GET", "/v1/tokens")].count(True) == 1
    assert admin.code("DELETE", "/v1/tokens/none") == (404, "BMS.NOT_FOUND")


def test_a_deleted_user_calls_no_more(world: World) -> None:
    """With all tokens; what they made stays."""
    ada = person(world, "ada", "operator", "blue")
    ada.does("POST", "/v1/security-groups", {"name": "hers"})
    administrator(world).does("DELETE", "/v1/users/ada")

    assert ada.code("GET", "/v1/whoami") == (401, "AUTH.REQUIRED")
    assert "hers" in [group["name"] for group in administrator(world).does("GET", "/v1/security-groups")]


def test_a_token_may_be_less_than_its_user_and_never_more(world: World) -> None:
    """A lower role is as good as said; a higher one is refused."""
    reader = person(world, "ada", "operator", token={"role": "viewer"})

    assert reader.code("POST", "/v1/flavors", {"name": "x"}) == (403, "AUTH.FORBIDDEN")
    body = {"user": "ada", "role": "admin"}
    assert administrator(world).code("POST", "/v1/tokens", body) == (400, "BMS.0018")


def test_an_admin_of_a_project_makes_users_of_it_alone(world: World) -> None:
    """Neither of the whole cloud nor of another project; and sees no others."""
    red = person(world, "red", "admin", "red")
    person(world, "blue", "operator", "blue")
    made = red.does("POST", "/v1/users", {"name": "rose", "role": "operator"})

    assert made["project"] == "red"
    assert red.code("POST", "/v1/users", {"name": "mole", "project": "blue"}) == (403, "AUTH.FORBIDDEN")
    assert red.code("POST", "/v1/tokens", {"user": "blue"}) == (404, "BMS.NOT_FOUND")
    assert red.code("DELETE", "/v1/users/blue") == (404, "BMS.NOT_FOUND")
    assert {user["name"] for user in red.does("GET", "/v1/users")} == {"red", "rose"}
    assert {token["user"] for token in red.does("GET", "/v1/tokens")} == {"red"}


def trail(world: World) -> list[tuple[str, str, str, str | None, str | None]]:
    """Who, what, to which, and how it ended; the oldest first."""
    entries = administrator(world).does("GET", "/v1/audit?limit=1000")
    return [(e["who"], e["method"], e["path"], e["subject"], e["refused"]) for e in reversed(entries)]


def test_the_trail_says_who_did_what(world: World) -> None:
    """Every change, and every change that was refused, by whom; no read, nothing of the agents; and no secret."""
    ada = person(world, "ada", "operator")
    Machine(world).power_on().beat()
    before = len(trail(world))
    ada.does("POST", "/v1/flavors", {"name": "big"})
    ada.does("GET", "/v1/flavors")
    ada.code("POST", "/v1/flavors", {"name": "big"})
    ada.code("POST", "/v1/users", {"name": "mole"})
    ada.code("DELETE", "/v1/vpcs/cloud")
    ada.does(
        "POST",
        "/v1/servers",
        {"name": "web", "flavor": "small", "image": "debian", "nics": [{"subnet": "net"}], "user_data": "cGwwbnQzZA=="},
    )

    assert trail(world)[before:] == [
        ("ada", "POST", "/v1/flavors", "big", None),
        ("ada", "POST", "/v1/flavors", "big", "BMS.NAME_TAKEN"),
        ("ada", "POST", "/v1/users", "mole", "AUTH.FORBIDDEN"),
        ("ada", "DELETE", "/v1/vpcs/cloud", None, "BMS.IN_USE"),
        ("ada", "POST", "/v1/servers", "web", None),
    ]
    assert "cGwwbnQzZA" not in administrator(world).call("GET", "/v1/audit").text


def test_a_change_that_fails_is_not_in_the_trail_as_done(world: World) -> None:
    """The word on a change is kept with the change, or not at all."""
    before = trail(world)
    ada = person(world, "ada", "operator")
    ada.code("POST", "/v1/subnets", {"name": "x", "vpc": "cloud", "cidr": "10.1.0.0/25"})

    assert trail(world)[len(before) + 2 :] == [("ada", "POST", "/v1/subnets", "x", "BMS.0018")]


def test_the_trail_is_read_page_by_page(world: World) -> None:
    """The newest first, each once, as far back as one likes; a project's admin reads what was done in it."""
    red = person(world, "red", "admin", "red")
    for number in range(5):
        world.clock.move(1)
        red.does("POST", "/v1/security-groups", {"name": f"g{number}"})
    first = red.does("GET", "/v1/audit?limit=3")
    second = red.does("GET", f"/v1/audit?limit=3&before={first[-1]['id']}")

    assert [entry["subject"] for entry in first + second] == ["g4", "g3", "g2", "g1", "g0"]
    assert red.code("GET", "/v1/audit?limit=1001")[0] == 422


@pytest.mark.parametrize("body", [b"{", b"\xff", b"[" * 200_000, b"[]", b'{"name": 7}'])
def test_a_body_that_nobody_wants_may_be_anything(world: World, body: bytes) -> None:
    """A route that takes none goes by its path, whatever is sent to it."""
    headers = {"Authorization": f"Bearer {world.controller.user_token}", "Content-Type": "application/json"}
    answer = world.http.request("DELETE", "/v1/vpcs/none", content=body, headers=headers)

    assert (answer.status_code, answer.json()["fault"]["code"]) == (404, "BMS.NOT_FOUND")
    assert trail(world)[-1] == ("admin-token", "DELETE", "/v1/vpcs/none", None, "BMS.NOT_FOUND")


def test_a_path_is_kept_plain_and_short(world: World) -> None:
    """No byte of it that a database or a terminal stumbles over, and no more than fits a line."""
    administrator(world).code("DELETE", "/v1/vpcs/a%00b%1b%5b2J" + 1000 * "c")
    [path] = [entry[2] for entry in trail(world)[-1:]]

    assert path.startswith("/v1/vpcs/a\ufffdb\ufffd[2Jccc")
    assert len(path) == 255


def test_a_refusal_is_answered_though_the_trail_is_away(world: World) -> None:
    """What could not be written down was refused all the same."""
    with create_engine(f"sqlite:///{world.options.data}/controller.sqlite").begin() as connection:
        connection.execute(text("ALTER TABLE audit RENAME TO elsewhere"))
    code = administrator(world).code("DELETE", "/v1/vpcs/none")

    assert code == (404, "BMS.NOT_FOUND")
    assert "a refusal is not in the trail" in world.log.getvalue()


def test_the_trail_is_not_flooded(world: World) -> None:
    """Whoever is refused without end is in it a hundred times or so; what others do, and what they are refused, is."""
    ada = person(world, "ada", "operator")
    codes = {
        ada.code("DELETE", f"/v1/vpcs/{number}")[0] for number in range(int(REFUSALS_PER_S * REFUSALS_BURST_S) + 40)
    }
    administrator(world).code("DELETE", "/v1/vpcs/none")
    ada.does("POST", "/v1/flavors", {"name": "big"})
    told = [who for who, *_ in trail(world)]

    assert codes == {404}
    assert 120 <= told.count("ada") - 1 <= 130
    assert told[-2:] == ["admin-token", "ada"]


def test_a_token_is_good_though_its_use_cannot_be_noted(world: World) -> None:
    """A disk that is full makes nobody a stranger."""
    ada = person(world, "ada", "viewer")
    with create_engine(f"sqlite:///{world.options.data}/controller.sqlite").begin() as connection:
        full = "CREATE TRIGGER full BEFORE UPDATE ON api_tokens BEGIN SELECT RAISE(FAIL, 'full'); END"
        connection.execute(text(full))

    assert ada.does("GET", "/v1/whoami")["name"] == "ada"
    assert "a token's use is not noted" in world.log.getvalue()


@pytest.mark.parametrize("statement", ["UPDATE audit SET who = 'nobody'", "DELETE FROM audit"])
def test_the_trail_is_never_rewritten(world: World, statement: str) -> None:
    """The database refuses it, whoever asks."""
    with create_engine(f"sqlite:///{world.options.data}/controller.sqlite").connect() as connection:
        with pytest.raises(IntegrityError, match="append-only"):
            connection.execute(text(statement))
        assert connection.execute(text("SELECT count(*) FROM audit")).scalar_one() > 0


@pytest.mark.parametrize("name", ["admin-token", "anybody", "restore", "Admin-Token"])
def test_nobody_is_called_what_is_no_user(world: World, name: str) -> None:
    """An entry of the trail that says who did it by one of these names is never another's."""
    red = person(world, "red", "admin", "red")

    assert red.code("POST", "/v1/users", {"name": name})[1] == "BMS.NAME_TAKEN"
