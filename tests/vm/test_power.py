# SPDX-License-Identifier: Apache-2.0
"""The power goes in the middle of a wipe, and of a deploy, and takes what the disk had not flushed along.

Where it goes is drawn by lot, and so is what the disk's cache loses. What one run wrote tells, too, what would have
been on the medium at every other moment.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from random import Random

import pytest

from agent.host.fake.disk import SparseBytes
from agent.model.config_drive import SIZE_BYTES, offset_bytes
from agent.model.job import JobState
from agent.model.partition_table import fit
from agent.model.plan import Partition
from lab import artifacts
from tests.apply.disks import MIB, gpt_image
from tests.apply.real import cannot_boot
from tests.hostile import Server, serving
from tests.machine.guest import HOST, Guest
from tests.vm.cache import Flush, mediums
from tests.vm.nbd import Command, Look
from tests.vm.rack import WAIT_S, Rack, rack

pytestmark = [pytest.mark.machine, pytest.mark.root, pytest.mark.long]

DISK = 1100 * MIB
DATA = 40 * MIB
TENANT = b"what a tenant wrote. ".ljust(4096, b".")
TENANTS = (0, 300 * MIB, DISK - MIB)
"""Where a MiB of that is."""
SMALL = gpt_image()
IMAGE = SMALL[: 2 * MIB] + Random(7).randbytes(DATA) + SMALL[-2 * MIB :]
DRIVE = Partition(label="config-2", offset_bytes=offset_bytes(DISK), size_bytes=SIZE_BYTES)
MEMORY = "/sys/fs/cgroup/system.slice/bms-agent-ramdisk.service/memory.max"
OOM_S = 60
FUTURE, PAST = "2041-05-06", "1999-01-01"


def rented(rack: Rack) -> None:
    """A disk of a tenant's."""
    for place in TENANTS:
        for each in (rack.disk.disk.seen, rack.disk.disk.durable):
            each.write(place, TENANT * (MIB // len(TENANT)))


def holds_data(medium: SparseBytes) -> bool:
    """Whether any byte of it is not zero."""
    return not medium.blank


def image_url(web: Server) -> str:
    """As the guest reaches it."""
    return f"http://{HOST}:{web.server_address[1]}/image"


def after(rack: Rack, count: int) -> Look:
    """Where so many bytes more will have been written."""
    end = rack.disk.written + count
    return lambda command, _offset, _length: command is not Command.READ and rack.disk.written >= end


def killed(rack: Rack, lot: Random, most: int) -> None:
    """The power goes somewhere among so many bytes that are written."""
    rack.disk.goes_silent = after(rack, lot.randrange(most))
    assert rack.disk.silent.wait(WAIT_S), "nothing was written"


def must_not_boot(rack: Rack) -> None:
    """What is on the medium."""
    assert cannot_boot(rack.disk.disk.durable.read(0, MIB) + rack.disk.disk.durable.read(DISK - MIB, MIB))


def must_hold_the_image(medium: SparseBytes) -> None:
    """Every byte of it, with a table that fits this disk; a config drive has no bytes of its own in an image."""
    fitted = fit(IMAGE[:MIB], DISK, 512, (DRIVE,))
    assert medium.read(0, MIB) == fitted.head
    assert medium.read(MIB, len(IMAGE) - MIB) == IMAGE[MIB:]
    assert medium.read(DISK - len(fitted.tail), len(fitted.tail)) == fitted.tail
    assert not any(medium.read(len(IMAGE), DRIVE.offset_bytes - len(IMAGE)))
    assert b"config-2" in medium.read(DRIVE.offset_bytes, MIB)


def disturbed(rack: Rack, guest: Guest) -> None:
    """In the middle of its writing the clock jumps by years, the kernel kills the agent for its memory, and while the
    next one writes the clock jumps back.
    """
    for at, order in (
        (DATA // 8, f"date -s {FUTURE}; echo 4M >{MEMORY}; echo max >{MEMORY}"),
        (DATA // 2, f"date -s {PAST}"),
    ):
        rack.disk.halt_at(after(rack, at))
        assert rack.disk.halted.wait(WAIT_S), "nothing was written"
        guest.type(f"{order}; echo do''ne\n")
        if MEMORY in order:
            rack.disk.go_on.wait(1)
            rack.disk.go_on.set()  # who waits for a disk cannot be killed
            guest.wait_for("Killed process", OOM_S * 5)
        guest.wait_for("done", OOM_S * 5)
        rack.disk.go_on.set()


def test_power_cuts(tmp_path: Path, lot: Random) -> None:
    """Three lives of a machine. The first ends in the middle of a wipe; the second wipes all of it, and ends in the
    middle of a deploy: what is there does not boot. The third writes every byte of the image, though it is killed for
    its memory and the clock jumps. The controller heard one end of each request.
    """
    with rack(tmp_path, artifacts.ramdisk(), DISK) as one, serving(IMAGE) as web:
        rented(one)
        with one.machine():
            one.wait_for_node("available")
            wiping = one.clean()
            killed(one, lot, DISK)
        one.cut_power(lot)
        with one.machine():
            assert one.wait_for_end(wiping)["status"] == "SUCCESS", one.job(wiping)
            assert not holds_data(one.disk.disk.durable)
            deploying = one.create(image_url(web), hashlib.sha256(IMAGE).hexdigest())
            killed(one, lot, DATA)
        one.cut_power(lot)
        must_not_boot(one)
        one.disk.disk.remember()
        with one.machine() as guest:
            disturbed(one, guest)
            guest.wait_for_end(WAIT_S)

        assert one.job(deploying)["fault"] is None
        assert [one.state for one in one.tap.finals("disk.erase")] == [JobState.SUCCEEDED]
        assert [one.state for one in one.tap.finals("image.deploy")] == [JobState.SUCCEEDED]
        must_hold_the_image(one.disk.disk.durable)
        must_be_whole_or_not_boot(one, lot)


def must_be_whole_or_not_boot(rack: Rack, lot: Random) -> None:
    """Wherever the power had gone in that run: without its first sector, or with every byte."""
    disk = rack.disk.disk
    assert disk.history is not None
    last = len(disk.history)
    flushes = [at for at, one in enumerate(disk.history) if isinstance(one, Flush)]
    near = [at + step for at in flushes for step in (0, 1, 2) if at + step <= last]
    moments = sorted([*near, *(lot.randrange(last) for _ in range(40)), *[last] * 10])
    whole = digest(disk.durable)
    for moment, medium in mediums(disk.begun, disk.history, moments, lot):
        boots = any(medium.read(0, 512))
        assert not boots or digest(medium) == whole, f"after {moment} of {last} writes and flushes half of it boots"


def digest(medium: SparseBytes) -> str:
    """Of every byte."""
    found = hashlib.sha256()
    for at in range(0, DISK, 16 * MIB):
        found.update(medium.read(at, min(16 * MIB, DISK - at)))
    return found.hexdigest()
