# SPDX-License-Identifier: Apache-2.0
"""The database: opened, brought to the present schema, and handed out one transaction at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, Table, create_engine, event, make_url
from sqlalchemy.exc import SQLAlchemyError

from agent.controller.records.access import ApiToken, Audited, Caller, User
from agent.controller.records.approval import Approval
from agent.controller.records.catalogue import Flavor, KeyPair
from agent.controller.records.erasure import KeptCertificate, QuarantinedDisk
from agent.controller.records.image import Image, Import
from agent.controller.records.job import Assignment, Job, Phase
from agent.controller.records.network import ElasticIp, Group, GroupRule, Subnet, Vpc
from agent.controller.records.node import AgentSession, Credential, Node, NodeInventory, NodeMac, Pass, Stream, Token
from agent.controller.records.server import Detached, Port, Server
from agent.controller.records.validation import Validation
from agent.controller.store import access, hardware, schema
from agent.controller.store.shelf import Shelf
from agent.errors import ConfigError
from agent.model.frozen import Frozen

R = TypeVar("R", bound=Frozen)
BUSY_TIMEOUT_S = 30
FORGOTTEN_S = 60
"""A transaction whose process says nothing meanwhile has none: its machine is gone, and others wait for it."""
POSTGRESQL = "postgresql"
WRITERS = 0x626D73
"""What they all lock in PostgreSQL: any number that nobody else takes."""
MIGRATIONS = Path(__file__).parent / "migrations"


class Transaction:
    """One transaction: a shelf per kind of record."""

    def __init__(self, connection: Connection, *, caller: Caller | None = None) -> None:

        def shelf(table: Table, kind: type[R]) -> Shelf[R]:
            return Shelf(connection, table, kind, caller=caller)

        self.caller = caller
        self.nodes = shelf(schema.NODES, Node)
        self.macs = shelf(schema.NODE_MACS, NodeMac)
        self.inventories = shelf(schema.INVENTORIES, NodeInventory)
        self.sessions = shelf(schema.SESSIONS, AgentSession)
        self.tokens = shelf(schema.TOKENS, Token)
        self.credentials = shelf(schema.CREDENTIALS, Credential)
        self.streams = shelf(schema.STREAMS, Stream)
        self.flavors = shelf(schema.FLAVORS, Flavor)
        self.images = shelf(schema.IMAGES, Image)
        self.imports = shelf(schema.IMPORTS, Import)
        self.vpcs = shelf(schema.VPCS, Vpc)
        self.subnets = shelf(schema.SUBNETS, Subnet)
        self.groups = shelf(schema.SECURITY_GROUPS, Group)
        self.rules = shelf(schema.SECURITY_RULES, GroupRule)
        self.eips = shelf(schema.EIPS, ElasticIp)
        self.keypairs = shelf(schema.KEYPAIRS, KeyPair)
        self.servers = shelf(schema.SERVERS, Server)
        self.ports = shelf(schema.PORTS, Port)
        self.detached = shelf(schema.DETACHED, Detached)
        self.certificates = shelf(schema.CERTIFICATES, KeptCertificate)
        self.quarantined = shelf(schema.QUARANTINED, QuarantinedDisk)
        self.os_inventories = shelf(hardware.OS_INVENTORIES, NodeInventory)
        self.validations = shelf(hardware.VALIDATIONS, Validation)
        self.jobs = shelf(schema.JOBS, Job)
        self.phases = shelf(schema.PHASES, Phase)
        self.assignments = shelf(schema.ASSIGNMENTS, Assignment)
        self.users = shelf(access.USERS, User)
        self.api_tokens = shelf(access.API_TOKENS, ApiToken)
        self.audit = shelf(access.AUDIT, Audited)
        self.approvals = shelf(access.APPROVALS, Approval)
        self.passes = shelf(access.PASSES, Pass)
        self.changed: set[str] = set()
        """Nodes whose desired state is another after this transaction."""


class Store:
    """The records. One per process; transactions may run in any thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @contextmanager
    def read(self, caller: Caller | None = None) -> Iterator[Transaction]:
        """A consistent view, for whoever asked; nothing is locked."""
        with self._engine.connect() as connection:
            if self._engine.dialect.name == POSTGRESQL:  # whose own way is another view for each statement
                connection.execution_options(isolation_level="REPEATABLE READ")
            with connection.begin():
                yield Transaction(connection, caller=caller)

    @contextmanager
    def write(self, caller: Caller | None = None) -> Iterator[Transaction]:
        """All or nothing. One writer at a time, from its first statement on, of all processes on the database."""
        with self._engine.connect() as connection:
            connection.execution_options(writing=True)
            with connection.begin():
                yield Transaction(connection, caller=caller)

    def close(self) -> None:
        """Release every connection."""
        self._engine.dispose()


def open_store(url: str) -> Store:
    """Open the database at this URL, made or migrated if need be. Raises `ConfigError`."""
    try:
        engine = create_engine(url)
        if engine.dialect.name == "sqlite":
            _prepare_sqlite(engine)
        elif engine.dialect.name == POSTGRESQL:
            _prepare_postgresql(engine)
        _migrate(engine)
    except CommandError as error:
        told = f"{make_url(url).render_as_string()} has a schema that this release does not know: {error}"
        hint = "A later release has used it: run that one, or restore a backup of this one's."
        raise ConfigError("opening the database", told, hint=hint) from error
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


def _prepare_postgresql(engine: Engine) -> None:
    """A writer locks before it reads, as on SQLite: its snapshots are of what those before it have kept. Rows alone
    would not do: whether there is no server of an image, or no job of a node, is no row that could be locked.
    """

    @event.listens_for(engine, "connect")
    def connected(dbapi_connection: Any, _record: Any) -> None:
        with closing(dbapi_connection.cursor()) as cursor:
            cursor.execute(f"SET lock_timeout = '{BUSY_TIMEOUT_S}s'")
            cursor.execute(f"SET idle_in_transaction_session_timeout = '{FORGOTTEN_S}s'")
        dbapi_connection.commit()  # what is set in a transaction goes with it

    @event.listens_for(engine, "begin")
    def begun(connection: Connection) -> None:
        if connection.get_execution_options().get("writing", False):
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({WRITERS})")


def _migrate(engine: Engine) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.connect() as connection:
        connection.execution_options(writing=True)
        with connection.begin():
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
