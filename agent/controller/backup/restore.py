# SPDX-License-Identifier: Apache-2.0
"""A data directory from a backup: unpacked beside its place, checked, settled, and moved there in one step."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory

from agent.controller.backup.archive import DATABASE, KEYS, MAYBE, Manifest, read_backup
from agent.controller.clock import Clock
from agent.controller.context import open_controller
from agent.controller.flow.restored import Settled, settle
from agent.controller.options import Options
from agent.controller.store.snapshot import check, fold
from agent.errors import ConfigError

LOGS = tuple(f"{DATABASE}-{kind}" for kind in ("wal", "shm", "journal"))
"""SQLite would write what is in them over the database that it finds beside them."""


def must_be_free(data: Path) -> None:
    """Nothing is ever restored over a controller. Raises `ConfigError`."""
    taken = sorted(name for name in (DATABASE, *LOGS, *KEYS, *MAYBE) if (data / name).exists())
    if taken:
        raise ConfigError(
            f"restoring a backup to {data}",
            f"it holds a controller: {', '.join(taken)}",
            hint="Stop it, and move its directory away; images/ may be put back into the new one before.",
        )


def restore(source: Path, data: Path, clock: Clock | None = None) -> tuple[Manifest, Settled]:
    """Bring the backup to life in `data`, where images that are there already are kept. Raises `ConfigError`,
    `NoSpace`; `data` is then as it was."""
    must_be_free(data)
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    (data / "images").mkdir(mode=0o700, exist_ok=True)
    with TemporaryDirectory(dir=data, prefix=".restore-") as place:
        staged = Path(place)
        (staged / "images").mkdir()
        manifest = read_backup(source, staged)
        check(staged / DATABASE)
        for path in (data / "images").iterdir():
            if not (staged / "images" / path.name).exists():
                (staged / "images" / path.name).hardlink_to(path)
        controller = open_controller(Options(data=staged), clock)
        settled = settle(controller)
        controller.store.close()
        fold(staged / DATABASE)
        for path in (staged / "images").iterdir():
            path.replace(data / "images" / path.name)
        for name in (*(name for name in MAYBE if (staged / name).exists()), *KEYS):
            (staged / name).replace(data / name)
        for directory in (data / "images", data):
            _keep(directory)
        (staged / DATABASE).replace(data / DATABASE)  # the last: without it there is no controller yet
        _keep(data)
    return manifest, settled


def _keep(directory: Path) -> None:
    """What was moved into it is there after a power cut."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
