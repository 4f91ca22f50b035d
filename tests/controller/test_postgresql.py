# SPDX-License-Identifier: Apache-2.0
"""The records in PostgreSQL: the same schema, a server's whole life, a trail that nobody changes, and no 5xx for what
its text columns do not take."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError

from agent.controller.store import schema
from agent.controller.store.database import open_store
from tests.controller.machine import Machine
from tests.controller.people import administrator
from tests.controller.world import World

pytest.importorskip("psycopg", reason="psycopg is not installed")
BIN = next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin"))), None)
pytestmark = pytest.mark.skipif(BIN is None, reason="there is no PostgreSQL here")
TIMEOUT_S = 120
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
