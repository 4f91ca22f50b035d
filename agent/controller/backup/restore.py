# SPDX-License-Identifier: Apache-2.0
"""A data directory from a backup: unpacked beside its place, checked, settled, and moved there in one step."""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from pydantic import ValidationError

from agent.controller import durable
from agent.controller.backup.archive import DATABASE, KEYS, MAYBE, Manifest, read_backup
from agent.controller.clock import Clock
from agent.controller.context import UNFINISHED, open_controller
from agent.controller.flow.restored import Settled, settle
from agent.controller.options import Options
from agent.controller.store.snapshot import check, fold
from agent.errors import ConfigError
from agent.model.frozen import faults

PLACE = ".restore-"
LOGS = tuple(f"{DATABASE}-{kind}" for kind in ("wal", "shm", "journal"))
"""SQLite would write what is in them over the database that it finds beside them."""


def must_be_free(data: Path) -> None:
    """Nothing is restored over a controller; what a restore left that was cut off is none. Raises `ConfigError`."""
    if (data / UNFINISHED).exists():
        return
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
    for left in data.glob(f"{PLACE}*"):
        shutil.rmtree(left)  # by one that was killed: it holds keys
    with TemporaryDirectory(dir=data, prefix=PLACE) as place:
        staged = Path(place)
        (staged / "images").mkdir()
        manifest = read_backup(source, staged)
        check(staged / DATABASE)
        for path in (data / "images").iterdir():
            if not (staged / "images" / path.name).exists():
                (staged / "images" / path.name).hardlink_to(path)
        settled = _settled(source, staged, clock)
        fold(staged / DATABASE)
        _move(staged, data)
    return manifest, settled


def _settled(source: Path, staged: Path, clock: Clock | None) -> Settled:
    """What is under way in it is ended. Raises `ConfigError` for records that nobody of this release has written."""
    controller = open_controller(Options(data=staged), clock)
    try:
        return settle(controller)
    except ValueError as error:
        told = faults(error) if isinstance(error, ValidationError) else str(error)
        raise ConfigError(
            f"restoring {source}",
            f"a record of its database is none: {told}",
            hint="Somebody has changed it: take another one.",
        ) from error
    finally:
        controller.store.close()


def _move(staged: Path, data: Path) -> None:
    """Into its place. While that is going on no controller starts there: it would begin anew, with these keys."""
    unfinished = data / UNFINISHED
    unfinished.touch(mode=0o600)
    durable.settle(data)
    for name in (DATABASE, *LOGS, *KEYS, *MAYBE):
        (data / name).unlink(missing_ok=True)  # of a restore that was cut off here
    for path in (staged / "images").iterdir():
        path.replace(data / "images" / path.name)
    for name in (*(name for name in MAYBE if (staged / name).exists()), *KEYS, DATABASE):
        (staged / name).replace(data / name)
    for directory in (data / "images", data):
        durable.settle(directory)
    unfinished.unlink()
    durable.settle(data)
