# SPDX-License-Identifier: Apache-2.0
"""Backups of databases that somebody has been at."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agent.controller.backup.archive import write_backup
from agent.controller.backup.restore import restore
from agent.errors import ConfigError
from tests.controller.machine import Machine
from tests.controller.world import World

NOW = datetime(2026, 5, 2, tzinfo=UTC)


def test_records_that_nobody_writes(world: World, tmp_path: Path) -> None:
    """A word that no release knows is said, and no controller comes of it."""
    Machine(world).power_on()
    with closing(sqlite3.connect(world.options.data / "controller.sqlite")) as database, database:
        database.execute("UPDATE nodes SET state = 'bewitched'")
    write_backup(world.options, tmp_path / "odd.tar", NOW, with_images=False)
    with pytest.raises(ConfigError, match="'bewitched' is not a valid NodeState") as raised:
        restore(tmp_path / "odd.tar", tmp_path / "target")

    assert raised.value.hint == "Somebody has changed it: take another one."
    assert [path.name for path in (tmp_path / "target").iterdir()] == ["images"]
