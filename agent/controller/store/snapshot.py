# SPDX-License-Identifier: Apache-2.0
"""A copy of the SQLite database as it is at one instant, made while others write to it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from agent.errors import ConfigError

BUSY_TIMEOUT_S = 30.0


def snapshot(database: Path, target: Path) -> None:
    """By SQLite's backup API: one read transaction, which no writer waits for. Raises `ConfigError`."""
    try:
        with (
            closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=BUSY_TIMEOUT_S)) as live,
            closing(sqlite3.connect(target)) as copy,
        ):
            live.backup(copy)
    except sqlite3.Error as error:
        raise ConfigError(f"copying the database {database}", str(error)) from error
    fold(target)
    check(target)


def fold(database: Path) -> None:
    """All of it into the one file, without a log beside it; nobody else has it open. Raises `ConfigError`."""
    try:
        with closing(sqlite3.connect(database)) as connection:
            connection.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.Error as error:
        raise ConfigError(f"closing the database {database}", str(error)) from error


def check(database: Path) -> None:
    """Raises `ConfigError` unless SQLite finds every page and every index sound."""
    doing = f"checking the database {database}"
    try:
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
            found = [row[0] for row in connection.execute("PRAGMA integrity_check")]
            orphans = connection.execute("PRAGMA foreign_key_check").fetchall()
    except sqlite3.Error as error:
        raise ConfigError(doing, str(error)) from error
    if found != ["ok"] or orphans:
        raise ConfigError(doing, "; ".join(found) if found != ["ok"] else f"{len(orphans)} references lead nowhere")
