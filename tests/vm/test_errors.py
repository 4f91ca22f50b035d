# SPDX-License-Identifier: Apache-2.0
"""A whole machine whose disk fails under a deploy, and is gone in the middle of the wipe after it: the controller hears
of both once and as it is, nothing boots, and the disk is in quarantine.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from random import Random

import pytest

from agent.host.fake.disk import SparseBytes
from agent.model.job import JobState
from lab import artifacts
from tests.apply.disks import MIB
from tests.apply.real import cannot_boot
from tests.hostile import serving
from tests.vm.nbd import Command, never
from tests.vm.rack import NAME, WAIT_S, rack
from tests.vm.test_power import DATA, DISK, IMAGE, after, image_url

pytestmark = [pytest.mark.machine, pytest.mark.root, pytest.mark.long]

PULL = f'for one in /sys/block/vd*; do grep -qx {NAME} $one/serial && echo 1 >$one/device/../remove; done; echo go""ne'
"""What the kernel does with a device whose slot is empty of a sudden."""
GONE_S = 300


def must_not_boot(medium: SparseBytes) -> None:
    """Nothing at either end."""
    assert cannot_boot(medium.read(0, MIB) + medium.read(DISK - MIB, MIB))


def test_a_disk_that_fails_and_one_that_goes(tmp_path: Path, lot: Random) -> None:
    """Where it fails, and where it goes, is drawn by lot."""
    with rack(tmp_path, artifacts.ramdisk(), DISK) as one, serving(IMAGE) as web, one.machine() as guest:
        one.wait_for_node("available")
        beyond = after(one, lot.randrange(MIB, DATA))
        one.disk.fails = lambda asked, at, length: asked is Command.WRITE and beyond(asked, at, length)
        deploying = one.create(image_url(web), hashlib.sha256(IMAGE).hexdigest())
        assert one.wait_for_end(deploying)["fault"]["code"] == "HOST.DEVICE_ERROR", one.job(deploying)
        must_not_boot(one.disk.disk.seen)

        one.disk.fails = never
        one.ask("/v1/servers/web", method="DELETE")
        one.disk.halt_at(after(one, lot.randrange(DISK // 8, DISK // 2)))
        assert one.disk.halted.wait(WAIT_S), "nothing was wiped"
        guest.type(f"{PULL}\n")
        one.disk.go_on.wait(2)
        one.disk.go_on.set()
        guest.wait_for("gone", GONE_S)
        one.wait_for("the wipe to end", lambda: bool(one.tap.finals("disk.erase")))
        erasures = f"/v1/nodes/{one.node()['id']}/erasures"
        one.wait_for("the quarantine", lambda: bool(one.ask(erasures)["quarantined"]))
        told = one.ask(erasures)
        must_not_boot(one.disk.disk.seen)

    deploys, wipes = one.tap.finals("image.deploy"), one.tap.finals("disk.erase")
    assert [each.state for each in deploys] == [JobState.FAILED]
    (wipe,) = wipes
    assert f"failed {NAME}" in wipe.result and f"erased {NAME}" not in wipe.result, wipe.result
    assert [disk["disk"] for disk in told["quarantined"]] == [NAME]
