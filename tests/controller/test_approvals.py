# SPDX-License-Identifier: Apache-2.0
"""Where the policy is that nobody destroys data alone: such an order waits for another person, and is given once."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from agent.model.job import JobState
from tests.controller.machine import GPT, Machine, disk
from tests.controller.people import Person, administrator, person
from tests.controller.world import World

NEEDED = (409, "BMS.APPROVAL_NEEDED")


@pytest.fixture
def careful(made: Callable[..., World]) -> World:
    """A controller with that policy, and a server that is ACTIVE."""
    world = made(require_approval=True)
    machine = Machine(world).power_on()
    world.order()
    machine.serve()
    assert world.server()["status"] == "ACTIVE"
    return world


@pytest.fixture
def ada(careful: World) -> Person:
    """An operator."""
    return person(careful, "ada", "operator")


@pytest.fixture
def bob(careful: World) -> Person:
    """Another one."""
    return person(careful, "bob", "operator")


def waiting(somebody: Person) -> list[str]:
    """The ids of what waits, as they see it."""
    return [one["id"] for one in somebody.does("GET", "/v1/approvals")]


def test_an_order_waits_for_another_person(careful: World, ada: Person, bob: Person) -> None:
    """Nothing is done before, however often it is ordered; whoever asked cannot approve; the trail has both."""
    for _ in range(2):
        assert ada.code("DELETE", "/v1/servers/web") == NEEDED
    assert (careful.server()["status"], careful.server()["task_state"]) == ("ACTIVE", None)
    [one] = waiting(bob)
    assert ada.code("POST", f"/v1/approvals/{one}/approve") == (403, "AUTH.FORBIDDEN")
    job = bob.does("POST", f"/v1/approvals/{one}/approve")["job_id"]

    assert careful.server()["task_state"] == "deleting" and careful.server()["job_id"] == job
    assert waiting(bob) == []
    assert bob.code("POST", f"/v1/approvals/{one}/approve") == (409, "BMS.STATE")
    trail = administrator(careful).does("GET", "/v1/audit")
    told = [(entry["who"], entry["subject"], entry["refused"]) for entry in trail if entry["path"] != "/v1/tokens"]
    assert ("bob", "delete server web, asked by ada", None) in told
    assert ("ada", None, "BMS.APPROVAL_NEEDED") in told


def test_a_refused_order_is_not_given(careful: World, ada: Person, bob: Person) -> None:
    """Not even later; it may be asked for anew."""
    assert ada.code("POST", "/v1/servers/web/reinstall", {"verify": True}) == NEEDED
    [one] = waiting(ada)
    assert bob.does("POST", f"/v1/approvals/{one}/refuse")["decided_by"] == "bob"
    assert bob.code("POST", f"/v1/approvals/{one}/approve") == (409, "BMS.STATE")
    assert ada.code("POST", "/v1/servers/web/reinstall") == NEEDED
    assert waiting(ada) != [one]
    bob.does("POST", f"/v1/approvals/{waiting(bob)[0]}/approve")

    assert careful.server()["task_state"] == "rebuilding"


def test_an_approval_does_not_wait_for_ever(careful: World, ada: Person, bob: Person) -> None:
    """After a day it is none."""
    assert ada.code("DELETE", "/v1/servers/web") == NEEDED
    [one] = waiting(bob)
    careful.clock.move(86400)

    assert waiting(bob) == []
    assert bob.code("POST", f"/v1/approvals/{one}/approve") == (409, "BMS.STATE")
    assert careful.server()["task_state"] is None


def test_an_approved_order_that_cannot_be_is_over(careful: World, ada: Person, bob: Person) -> None:
    """It is refused by its own code, and is not given later by itself."""
    assert ada.code("POST", "/v1/servers/web/reinstall") == NEEDED
    [one] = waiting(bob)
    careful.user("POST", "/v1/servers/web/stop", {"type": "SOFT"})
    assert bob.code("POST", f"/v1/approvals/{one}/approve")[0] in (400, 409)

    assert waiting(bob) == []
    assert careful.server()["task_state"] == "powering-off"


def test_a_node_with_data_is_cleaned_by_two(made: Callable[..., World]) -> None:
    """One that holds nothing is cleaned by one."""
    world = made(require_approval=True)
    Machine(world, disks=(disk("sda", 40, GPT),)).power_on()
    full = world.node()["id"]
    empty = Machine(world, 2, disks=(disk("sda"),)).power_on()
    ada, bob = person(world, "ada", "operator"), person(world, "bob", "admin")
    ada.does("POST", f"/v1/nodes/{empty.node_id}/clean")
    assert ada.code("POST", f"/v1/nodes/{full}/clean") == NEEDED
    bob.does("POST", f"/v1/approvals/{waiting(bob)[0]}/approve")

    assert world.node(full)["state"] == "cleaning"


def test_a_server_that_has_nothing_yet_goes_at_once(made: Callable[..., World]) -> None:
    """Until its first byte is written, one person may call it off."""
    world = made(require_approval=True)
    machine = Machine(world).power_on()
    world.order()
    request = machine.desired().request
    assert request is not None
    world.user("DELETE", "/v1/servers/web")
    assert world.server()["task_state"] == "deleting"
    second = Machine(world, 2).power_on()
    world.order("other")
    request = second.desired().request
    assert request is not None
    second.report(request, JobState.RUNNING, "write_image")
    assert world.refused("DELETE", "/v1/servers/other")[1] == "BMS.APPROVAL_NEEDED"


def test_a_project_approves_its_own(careful: World, ada: Person) -> None:
    """Nobody of another project sees what waits, or decides on it; a viewer reads."""
    assert ada.code("DELETE", "/v1/servers/web") == NEEDED
    [one] = waiting(ada)
    red, viewer = person(careful, "red", "admin", "red"), person(careful, "eve", "viewer")

    assert waiting(red) == []
    assert red.code("POST", f"/v1/approvals/{one}/approve") == (404, "BMS.NOT_FOUND")
    assert waiting(viewer) == [one]
    assert viewer.code("POST", f"/v1/approvals/{one}/approve") == (403, "AUTH.FORBIDDEN")


def test_what_was_written_since_is_not_meant(careful: World, ada: Person, bob: Person) -> None:
    """An order that was asked for before a reinstall is not given to what is there afterwards."""
    assert ada.code("DELETE", "/v1/servers/web") == NEEDED
    [one] = waiting(bob)
    careful.clock.move(60)
    assert ada.code("POST", "/v1/servers/web/reinstall") == NEEDED
    [_, other] = waiting(bob)
    bob.does("POST", f"/v1/approvals/{other}/approve")

    assert bob.code("POST", f"/v1/approvals/{one}/approve") == (409, "BMS.STATE")
    assert careful.server()["task_state"] == "rebuilding"
    assert bob.does("POST", f"/v1/approvals/{one}/refuse")["decision"] == "refused"


def test_a_node_is_cleaned_by_the_name_that_was_shown(made: Callable[..., World]) -> None:
    """Whoever gives it another name in between deceives nobody."""
    world = made(require_approval=True)
    Machine(world, disks=(disk("sda", 40, GPT),)).power_on()
    node = world.node()["id"]
    ada, bob = person(world, "ada", "operator"), person(world, "bob", "operator")
    ada.does("PATCH", f"/v1/nodes/{node}", {"name": "scratch"})
    assert ada.code("POST", f"/v1/nodes/{node}/clean") == NEEDED
    ada.does("PATCH", f"/v1/nodes/{node}", {"name": "precious"})

    assert bob.code("POST", f"/v1/approvals/{waiting(bob)[0]}/approve") == (409, "BMS.STATE")
    assert world.node(node)["state"] == "available"


def test_another_token_is_no_other_person(careful: World, ada: Person) -> None:
    """Nor is another project that one acts in, or the token of whoever has none of their own."""
    admin = administrator(careful)
    second = Person(careful, admin.does("POST", "/v1/tokens", {"user": "ada"})["token"])
    assert ada.code("DELETE", "/v1/servers/web") == NEEDED
    [one] = waiting(ada)
    for again in (second, Person(careful, second.token, "blue")):
        assert again.code("POST", f"/v1/approvals/{one}/approve")[0] in (403, 404)
    careful.clock.move(1)
    assert admin.code("DELETE", "/v1/servers/web") == NEEDED
    [_, other] = waiting(admin)
    assert admin.code("POST", f"/v1/approvals/{other}/approve") == (403, "AUTH.FORBIDDEN")
    assert careful.server()["task_state"] is None


def test_one_approval_is_one_order(careful: World, ada: Person, bob: Person) -> None:
    """Whoever of twenty approve at the same moment: one is heard."""
    assert ada.code("POST", "/v1/servers/web/reinstall") == NEEDED
    [one] = waiting(bob)
    with ThreadPoolExecutor(20) as pool:
        calls = [pool.submit(bob.call, "POST", f"/v1/approvals/{one}/approve") for _ in range(20)]
        statuses = sorted(call.result().status_code for call in calls)

    assert statuses == [202] + [409] * 19
