# SPDX-License-Identifier: Apache-2.0
"""A full /run or /var, for real: nothing is begun that cannot be written down; what is under way ends honestly."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from agent.errors import HostError
from agent.host.fake import FakeHost
from agent.host.files import RealFiles
from agent.job.network_record import Held, NetworkRecord
from agent.life.lives import Folder, lived, lives_in
from agent.model.job import Advance, JobState, Result
from agent.model.plan import Step
from agent.model.request import EraseRequest
from tests.job.doers import DIRECTORY, OneDisk, process
from tests.job.test_executor import stopped
from tests.loops import command

ROOM_BYTES = 64 * 1024
pytestmark = pytest.mark.root


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Path]:
    """A filesystem in memory of 64 KiB, where the agent's state is."""
    place = tmp_path / DIRECTORY.strip("/")
    place.mkdir(parents=True)
    command("mount", "-t", "tmpfs", "-o", f"size={ROOM_BYTES}", "tmpfs", str(place))
    try:
        yield place
    finally:
        command("umount", str(place))


def fill(room: Path) -> None:
    """To the last byte."""
    with pytest.raises(OSError, match="No space"), (room / "somebody-else").open("ab", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def host_of(tmp_path: Path) -> FakeHost:
    """With real files."""
    return replace(FakeHost.with_files({}), files=RealFiles(str(tmp_path)))


@dataclass
class Filling(OneDisk):
    """While it works, somebody else fills the disk."""

    room: Path = field(default_factory=Path)

    def do(self, step: Step, advance: Advance) -> Result:
        """Erase."""
        done = super().do(step, advance)
        fill(self.room)
        return done | {"evidence": "more than there is room for in what is allocated already " * 200}


def order(number: int) -> EraseRequest:
    """One of many."""
    return EraseRequest(request_id=f"r-{number}", node_id="node-1")


def test_nothing_is_begun_without_room(room: Path, tmp_path: Path) -> None:
    """What cannot be written down is not done; with room it is, once, though it was asked for before."""
    doer = OneDisk()
    fill(room)
    with pytest.raises(HostError, match="No space"):
        executor, _ = process(host_of(tmp_path), doer)
        executor.serve(order(1), stopped())
    assert doer.erased == 0
    (room / "somebody-else").unlink()
    executor, outbox = process(host_of(tmp_path), doer)
    job = executor.serve(order(1), stopped())

    assert (job.state, doer.erased) == (JobState.SUCCEEDED, 2)
    assert [one.report.state for one in outbox.pending() if one.report.state.final] == [job.state]


def test_full_while_it_works(room: Path, tmp_path: Path) -> None:
    """The disk fills up between two steps: no success is claimed, and once there is room there is one final report."""
    doer = Filling(room=room)
    executor, _ = process(host_of(tmp_path), doer)
    with pytest.raises(HostError, match="No space"):
        executor.serve(order(1), stopped())
    assert doer.erased in (1, 2)
    (room / "somebody-else").unlink()
    executor, outbox = process(host_of(tmp_path), again := OneDisk())
    job = executor.serve(order(1), stopped())

    assert [one.report.state for one in outbox.pending() if one.report.state.final] == [job.state]
    assert job.state is JobState.FAILED or again.erased == 2


def test_it_fills_by_itself(room: Path, tmp_path: Path) -> None:
    """Jobs without end, whose reports nobody takes: an agent that is started on what is full to the last byte starts,
    delivers, and nothing of what it has to tell is lost; as soon as there is room, it goes on.
    """
    executor, _ = process(host_of(tmp_path), OneDisk())
    with pytest.raises(HostError, match="No space"):
        for number in range(1000):
            executor.serve(order(number), stopped())
    fill(room)
    executor, outbox = process(host_of(tmp_path), OneDisk())
    finals = [one.report.request_id for one in outbox.pending() if one.report.state.final]
    assert len(finals) > 20 and finals == sorted(finals, key=lambda name: int(name[2:]))
    outbox.confirm(outbox.pending()[-1].sequence)
    assert outbox.pending() == ()
    command("mount", "-o", f"remount,size={2 * ROOM_BYTES}", str(room))
    assert executor.serve(order(2000), stopped()).state is JobState.SUCCEEDED


def test_what_is_kept_is_whole(room: Path, tmp_path: Path) -> None:
    """A file that could not be replaced is the one from before: the network that held, and how processes ended."""
    record = NetworkRecord(RealFiles(str(tmp_path)), DIRECTORY)
    record.hold(Held(generation=7))
    fill(room)
    with pytest.raises(HostError, match="No space"):
        record.hold(Held(generation=8))
    shelf = Folder(RealFiles(str(tmp_path)), DIRECTORY)
    with lived(shelf, host_of(tmp_path).clock) as before:
        assert before.ended == 0

    assert record.held().generation == 7 and lives_in(shelf).ended == 0
