# SPDX-License-Identifier: Apache-2.0
"""The database: opened, brought to the present schema, and handed out one transaction at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import SQLAlchemyError

from agent.controller.records.catalogue import Flavor, KeyPair
from agent.controller.records.image import Image, Import
from agent.controller.records.job import Assignment, Job, Phase
from agent.controller.records.network import ElasticIp, Group, GroupRule, Subnet, Vpc
from agent.controller.records.node import AgentSession, Credential, Node, NodeInventory, NodeMac, Stream, Token
from agent.controller.records.server import Detached, Port, Server
from agent.controller.store import schema
from agent.controller.store.shelf import Shelf
from agent.errors import ConfigError

BUSY_TIMEOUT_S = 30
MIGRATIONS = Path(__file__).parent / "migrations"


class Transaction:
    """One transaction: a shelf per kind of record."""

    def __init__(self, connection: Connection, *, lock: bool) -> None:
        self.nodes = Shelf(connection, schema.NODES, Node, lock=lock)
        self.macs = Shelf(connection, schema.NODE_MACS, NodeMac, lock=lock)
        self.inventories = Shelf(connection, schema.INVENTORIES, NodeInventory, lock=lock)
        self.sessions = Shelf(connection, schema.SESSIONS, AgentSession, lock=lock)
        self.tokens = Shelf(connection, schema.TOKENS, Token, lock=lock)
        self.credentials = Shelf(connection, schema.CREDENTIALS, Credential, lock=lock)
        self.streams = Shelf(connection, schema.STREAMS, Stream, lock=lock)
        self.flavors = Shelf(connection, schema.FLAVORS, Flavor, lock=lock)
        self.images = Shelf(connection, schema.IMAGES, Image, lock=lock)
        self.imports = Shelf(connection, schema.IMPORTS, Import, lock=lock)
        self.vpcs = Shelf(connection, schema.VPCS, Vpc, lock=lock)
        self.subnets = Shelf(connection, schema.SUBNETS, Subnet, lock=lock)
        self.groups = Shelf(connection, schema.SECURITY_GROUPS, Group, lock=lock)
        self.rules = Shelf(connection, schema.SECURITY_RULES, GroupRule, lock=lock)
        self.eips = Shelf(connection, schema.EIPS, ElasticIp, lock=lock)
        self.keypairs = Shelf(connection, schema.KEYPAIRS, KeyPair, lock=lock)
        self.servers = Shelf(connection, schema.SERVERS, Server, lock=lock)
        self.ports = Shelf(connection, schema.PORTS, Port, lock=lock)
        self.detached = Shelf(connection, schema.DETACHED, Detached, lock=lock)
        self.jobs = Shelf(connection, schema.JOBS, Job, lock=lock)
        self.phases = Shelf(connection, schema.PHASES, Phase, lock=lock)
        self.assignments = Shelf(connection, schema.ASSIGNMENTS, Assignment, lock=lock)
        self.changed: set[str] = set()
        """Nodes whose desired state is another after this transaction."""


class Store:
    """The records. One per process; transactions may run in any thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """A consistent view; nothing is locked."""
        with self._engine.connect() as connection, connection.begin():
            yield Transaction(connection, lock=False)

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """All or nothing. On SQLite one writer at a time, from its first statement on."""
        with self._engine.connect() as connection:
            connection.execution_options(writing=True)
            with connection.begin():
                yield Transaction(connection, lock=True)

    def close(self) -> None:
        """Release every connection."""
        self._engine.dispose()


def open_store(url: str) -> Store:
    """Open the database at this URL, made or migrated if need be. Raises `ConfigError`."""
    try:
        engine = create_engine(url)
        if engine.dialect.name == "sqlite":
            _prepare_sqlite(engine)
        _migrate(engine)
    except (SQLAlchemyError, ImportError) as error:
        raise ConfigError("opening the database", f"{make_url(url).render_as_string()}: {error}") from error
    return Store(engine)


def _prepare_sqlite(engine: Engine) -> None:
    """WAL, so that readers never wait; transactions begun by us, so that a writer locks before it reads."""

    @event.listens_for(engine, "connect")
    def connected(dbapi_connection: Any, _record: Any) -> None:
        dbapi_connection.isolation_level = None
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            f"busy_timeout={BUSY_TIMEOUT_S * 1000}",
        ):
            dbapi_connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begun(connection: Connection) -> None:
        writing = connection.get_execution_options().get("writing", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


def _migrate(engine: Engine) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.connect() as connection:
        connection.execution_options(writing=True)
        with connection.begin():
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
