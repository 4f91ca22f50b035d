# SPDX-License-Identifier: Apache-2.0
"""Labs come and go without a trace, side by side, and even after their process was killed."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from lab.command import run
from lab.network import CONTROLLER_ADDRESS, Network
from lab.site import KEPT, OWNER, sweep, tear_down

pytestmark = pytest.mark.root


@pytest.fixture
def labs(tmp_path: Path) -> Iterator[Path]:
    """A place for labs; whatever a failing test leaves there goes."""
    yield tmp_path
    for folder in tmp_path.iterdir():
        Network(folder.name).remove()


def made(labs: Path, name: str) -> tuple[Path, subprocess.Popen[bytes]]:
    """A lab of a folder, a namespace and a process in it."""
    folder = labs / f"bms-test-{os.getpid()}-{name}"
    folder.mkdir()
    network = Network(folder.name)
    network.create()
    network.add_tap("bm1")
    with network.entered():
        inhabitant = subprocess.Popen(["sleep", "600"])
    threading.Thread(target=inhabitant.wait, name="reaper", daemon=True).start()
    return folder, inhabitant


def owned_by(folder: Path, pid: int, started: float) -> None:
    """Say whose lab it is."""
    (folder / OWNER).write_text(json.dumps({"pid": pid, "started": started}))


def test_two_labs_live_side_by_side(labs: Path) -> None:
    """Two labs have the same addresses and do not meet; removing one leaves the other alone."""
    (one, first), (two, second) = made(labs, "one"), made(labs, "two")
    Network(one.name).remove()

    assert not psutil.pid_exists(first.pid)
    assert psutil.pid_exists(second.pid)
    assert CONTROLLER_ADDRESS in run(["ip", "-n", two.name, "address", "show"])
    Network(two.name).remove()


def test_the_host_is_not_touched(labs: Path) -> None:
    """Neither an address nor an interface of the lab appears outside of its namespace."""
    before = run(["ip", "-brief", "address", "show"])
    folder, _ = made(labs, "alone")

    assert run(["ip", "-brief", "address", "show"]) == before
    Network(folder.name).remove()


def test_the_lab_of_a_dead_process_is_swept(labs: Path) -> None:
    """A lab whose process was killed goes with everything in it when the next starts, even if the pid came again."""
    folder, inhabitant = made(labs, "orphan")
    owned_by(folder, os.getpid(), started=1.0)
    sweep(labs)

    assert not folder.exists()
    assert not Network(folder.name).exists()
    assert not psutil.pid_exists(inhabitant.pid)


def test_living_and_kept_labs_are_not_swept(labs: Path) -> None:
    """Somebody else's running lab, and one that was left running on purpose, stay; the latter until it is torn down."""
    mine, _ = made(labs, "mine")
    owned_by(mine, os.getpid(), psutil.Process().create_time())
    kept, _ = made(labs, "kept")
    (kept / KEPT).touch()
    sweep(labs)

    assert Network(mine.name).exists()
    assert Network(kept.name).exists()
    assert tear_down(labs) == 1
    assert not Network(kept.name).exists()
