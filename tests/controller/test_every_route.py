# SPDX-License-Identifier: Apache-2.0
"""Who may call what, over every route that the OpenAPI has: a new one is judged here before anybody else does."""

from __future__ import annotations

import pytest

from tests.controller.machine import Machine
from tests.controller.people import Belongings, Person, administrator, furnish, nobody, person
from tests.controller.routes import (
    ADMINS,
    BODIES,
    CLOUD,
    EVERYBODYS,
    OF_CLOUD,
    OPEN,
    Route,
    routes,
    users_routes,
)
from tests.controller.world import World

LISTS = ("vpcs", "subnets", "security-groups", "keypairs", "images", "servers", "eips", "users", "tokens", "audit")


@pytest.fixture
def blue(world: World) -> Person:
    """An operator of project blue, which has one of everything."""
    return person(world, "blue", "operator", "blue")


@pytest.fixture
def theirs(world: World, blue: Person) -> Belongings:
    """What blue has."""
    return furnish(world, blue)


@pytest.fixture
def red(world: World) -> Person:
    """The admin of another project."""
    return person(world, "red", "admin", "red")


def test_every_body_is_known() -> None:
    """A route that takes a body has one in the table, or the tests below would see but 422."""
    taking = {route.key for route in users_routes() if route.takes_body}

    assert taking - {("POST", "/v1/servers/{key}/start")} <= BODIES.keys() <= {route.key for route in routes()}
    assert {route.key for route in routes()} >= OPEN | OF_CLOUD


def test_nothing_opens_without_a_token(world: World, theirs: Belongings) -> None:
    """But what a booting machine needs, every route answers 401: without a token, with a wrong one, with a node's."""
    for route in routes():
        if route.key in OPEN:
            continue
        path = route.filled(theirs.names)
        strangers = [nobody(world), Person(world, "wrong")]
        if not route.is_agents:
            strangers.append(Person(world, theirs.machine.credential))
        answers = {stranger.call(route.method, path, BODIES.get(route.key)).status_code for stranger in strangers}
        assert answers == {401}, route


def test_no_user_speaks_for_a_node(world: World, theirs: Belongings) -> None:
    """Not even the administrator's token opens an agent's route."""
    agents = [route for route in routes() if route.is_agents and route.key not in OPEN]

    assert len(agents) >= 5
    assert {administrator(world).call(route.method, route.path, {}).status_code for route in agents} == {401}


def test_a_viewer_changes_nothing(world: World, theirs: Belongings) -> None:
    """Whoever may read the whole cloud reads all of it but what is for admins, and every other call is 403."""
    viewer = person(world, "ada", "viewer")
    for route in users_routes():
        path = route.filled(theirs.names)
        status = viewer.call(route.method, path, BODIES.get(route.key)).status_code
        there = 404 if path.endswith("/none") else 200
        assert status == (there if route.reads and not ADMINS.match(route.path) else 403), route


def test_an_operator_makes_no_users(world: World, theirs: Belongings) -> None:
    """Users, tokens and the audit trail are for admins alone."""
    operator = person(world, "ada", "operator")
    for route in users_routes():
        if ADMINS.match(route.path):
            assert operator.code(route.method, route.path, route.body) == (403, "AUTH.FORBIDDEN"), route


def test_a_project_has_no_part_in_the_cloud(world: World, theirs: Belongings, red: Person) -> None:
    """Nodes, flavors and the stock of EIPs are not an admin's of a project."""
    clouds = [route for route in users_routes() if CLOUD.match(route.path) or route.key in OF_CLOUD]

    assert len(clouds) >= 10
    for route in clouds:
        assert red.code(route.method, route.filled(theirs.names), route.body) == (403, "AUTH.FORBIDDEN"), route


@pytest.mark.parametrize("by", ["ids", "names"])
def test_nothing_of_another_project_is_reached(world: World, theirs: Belongings, red: Person, by: str) -> None:
    """Whatever names something of another project, by its id or its name, in the path or in the body, is refused as if
    it were not there; and nothing of theirs has changed afterwards."""
    before = seen(administrator(world))
    belongings = theirs.ids if by == "ids" else theirs.names
    [token] = [one for one in administrator(world).does("GET", "/v1/tokens") if one["user"] == "blue"]
    belongings = belongings | {"users": "blue", "tokens": token["id"]}
    for route in users_routes():
        if reaches(route):
            status = red.call(route.method, route.filled(belongings), BODIES.get(route.key)).status_code
            assert status in (400, 403, 404) if "{" not in route.path else status in (403, 404), (route, status)

    assert seen(administrator(world)) == before


def reaches(route: Route) -> bool:
    """It names something that belongs to a project."""
    named_in_body = "their-" in str(BODIES.get(route.key)) or route.key == ("POST", "/v1/tokens")
    return ("{" in route.path and not EVERYBODYS.match(route.path)) or named_in_body


def seen(somebody: Person) -> list[object]:
    """Everything that they see, but the trail of what was refused."""
    return [somebody.does("GET", f"/v1/{noun}") for noun in LISTS if noun not in ("tokens", "audit")]


def test_its_owner_reaches_all_of_it(world: World, theirs: Belongings, blue: Person) -> None:
    """The same calls are not refused to whoever owns what they name: the test above would pass on a controller that
    refuses everything otherwise."""
    for route in users_routes():
        if (
            reaches(route)
            and not ADMINS.match(route.path)
            and not CLOUD.match(route.path)
            and route.key not in OF_CLOUD
        ):
            path = route.filled(theirs.names)
            if route.method == "DELETE" and "/rules/" not in path:
                continue  # most are in use
            answer = blue.call(route.method, path, BODIES.get(route.key))
            assert answer.status_code not in (401, 403, 404, 422), (route, answer.text)


def test_no_list_shows_another_project(world: World, theirs: Belongings, red: Person) -> None:
    """No name, no id, no address of theirs is in anything that another project reads."""
    ours = {"their-", "203.0.113.5", "10.9.0.", *theirs.ids.values()} - {theirs.ids["keypairs"]}
    for noun in LISTS:
        text = red.call("GET", f"/v1/{noun}").text
        assert {word for word in ours if word in text} == set(), noun


def test_what_the_cloud_shares_is_used_and_not_changed(world: World, red: Person) -> None:
    """Images, VPCs, subnets and groups of no project: everybody sees them and orders by them, nobody deletes them. Its
    key pairs and servers are its own."""
    Machine(world).power_on()
    world.order(name="clouds")
    Machine(world, 2).power_on()
    order = {"name": "mine", "flavor": "small", "image": "debian", "nics": [{"subnet": "net"}]}

    assert red.code("POST", "/v1/servers", order | {"key_name": "me"}) == (400, "BMS.0211")
    red.does("POST", "/v1/servers", order)
    assert [server["name"] for server in red.does("GET", "/v1/servers")] == ["mine"]
    for path in ("images/debian", "vpcs/cloud", "subnets/net", "security-groups/default"):
        assert red.code("DELETE", f"/v1/{path}") == (403, "AUTH.FORBIDDEN"), path
    assert red.code("PATCH", "/v1/subnets/net", {"dns": []}) == (403, "AUTH.FORBIDDEN")
    rule = {"direction": "in", "version": 4}
    assert red.code("POST", "/v1/security-groups/default/rules", rule) == (403, "AUTH.FORBIDDEN")
    assert red.code("POST", "/v1/subnets", {"name": "x", "vpc": "cloud", "cidr": "10.77.0.0/24"})[0] == 403


@pytest.mark.parametrize(
    "vpc",
    [
        {},
        {"segment": "flat"},
        {"segment": "vlan"},
        {"segment": "vlan", "segment_id": 9},
        {"segment": "vxlan", "segment_id": 9},
    ],
)
def test_a_project_gets_no_wire(red: Person, vpc: dict[str, object]) -> None:
    """A VLAN that somebody chooses may be anybody's: projects make VXLANs, whose number the controller chooses."""
    assert red.code("POST", "/v1/vpcs", {"name": "mine"} | vpc) == (403, "AUTH.FORBIDDEN")
    assert red.does("POST", "/v1/vpcs", {"name": "mine", "segment": "vxlan"})["project"] == "red"


def test_a_project_learns_nothing_of_the_nodes(world: World, red: Person) -> None:
    """Whoever owns the nodes is told why none fits; a project is not told what their disks hold."""
    Machine(world).power_on()
    order = {
        "name": "mine",
        "flavor": "small",
        "image": "debian",
        "nics": [{"subnet": "net"}],
        "root_device": {"serial": "x"},
    }
    told = red.call("POST", "/v1/servers", order).json()["fault"]["message"]
    world.user("POST", "/v1/flavors", {"name": "huge", "ram_mb": 10**7})
    huge = red.call("POST", "/v1/servers", order | {"flavor": "huge", "root_device": None}).json()["fault"]

    assert "none of 1 nodes" in told
    assert "SN-" not in told
    assert (huge["code"], "node-" in huge["message"]) == ("BMS.NO_NODE_FITS", False)
    assert "node-" in world.refused("POST", "/v1/servers", order | {"flavor": "huge", "root_device": None})[2]


def test_the_cloud_acts_as_a_project(world: World, theirs: Belongings, red: Person) -> None:
    """Whoever is of the whole cloud may say in which project they act; nobody else may."""
    as_blue = administrator(world, "blue")

    assert [server["name"] for server in as_blue.does("GET", "/v1/servers")] == ["their-server"]
    assert as_blue.does("POST", "/v1/security-groups", {"name": "by-the-cloud"})["project"] == "blue"
    assert Person(world, red.token, "blue").code("GET", "/v1/servers") == (403, "AUTH.FORBIDDEN")
    assert Person(world, red.token, "red").does("GET", "/v1/servers") == []
    assert administrator(world, "no name!").code("GET", "/v1/servers") == (400, "BMS.0018")


def test_an_eip_of_one_project_is_bound_in_it_alone(world: World, theirs: Belongings) -> None:
    """Not even the cloud's operator binds it to another project's server."""
    Machine(world, 2).power_on()
    world.order(name="clouds")

    assert administrator(world).code("POST", "/v1/eips/203.0.113.5/bind", {"server": "clouds"}) == (400, "BMS.0018")
    assert administrator(world).does("POST", "/v1/eips/203.0.113.5/bind", {"server": "their-server"})
