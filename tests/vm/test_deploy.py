# SPDX-License-Identifier: Apache-2.0
"""A deploy whose power goes, with what the disk had not flushed; whose disk fails, or is pulled out.

Where the power goes is drawn by lot, and so is what the disk's cache loses. What one whole deploy wrote tells, too,
what would have been on the medium at every other moment.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from random import Random

import pytest

from agent.errors import DeviceError
from agent.host.fake.disk import SparseBytes
from agent.model.config_drive import SIZE_BYTES, offset_bytes
from agent.model.image import ImageFormat, ImageRef
from agent.model.partition_table import fit
from agent.model.plan import Partition
from tests.apply.disks import MIB, gpt_image
from tests.apply.real import cannot_boot, carry_out, process_of, write_of
from tests.hostile import Server, serving
from tests.vm.cache import Flush, Write, mediums
from tests.vm.device import device
from tests.vm.nbd import Command, DiskServer, Look, serving_disk

pytestmark = pytest.mark.root

DISK = 128 * MIB
SMALL = gpt_image()
LOADER = Random(8).randbytes(512 * 1024)
"""Between table and first partition, where GRUB has the rest of itself."""
HEAD = SMALL[: 64 * 1024] + LOADER + SMALL[64 * 1024 + len(LOADER) : 2 * MIB]
IMAGE = HEAD + Random(7).randbytes(34 * MIB) + SMALL[-2 * MIB :]
DRIVE = Partition(label="config-2", offset_bytes=offset_bytes(DISK), size_bytes=SIZE_BYTES)
WAIT_S = 120
BEGUN = 4 * MIB
"""When so much is written, both ends of the disk are zeroed, and flushed."""
RESUMED = 2
SEALING = 3
"""So many flushes: of the backup table, the head, and its first sector."""


def reference(web: Server) -> ImageRef:
    """The image there."""
    return ImageRef(url=web.url, format=ImageFormat.RAW, sha256=hashlib.sha256(IMAGE).hexdigest())


def used() -> SparseBytes:
    """What a tenant left: it boots."""
    medium = SparseBytes()
    medium.write(0, SMALL[:MIB])
    medium.write(100 * MIB, b"a tenant's")
    return medium


def after(server: DiskServer, count: int) -> Look:
    """Where so many bytes more will have been written."""
    end = server.written + count
    return lambda command, _offset, _length: command is not Command.READ and server.written >= end


def must_not_boot(medium: SparseBytes) -> None:
    """Nothing at either end but a record of how far it was."""
    assert cannot_boot(medium.read(0, MIB) + medium.read(DISK - MIB, MIB))


def must_hold_the_image(medium: SparseBytes) -> None:
    """Every byte of it, with a table that fits this disk."""
    fitted = fit(IMAGE[:MIB], DISK, 512, (DRIVE,))
    assert medium.read(0, MIB) == fitted.head
    assert medium.read(MIB, len(IMAGE) - MIB) == IMAGE[MIB:]
    assert medium.read(DISK - len(fitted.tail), len(fitted.tail)) == fitted.tail


def deployed(web: Server, folder: Path, medium: SparseBytes) -> None:
    """After the power is back, from the beginning: whole in the end, and on the medium."""
    folder.mkdir()
    with serving_disk(DISK, folder / "nbd", medium) as server, device(server, folder) as one:
        carry_out(one.node, reference(web), folder)
        must_hold_the_image(server.disk.durable)


def power_cut(web: Server, folder: Path, lot: Random) -> SparseBytes:
    """Somewhere in the middle of the writing; what is on the medium then."""
    with serving_disk(DISK, folder / "nbd", used()) as server:
        with device(server, folder) as one:
            server.goes_silent = after(server, BEGUN + lot.randrange(len(IMAGE) - 2 * BEGUN))
            with process_of(write_of(one.node, reference(web), folder), folder) as writer:
                assert server.silent.wait(WAIT_S), "nothing was written"
                writer.kill()
                one.pull_out()  # who waits for a disk ends once it is gone
                writer.communicate(timeout=WAIT_S)
        assert server.disk.cut_power(lot) > 0, "there was nothing in the cache"
        return server.disk.durable


@pytest.mark.parametrize("number", range(3))
def test_power_cut(tmp_path: Path, lot: Random, number: int) -> None:
    """Neither what was there nor what was being written boots; with the power back, every byte is written."""
    with serving(IMAGE) as web:
        medium = power_cut(web, tmp_path, lot)
        must_not_boot(medium)
        deployed(web, tmp_path / "again", medium)


@pytest.mark.long
@pytest.mark.parametrize("number", range(60))
def test_many_power_cuts(tmp_path: Path, lot: Random, number: int) -> None:
    """The same, again and again."""
    test_power_cut(tmp_path, lot, number)


def test_any_moment(tmp_path: Path, lot: Random) -> None:
    """Of one whole deploy: wherever the power had gone, the disk's first sector is not there, or every byte is; and
    from there it can be begun again.
    """
    with serving(IMAGE) as web:
        with serving_disk(DISK, tmp_path / "nbd", used()) as server, device(server, tmp_path) as one:
            server.disk.remember()
            carry_out(one.node, reference(web), tmp_path)
            must_hold_the_image(server.disk.durable)
        history = server.disk.history
        assert history is not None
        whole, zeroed = digest(server.disk.durable), head_is_gone(history)
        before = [one for one in history[:zeroed] if isinstance(one, Write) and MIB <= one.offset < DISK - MIB]
        assert not before, "what was there could still boot, with the image's bytes over it"
        found = []
        for moment, medium in mediums(server.disk.begun, history, moments_of(history, lot), lot):
            is_right = moment < zeroed or not any(medium.read(0, 512)) or digest(medium) == whole
            assert is_right, f"power lost after {moment} of {len(history)}: half of it boots"
            found.append(medium)
        for number, medium in enumerate(lot.sample(found, RESUMED)):
            deployed(web, tmp_path / f"again-{number}", medium)


def moments_of(history: list[Write | Flush], lot: Random) -> list[int]:
    """Around each flush, above all around those that seal the disk; and many more."""
    flushes = [at for at, one in enumerate(history) if isinstance(one, Flush)]
    near = [at + step for at in flushes for step in (0, 1, 2) if at + step <= len(history)]
    return sorted([*near, *near[-3 * SEALING :] * 6, *(lot.randint(0, len(history)) for _ in range(60))])


def head_is_gone(history: list[Write | Flush]) -> int:
    """The moment from which on nothing of what was there can boot: its first sector was zeroed, and that flushed."""
    wiped = next(at for at, one in enumerate(history) if isinstance(one, Write) and one.offset == 0)
    return next(at for at in range(wiped, len(history)) if isinstance(history[at], Flush)) + 1


def digest(medium: SparseBytes) -> str:
    """Of every byte."""
    return hashlib.sha256(medium.read(0, DISK)).hexdigest()


@pytest.mark.parametrize("command", [Command.WRITE, Command.FLUSH])
def test_disk_error(tmp_path: Path, command: Command) -> None:
    """A sector that cannot be written, and a cache that cannot be: a device's error, and nothing boots."""
    with serving(IMAGE) as web, serving_disk(DISK, tmp_path / "nbd", used()) as server:
        with device(server, tmp_path) as one:
            beyond = after(server, 9 * MIB)
            server.fails = lambda asked, at, length: asked is command and beyond(asked, at, length)
            with pytest.raises(DeviceError, match=r"EIO|Input/output"):
                carry_out(one.node, reference(web), tmp_path)
        must_not_boot(server.disk.seen)


def test_disk_that_is_pulled_out(tmp_path: Path, lot: Random) -> None:
    """In the middle of the writing: an error at once, and nothing boots."""
    with serving(IMAGE) as web, serving_disk(DISK, tmp_path / "nbd", used()) as server:
        with device(server, tmp_path) as one:
            server.goes_silent = after(server, BEGUN + lot.randrange(len(IMAGE) - 2 * BEGUN))
            with process_of(write_of(one.node, reference(web), tmp_path), tmp_path) as writer:
                assert server.silent.wait(WAIT_S), "nothing was written"
                one.pull_out()
                writer.communicate(timeout=WAIT_S)
                assert writer.returncode not in (0, None)
        server.disk.cut_power(lot)
        must_not_boot(server.disk.durable)
