# SPDX-License-Identifier: Apache-2.0
"""What the service keeps on its disk, journal, outbox and network, wherever the power goes while it writes.

The agent's own code writes to an ext4 on a disk with a volatile cache. What came to the disk gives its medium at any
moment; each is mounted as the next boot does it, and read by the agent.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest

from agent.host.fake import FakeHost
from agent.host.fake.disk import SparseBytes
from agent.host.files import RealFiles
from agent.job.convergence import Convergence
from agent.job.journal import Accepted, Begun, Ended, Journal, StepBegun
from agent.job.network_record import Held, remembered
from agent.job.outbox import Outbox
from agent.model.job import JobReport, JobState
from agent.model.network import NetworkConfig
from agent.networking import Networking
from tests.apply.disks import MIB
from tests.job.test_commit import AFTER, BEFORE, CONTROLLER, DIRECTORY, FILES, machine
from tests.loops import command
from tests.vm.cache import Write, mediums
from tests.vm.device import device
from tests.vm.nbd import DiskServer, serving_disk

pytestmark = pytest.mark.root

SIZE = 32 * MIB
JOBS, MOMENTS = 12, 30
PLACE = "/etc/systemd/network"
AT = datetime(2026, 5, 1, tzinfo=UTC)
Files = dict[str, bytes]


def formatted(server: DiskServer, folder: Path) -> None:
    """An ext4, all of it on the medium."""
    file = folder / "empty"
    with file.open("wb") as made:
        made.truncate(SIZE)
    command("mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", str(file))
    content = file.read_bytes()
    for at in range(0, SIZE, MIB):
        if any(piece := content[at : at + MIB]):
            server.disk.write(Write(at, MIB, piece))
    server.disk.flush()


@contextmanager
def mounted(what: str, root: Path) -> Iterator[RealFiles]:
    """A disk, or a file that is one."""
    root.mkdir(exist_ok=True)
    command("mount", "-t", "ext4", *([] if what.startswith("/dev/") else ["-o", "loop"]), what, str(root))
    try:
        yield RealFiles(str(root))
    finally:
        command("umount", str(root))


@contextmanager
def written(folder: Path) -> Iterator[tuple[DiskServer, RealFiles]]:
    """A new filesystem, of which everything is remembered from now on."""
    with serving_disk(SIZE, folder / "nbd") as server:
        formatted(server, folder)
        with device(server, folder) as one, mounted(one.node, folder / "root") as files:
            command("sync", "-f", str(folder / "root"))
            server.disk.remember()
            yield server, files


@contextmanager
def next_boot(medium: SparseBytes, folder: Path) -> Iterator[RealFiles]:
    """What the filesystem's journal has is played back."""
    file = folder / "medium"
    with file.open("wb") as made:
        made.truncate(SIZE)
        for at in range(0, SIZE, MIB):
            if any(piece := medium.read(at, MIB)):
                made.seek(at)
                made.write(piece)
    with mounted(str(file), folder / "again") as files:
        yield files


def moments(server: DiskServer, lot: Random, first: int = 0) -> list[int]:
    """As many as the lot shall draw, from there on."""
    return sorted(lot.randint(first, server.disk.moment) for _ in range(MOMENTS))


def carried_out(files: RealFiles, name: str, size: int) -> None:
    """A request, from its acceptance to its final report."""
    journal, outbox = Journal(files, DIRECTORY), Outbox(files, DIRECTORY, "stream")
    found: dict[str, str | int] = {"found": "x" * size}
    journal.write(Accepted(request_id=name, verb="disk.erase", digest="d"))
    journal.write(Begun(request_id=name, disks=(), epilogue=None))
    journal.write(StepBegun(request_id=name, step="erase_disks"))
    journal.write(Ended(request_id=name, state=JobState.SUCCEEDED, boot_id="b", result=found))
    outbox.put(JobReport(request_id=name, verb="disk.erase", state=JobState.SUCCEEDED, at=AT, result=found))


def test_journal_and_outbox(tmp_path: Path, lot: Random) -> None:
    """Whatever returned before the power went is there, whole, and reported once; both can be written to again."""
    kept: list[tuple[int, str]] = []
    with written(tmp_path) as (server, files):
        for number in range(JOBS):
            carried_out(files, f"r{number}", lot.randrange(9000))
            kept.append((server.disk.moment, f"r{number}"))
        history, drawn = list(server.disk.history or ()), moments(server, lot)
    for moment, medium in mediums(server.disk.begun, history, drawn, lot):
        names = {name for at, name in kept if at <= moment}
        with next_boot(medium, tmp_path) as files:
            journal, outbox = Journal(files, DIRECTORY), Outbox(files, DIRECTORY, "another")
            ended = {name for name in names if (job := journal.job(name)) and job.state is JobState.SUCCEEDED}
            finals = [one.report.request_id for one in outbox.pending()]
            assert ended == names, f"after {moment} of {len(history)}: {names - ended} are lost"
            assert len(finals) == len(set(finals)) and names <= set(finals), f"after {moment}: {finals}"
            carried_out(files, "afterwards", 10)


def service(files: RealFiles) -> Convergence:
    """A start of it, on a machine with two NICs that has just booted; its files are real."""
    host = replace(FakeHost.of(machine()), files=files)
    return Convergence(host, Networking(host, CONTROLLER), DIRECTORY)


def brought_about(files: RealFiles, number: int, wanted: NetworkConfig) -> None:
    """This network, for good; by a process that began with the boot."""
    convergence = service(files)
    convergence.recover()
    convergence.want(number, wanted)
    assert convergence.round(), convergence.fault


def files_of(files: RealFiles) -> Files:
    """For the next boot; what was begun and not renamed is none."""
    return {name: files.read_bytes(f"{PLACE}/{name}") for name in files.names(PLACE) if not name.startswith(".")}


def test_network_change(tmp_path: Path, lot: Random) -> None:
    """Wherever the power goes while the network changes: the files are wholly those that go with what is remembered,
    or what is to be taken back is remembered, too; and the next start ends in the old or the new one, for good.
    """
    with written(tmp_path) as (server, files):
        for path, text in FILES.items():
            files.write(path, text.encode())
        brought_about(files, 1, BEFORE)
        old, first = files_of(files), server.disk.moment
        brought_about(files, 2, AFTER)
        new = files_of(files)
        history, drawn = list(server.disk.history or ()), moments(server, lot, first)
    assert old and new and old != new
    seen = set()
    for moment, medium in mediums(server.disk.begun, history, drawn, lot):
        with next_boot(medium, tmp_path) as files:
            seen.add(must_be_one_of(files, old, new, f"after {moment} of {len(history)}"))
            service(files).recover()
            held = (remembered(files, DIRECTORY)[0] or Held()).generation
            assert files_of(files) == {1: old, 2: new}[held], f"taken back after {moment}"
            brought_about(files, 2, AFTER)
            assert files_of(files) == new, f"in the end, after {moment}"
    assert "pending" in seen, "the lot drew no moment within the change"


def must_be_one_of(files: RealFiles, old: Files, new: Files, where: str) -> str:
    """What the disk says; which case it is."""
    held, pending = remembered(files, DIRECTORY)
    number = (held or Held()).generation
    assert number in (1, 2), where
    if pending is not None:
        assert pending.held.generation == 1, where
        return "pending"
    assert files_of(files) == {1: old, 2: new}[number], where
    return f"network {number}"
