# SPDX-License-Identifier: Apache-2.0
"""The records in PostgreSQL: the same schema, a server's whole life, a trail that nobody changes, no 5xx for what its
text columns do not take; and two controllers on them, whose users all ask at the same moment."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import mkdtemp
from threading import Barrier
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError

from agent.controller.flow.tick import OPEN
from agent.controller.store import schema
from agent.controller.store.database import open_store
from tests.controller.machine import Machine, a_key
from tests.controller.people import Person, administrator
from tests.controller.world import SHA256, World

pytest.importorskip("psycopg", reason="psycopg is not installed")
BIN = next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin"))), None)
pytestmark = pytest.mark.skipif(BIN is None, reason="there is no PostgreSQL here")
TIMEOUT_S = 120
ROUNDS = 6
NUL = (
    ("GET", "/v1/nodes/%00"),
    ("GET", "/v1/servers/a%00b"),
    ("DELETE", "/v1/servers/%00"),
    ("DELETE", "/v1/vpcs/%00"),
    ("GET", "/v1/jobs/%00"),
    ("POST", "/v1/approvals/%00/approve"),
    ("GET", "/v1/audit?before=%00"),
    ("GET", "/boot/ipxe?mac=%00"),
    ("GET", "/boot/ipxe?mac=52:54:00:00:01:01&again=%00"),
    ("GET", "/images/%00/content"),
)


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """A server on a socket of its own, as a user that is not root; the URL of its database, without a name."""
    assert BIN is not None
    user = "nobody" if os.geteuid() == 0 else None
    home = Path(mkdtemp(prefix="pg-", dir="/tmp"))  # a socket's path is short
    if user is not None:
        os.chown(home, pwd.getpwnam(user).pw_uid, -1)

    def run(*argv: str) -> None:
        environment = {"PATH": f"{BIN}:/usr/bin:/bin", "LC_ALL": "C", "HOME": str(home)}
        subprocess.run(argv, user=user, env=environment, cwd=home, check=True, timeout=TIMEOUT_S, capture_output=True)

    data = home / "data"
    run("initdb", "-D", str(data), "-U", "bms", "--auth=trust", "--encoding=UTF8", "--no-sync")
    run("pg_ctl", "-D", str(data), "-w", "-l", str(home / "log"), "-o", f"-c listen_addresses='' -k {home}", "start")
    try:
        yield f"postgresql+psycopg://bms@/NAME?host={home}"
    finally:
        run("pg_ctl", "-D", str(data), "-w", "-m", "immediate", "stop")
        shutil.rmtree(home)


@pytest.fixture
def database(cluster: str, request: pytest.FixtureRequest) -> str:
    """An empty one."""
    name = request.node.name
    engine = create_engine(cluster.replace("NAME", "postgres"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f'CREATE DATABASE "{name}"'))
    engine.dispose()
    return cluster.replace("NAME", name)


@pytest.fixture
def world(tmp_path: Path, database: str) -> Iterator[World]:
    """A controller whose records are there."""
    world = World(tmp_path / "data", database=database)
    world.stock()
    yield world
    world.close()


def test_the_migrations_make_the_schema(database: str) -> None:
    """From an empty database they lead exactly to the tables that the code reads and writes."""
    open_store(database).close()
    engine = create_engine(database)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), schema.METADATA) == []
    engine.dispose()


def test_a_servers_life(world: World) -> None:
    """Ordered, written, booted, deleted, erased."""
    machine = Machine(world).power_on()
    world.order()
    machine.serve()
    assert world.server()["status"] == "ACTIVE"
    world.user("DELETE", "/v1/servers/web")
    machine.serve().serve()

    assert (world.node()["state"], world.node()["clean"]) == ("available", True)
    world.restart()
    assert world.node()["clean"] is True


def test_who_reads_sees_one_moment(world: World) -> None:
    """What is kept or deleted meanwhile is not seen by halves; and who writes afterwards sees all of it."""
    admin = administrator(world)
    with world.controller.read() as tx:
        before = tx.vpcs.all(), tx.subnets.all()
        admin.does("POST", "/v1/vpcs", {"name": "more", "segment": "vxlan"})
        admin.does("DELETE", "/v1/subnets/net")
        assert (tx.vpcs.all(), tx.subnets.all()) == before
    with world.controller.write() as tx:
        assert (len(tx.vpcs.all()), len(tx.subnets.all())) == (2, 0)


@pytest.mark.parametrize("statement", ["UPDATE audit SET who = 'x'", "DELETE FROM audit", "TRUNCATE audit"])
def test_the_trail_is_append_only(world: World, database: str, statement: str) -> None:
    """The database itself refuses, whoever asks it."""
    before = world.user("GET", "/v1/audit")
    assert before
    engine = create_engine(database)
    with engine.connect() as connection, pytest.raises(DBAPIError, match="append-only"):
        connection.execute(text(statement))
    engine.dispose()

    assert world.user("GET", "/v1/audit") == before


def test_a_nul_is_refused_like_any_nonsense(world: World) -> None:
    """In a path, a query, a body: it is the caller's fault, and the trail has the call."""
    admin = administrator(world)
    for method, path in NUL:
        status = admin.call(method, path).status_code
        assert 200 <= status < 500, (method, path, status)
    for body in ({"name": "a\0b"}, {"name": "a", "cidr": "10.0.0.0/8\0"}):
        assert 400 <= admin.call("POST", "/v1/vpcs", body).status_code < 500
    order = {"name": "w", "flavor": "small\0", "image": "debian", "nics": [{"subnet": "net"}], "metadata": {"a": "\0"}}
    assert 400 <= admin.call("POST", "/v1/servers", order).status_code < 500
    trail = admin.does("GET", "/v1/audit")

    assert any(entry["path"] == "/v1/servers/\N{REPLACEMENT CHARACTER}" for entry in trail)


@pytest.fixture
def both(world: World, tmp_path: Path, database: str) -> Iterator[tuple[Person, Person]]:
    """The administrator at this controller, and at another one on the same records, with the same keys."""
    twin = World(tmp_path / "data", database=database)
    yield administrator(world), administrator(twin)
    twin.close()


Call = tuple[Person, str, str, Any]


def at_once(*calls: Call) -> list[int]:
    """What is answered to calls that are all made at the same moment; never is it a fault of ours."""
    together = Barrier(len(calls))

    def one(call: Call) -> int:
        somebody, *what = call
        together.wait(TIMEOUT_S)
        answer = somebody.call(*what)
        assert answer.status_code < 500, answer.text
        return answer.status_code

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(one, calls, timeout=TIMEOUT_S))


def order(name: str, image: str = "debian") -> dict[str, Any]:
    """A server to be."""
    return {"name": name, "flavor": "small", "image": image, "nics": [{"subnet": "net"}]}


def test_two_controllers_give_a_node_away_once(world: World, both: tuple[Person, Person]) -> None:
    """Twice as many servers as there are nodes, then the end of each, which both are told at once, by its name: each
    node, each address is given once, and each node has one job."""
    for number in range(1, ROUNDS + 1):
        Machine(world, number).power_on()
    orders = [
        (who, "POST", "/v1/servers", order(f"s{at}-{name}")) for at in range(ROUNDS) for name, who in enumerate(both)
    ]
    assert Counter(at_once(*orders)) == {202: ROUNDS, 409: ROUNDS}
    servers = both[0].does("GET", "/v1/servers")
    assert len({server["addresses"][0]["address"] for server in servers}) == len(servers) == ROUNDS

    for server in servers:
        deletes = [(who, "DELETE", f"/v1/servers/{server['name']}", None) for who in both]
        assert sorted(at_once(*deletes)) == [202, 409]
    with world.controller.read() as tx:
        jobs = Counter(job.node_id for job in tx.jobs.all(status=OPEN))
    assert list(jobs.values()) == [1] * ROUNDS


def test_nothing_is_used_that_is_deleted_meanwhile(world: World, both: tuple[Person, Person]) -> None:
    """An image goes while a server is ordered of it, a VPC while a subnet is made in it: one of the two is refused."""
    one, other = both
    for number in range(1, ROUNDS + 1):
        Machine(world, number).power_on()
        image = {"name": f"i{number}", "format": "raw", "url": "http://i/b", "sha256": SHA256}
        one.does("POST", "/v1/images", image)
        one.does("POST", "/v1/vpcs", {"name": f"v{number}", "segment": "vxlan"})
        subnet = {"name": f"n{number}", "vpc": f"v{number}", "cidr": "10.9.0.0/24"}
        answers = at_once(
            (one, "POST", "/v1/servers", order(f"s{number}", f"i{number}")),
            (other, "DELETE", f"/v1/images/i{number}", None),
        )
        assert answers in ([202, 409], [400, 204])
        answers = at_once((one, "POST", "/v1/subnets", subnet), (other, "DELETE", f"/v1/vpcs/v{number}", None))
        assert answers in ([201, 409], [404, 204])


def test_what_there_is_once_is_given_once(world: World, both: tuple[Person, Person]) -> None:
    """Two EIPs for one NIC, a name, the numbers of VPCs, a range of addresses: one has it, and the other is told so, or
    has another one."""
    one, other = both
    Machine(world).power_on()
    world.order()
    eips = [one.does("POST", "/v1/eips", {"address": f"203.0.113.{at}"})["id"] for at in (1, 2)]
    for at in range(ROUNDS):
        binds = [(who, "POST", f"/v1/eips/{eip}/bind", {"server": "web"}) for who, eip in zip(both, eips, strict=True)]
        bound = at_once(*binds)
        assert sorted(bound) == [202, 409]
        one.does("POST", f"/v1/eips/{eips[bound.index(202)]}/unbind")
        names = ((one, f"a{at}"), (other, f"b{at}"), (one, f"c{at}"), (other, f"c{at}"))
        made = at_once(*((who, "POST", "/v1/vpcs", {"name": name, "segment": "vxlan"}) for who, name in names))
        assert sorted(made) == [201, 201, 201, 409]
        cut = {"vpc": f"a{at}", "cidr": "10.9.0.0/24"}
        made = at_once(
            *((who, "POST", "/v1/subnets", cut | {"name": f"{name}{at}"}) for name, who in zip("xy", both, strict=True))
        )
        assert sorted(made) == [201, 400]


def test_a_machine_that_asks_two_controllers(world: World, both: tuple[Person, Person]) -> None:
    """Is one node, whichever takes it in first."""
    token = both[0].does("POST", "/v1/enrolment-tokens", {"machines": ROUNDS})["token"]
    for number in range(1, ROUNDS + 1):
        asking = [Machine(at.world, number, token=token, boot_id=f"b{number}", key=a_key()) for at in both]
        together = Barrier(len(asking))

        def enrol(machine: Machine) -> int:
            together.wait(TIMEOUT_S)  # noqa: B023 - called at once
            return machine.send("/v1/agent/enroll", machine.enrolment()).status_code

        with ThreadPoolExecutor(len(asking)) as pool:
            assert 200 in set(pool.map(enrol, asking)) <= {200, 403}

    assert len(both[0].does("GET", "/v1/nodes")) == ROUNDS
