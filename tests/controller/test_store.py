# SPDX-License-Identifier: Apache-2.0
"""The store: made from nothing, migrated, locked while it is written, and whole."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from threading import Barrier, Thread

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine

from agent.controller.records.catalogue import KeyPair
from agent.controller.store import schema
from agent.controller.store.database import MIGRATIONS, Store, open_store
from agent.errors import ConfigError
from tests.controller.machine import Machine
from tests.controller.world import FakeClock, World

OLD = Path(__file__).parent / "schemas"


def key(name: str) -> KeyPair:
    """A record."""
    return KeyPair(name=name, public_key="k", fingerprint="f", created_at=FakeClock().now())


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty one."""
    return open_store(f"sqlite:///{tmp_path / 'db'}")


def test_the_migrations_make_the_schema(tmp_path: Path, store: Store) -> None:
    """From an empty file they lead exactly to the tables that the code reads and writes."""
    store.close()
    with create_engine(f"sqlite:///{tmp_path / 'db'}").connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), schema.METADATA) == []


def test_opening_again_changes_nothing(tmp_path: Path, store: Store) -> None:
    """What was kept is there after a restart."""
    with store.write() as tx:
        tx.keypairs.add(key("a"))
    store.close()
    with open_store(f"sqlite:///{tmp_path / 'db'}").read() as tx:
        assert tx.keypairs.all() == (key("a"),)


def test_every_migration_follows_another() -> None:
    """Files are numbered, and every one has a database of its time beside this test."""
    versions = sorted(path.stem for path in (MIGRATIONS / "versions").glob("0*.py"))

    assert [name[:4] for name in versions] == [f"{number:04}" for number in range(1, len(versions) + 1)]
    assert sorted(path.stem for path in OLD.glob("*.sql")) == versions


@pytest.mark.parametrize("dump", sorted(OLD.glob("*.sql")), ids=lambda path: path.stem)
def test_databases_of_every_time_are_readable(tmp_path: Path, dump: Path) -> None:
    """A database that an earlier release left, with a server in the middle of its life, is opened and goes on."""
    data = tmp_path / "data"
    data.mkdir()
    (data / "secret-key").write_bytes(b"k" * 32)
    connection = create_engine(f"sqlite:///{data / 'controller.sqlite'}").raw_connection()
    connection.executescript(dump.read_text(encoding="utf-8"))
    connection.close()
    world = World(data)

    server, node = world.server(), world.node()
    assert (server["status"], server["addresses"][0]["address"]) == ("BUILD", "10.1.0.2")
    assert node["state"] == "deploying"
    Machine(world).power_on().serve()
    assert world.server()["status"] == "ACTIVE"
    world.close()


def test_a_failed_transaction_leaves_nothing(store: Store) -> None:
    """All or nothing."""
    with pytest.raises(RuntimeError), store.write() as tx:
        tx.keypairs.add(key("a"))
        raise RuntimeError

    with store.read() as tx:
        assert tx.keypairs.all() == ()


def test_writers_take_turns(store: Store) -> None:
    """Read, then write, in many threads: no writer stands on what another is about to change."""
    with store.write() as tx:
        tx.keypairs.add(key("counter").model_copy(update={"public_key": "0"}))
    start = Barrier(8)

    def count() -> None:
        start.wait()
        for _ in range(5):
            with store.write() as tx:
                now = tx.keypairs.get("counter")
                assert now is not None
                tx.keypairs.change(now, public_key=str(int(now.public_key) + 1))

    threads = [Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    with store.read() as tx:
        assert [one.public_key for one in tx.keypairs.all()] == ["40"]


def test_a_change_touches_nothing_else(store: Store) -> None:
    """A record in hand may be old: only the fields that are named are written."""
    with store.write() as tx:
        old = tx.keypairs.add(key("a"))
        tx.keypairs.change(old, public_key="new")
        kept = tx.keypairs.change(old, fingerprint="other")

    assert (kept.public_key, kept.fingerprint) == ("new", "other")


def test_a_doubled_record_is_refused_gently(store: Store) -> None:
    """`try_add` says no, and the transaction goes on."""
    with store.write() as tx:
        assert tx.keypairs.try_add(key("a"))
        assert not tx.keypairs.try_add(key("a"))
        assert tx.keypairs.try_add(key("b"))

    with store.read() as tx:
        assert tx.keypairs.count() == 2


def test_a_database_that_cannot_be_opened_says_so(tmp_path: Path) -> None:
    """As an error of the settings, without the password that its URL may hold."""
    with pytest.raises(ConfigError) as sqlite:
        open_store(f"sqlite:///{tmp_path}/no/such/place/db")
    with pytest.raises(ConfigError) as unknown:
        open_store("nosuchdb://user:swordfish@host/db")

    assert "opening the database" in str(sqlite.value)
    assert "swordfish" not in str(unknown.value)


def test_a_database_of_a_later_release_is_left_alone(tmp_path: Path, store: Store) -> None:
    """It is not understood, which is said, with what to do; not a byte of it is another afterwards."""
    store.close()
    file = tmp_path / "db"
    with closing(sqlite3.connect(file, isolation_level=None)) as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
        before = list(database.iterdump())
    with pytest.raises(ConfigError, match="9999") as refused:
        open_store(f"sqlite:///{file}")
    with closing(sqlite3.connect(file)) as database:
        after = list(database.iterdump())

    assert before == after
    assert "later release" in refused.value.hint
