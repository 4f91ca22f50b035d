# SPDX-License-Identifier: Apache-2.0
"""`images/demo`, as a newcomer runs it: the main job on UEFI, and that nothing of it stays behind."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import pytest

from lab.daemon import wait_until
from lab.site import LABS, OWNER
from tests.lab.left import namespaces, ownerless

pytestmark = pytest.mark.machine

DEMO = Path(__file__).parents[2] / "images" / "demo"
DEMO_TIMEOUT_S = 1500
START_TIMEOUT_S = 120
END_TIMEOUT_S = 60
# In the order in which they must happen; each is printed only after it was seen.
MILESTONES = (
    "BM-2000",
    "S4NYNF0M123456",
    "image debian created",
    "create done",
    "hostname: web-1",
    "machine serial: CZ12345678",
    "agent service: active",
    "calls made by: no root",
    "image written by: no root",
    "disk data (3 GiB): data",
    "delete done",
    "disk system (5 GiB): nothing but zeroes",
    "disk data (3 GiB): nothing but zeroes",
    "Timeline",
)


def test_the_main_job(ramdisk: Path, image: Path) -> None:
    """From a bare machine to an ACTIVE server and back: status 0, every milestone in order, and nothing left behind."""
    before = ownerless()
    done = subprocess.run([str(DEMO)], stdout=subprocess.PIPE, text=True, timeout=DEMO_TIMEOUT_S, check=False)

    assert done.returncode == 0, done.stdout
    places = [done.stdout.find(milestone) for milestone in MILESTONES]
    assert -1 not in places, f"missing {MILESTONES[places.index(-1)]!r} in:\n{done.stdout}"
    assert ownerless() <= before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_cleans_up(ramdisk: Path, image: Path, number: signal.Signals) -> None:
    """Ctrl-C and SIGTERM end the machine, the controller and the namespace, whatever was going on."""
    demo = subprocess.Popen([str(DEMO)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until("the machine to run", lambda: machine_of(demo.pid) is not None, START_TIMEOUT_S)
    folder = machine_of(demo.pid)
    assert folder is not None
    demo.send_signal(number)

    assert demo.wait(END_TIMEOUT_S) != 0
    assert folder.parent.name not in namespaces()
    assert not list(folder.glob("*.raw"))


def machine_of(pid: int) -> Path | None:
    """The machine's folder in the lab of this process, once the machine was switched on."""
    for owner in LABS.glob(f"*/{OWNER}"):
        if json.loads(owner.read_text())["pid"] == pid and (owner.parent / "machine" / "qemu.pid").exists():
            return owner.parent / "machine"
    return None
