# SPDX-License-Identifier: Apache-2.0
"""Disks that are tested: read among siblings, to the last byte, or written where they may be; one hides no other."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

import pytest

from agent.apply.burn_in.course import Course
from agent.apply.burn_in.disk import Tally, silent
from agent.apply.validation import validate
from agent.apply.validation.reading import read, slower, surface
from agent.apply.validation.trials import Bench, Verdicts
from agent.apply.validation.writing import judged as judged_writing
from agent.errors import DeviceError, DiskChanged, ValidationFailed
from agent.host.fake import FakeDisk, FakeHost
from agent.model.fact import Unknown
from agent.model.validation import Trial, Validate, codes
from agent.operations import Operations
from tests.apply.disks import MIB, disk_of
from tests.apply.real import host
from tests.apply.validating import (
    RECORD,
    SIZE,
    Seen,
    codes_of,
    found,
    identity,
    made,
    report_of,
    step,
    timed,
    trials,
)
from tests.loops import loop


@dataclass
class Slow(FakeDisk):
    """Every read takes its time; from a place on, none succeeds."""

    pause_s: float = 0.0
    bad_from: int = SIZE

    def read(self, offset: int, length: int) -> bytes:
        """After a while."""
        time.sleep(self.pause_s)
        if offset + length > self.bad_from:
            raise DeviceError(f"reading at byte {offset}", "Input/output error")
        return super().read(offset, length)


def test_siblings() -> None:
    """Of three disks of one model the one that falls behind is told, with figures; the others pass."""
    has = made(3)
    for name, pause_s in (("sda", 0.03), ("sdb", 0.5), ("sdc", 0.03)):
        has.disks[f"/dev/{name}"] = Slow(SIZE, pause_s=pause_s)
    report = found(has, step("disk.read", disks=3, least=30))  # a busy machine makes no disk fall behind so far

    assert [one.code for one in report.verdicts] == [codes.PASSED, codes.DISK_SLOW, codes.PASSED]
    assert report.state == "degraded" and report.verdicts[1].figures["siblings"] == 2
    assert "the median of its 2 siblings is" in report.verdicts[1].told


def test_falling_behind() -> None:
    """By the median of the others: one that is very fast, or very slow, moves no bound."""
    assert slower(70.0, [100.0, 100.0, 9000.0], 70, "MB/s", 1) == []
    assert slower(69.0, [100.0, 100.0, 1.0], 70, "MB/s", 1) == ["69 MB/s; the median of its 3 siblings is 100"]
    assert slower(1.0, [], 70, "MB/s", 1) == []


def test_a_disk_without_siblings_is_not_compared() -> None:
    """Others of another size are no siblings; a read that takes too long is told all the same."""
    has = made(2)
    has.disks["/dev/sdb"] = Slow(SIZE, pause_s=0.5)
    has.tree.put("/sys/block/sdb/device/model", b"ANOTHER\n")
    report = found(has, step("disk.read", disks=2, stall=450))

    assert [one.code for one in report.verdicts] == [codes.PASSED, codes.DISK_STALLS]
    assert int(report.verdicts[1].figures["longest ms"]) >= 500


def test_a_disk_that_cannot_be_read() -> None:
    """Where, and the other disk is tested to its end."""
    has = made(2)
    has.disks["/dev/sda"] = Slow(SIZE, bad_from=2 * MIB)
    report = found(has, step("disk.read", "disk.surface", disks=2))

    assert [one.code for one in report.verdicts] == [codes.READ_ERROR, codes.PASSED] * 2
    assert "reading at byte" in report.verdicts[0].told
    assert report.verdicts[3].figures["GB read"] == f"{SIZE / 10**9:.2f}" and report.verdicts[2].figures["faults"] == 1


def test_another_disk_under_that_name() -> None:
    """It is not taken for the one that was planned."""
    has = made()
    has.disks["/dev/sda"] = FakeDisk(2 * SIZE)
    (verdict,) = found(has, step("disk.read", disks=1)).verdicts

    assert verdict.state == "failed" and f"now it has {2 * SIZE} bytes" in verdict.told


def test_writing() -> None:
    """Every byte of the disk that is named, and of no other."""
    has = made(2)
    report = found(has, step("disk.write", disks=1, wiped=1))

    assert codes_of(report) == [("/dev/sda (S0)", codes.PASSED)] and report.verdicts[0].figures["loops"] == 1
    assert any(disk_of(has).durable.read(SIZE - 512, 512)) and disk_of(has, "/dev/sdb").content.blank


@dataclass
class Holding(FakeDisk):
    """A write that takes its time."""

    pause_s: float = 0.0

    def write(self, offset: int, data: bytes) -> None:
        """After a while."""
        time.sleep(self.pause_s)
        super().write(offset, data)


def test_a_disk_that_holds_up_what_is_written() -> None:
    """It has kept everything, and is not as it should be; how long it may take can be set."""
    has = made()
    has.disks["/dev/sda"] = Holding(SIZE, pause_s=0.5)
    (slow,) = found(has, step("disk.write", wiped=1, stall=450)).verdicts
    has.disks["/dev/sda"] = Holding(SIZE, pause_s=0.5)
    (well,) = found(has, step("disk.write", wiped=1)).verdicts

    assert (slow.state, slow.code) == ("degraded", codes.DISK_STALLS) and "ms" in slow.told
    assert (well.state, well.code) == ("passed", codes.PASSED) and int(well.figures["longest ms"]) >= 500


def test_a_disk_that_takes_nothing_is_told_while_it_does() -> None:
    """By its name, and since when; one that has answered is not, and none is failed for it."""
    has, one, other = made(2), Tally(identity()), Tally(identity(1))
    clock = FakeHost.of(has).clock
    with one.asked(clock), other.asked(clock):
        has.uptime_s += 30
        assert silent([one, other], clock) == []
        has.uptime_s += 9
        assert [f"{each.disk}: no answer for 39 s" for each in (one, other)] == silent([one, other], clock)
    assert silent([one, other], clock) == [] and one.longest_s == 39


def test_a_disk_is_looked_at_again_before_it_is_written() -> None:
    """Tests before may have taken a day: what is another disk by now fails, and stays as it is."""
    has = made()
    other = identity().model_copy(update={"serial": "before"})
    asked = step("disk.write").model_copy(update={"wiped": (other,)})
    with pytest.raises(ValidationFailed, match=DiskChanged.code):
        Operations(timed(has), None, "/spool").do(asked, lambda *_: None)

    assert disk_of(has).content.blank


@pytest.mark.parametrize("name", ["disk.read", "disk.write"])
def test_what_was_found_before_the_time_was_over(name: str) -> None:
    """A disk that has failed has failed; the one that was still at work is not passed, and does not hang."""
    has = made(2)
    has.disks["/dev/sda"] = Slow(SIZE, bad_from=2 * MIB)
    has.disks["/dev/sdb"] = Slow(SIZE, pause_s=0.5)
    asked = step(name, disks=2, wiped=2, time_limit_s=2, seconds=600, **({"loops": 9} if "write" in name else {}))
    report = found(has, asked)

    codes_found = [one.code for one in report.verdicts]
    assert codes_found == [codes.READ_ERROR if name == "disk.read" else codes.DISK_WRONG, codes.TIME_OVER]
    assert report.state == "failed"


@dataclass
class Stuck(FakeDisk):
    """A read that does not come back until the test lets it."""

    free: Event = field(default_factory=Event)

    def read(self, offset: int, length: int) -> bytes:
        """In the kernel."""
        self.free.wait(60)
        return super().read(offset, length)


@pytest.mark.parametrize("doing", [read, surface])
def test_a_disk_that_hangs(doing: Callable[[Bench, Trial, float], Verdicts]) -> None:
    """It is named, soon after nothing moves any more, and its sibling's result counts."""
    has, stuck = made(2), Stuck(SIZE)
    has.disks["/dev/sda"] = stuck
    one, asked = timed(has), step(f"disk.{doing.__name__}", disks=2)
    bench = Bench(
        one, asked, Course(one, RECORD, lambda *_: None, 0.5), Seen(one), Seen(one).hardware(), lambda _: None
    )
    began_s = time.monotonic()
    try:
        verdicts = doing(bench, asked.trials[0], 1.5)
    finally:
        stuck.free.set()

    assert [(each.subject, each.state, each.code) for each in verdicts] == [
        ("/dev/sda (S0)", "failed", codes.HANGS),
        ("/dev/sdb (S1)", "passed", codes.PASSED),
    ]
    assert time.monotonic() - began_s < 50


def test_disks_that_are_written_and_hang() -> None:
    """As of those that are read: its own verdict."""
    trial, one = trials("disk.write")[0], Tally(identity())

    assert judged_writing(trial, one, hangs=True).code == codes.HANGS
    assert judged_writing(trial, one, hangs=False).code == codes.TIME_OVER


@pytest.mark.parametrize("name", ["disk.health", "disk.self_test", "disk.link"])
def test_disks_that_are_not_seen_any_more(name: str) -> None:
    """One that vanished since it was planned has failed; where no disk can be listed, nothing is known of any."""
    gone = found(made(1), step(name, disks=2))
    assert codes_of(gone)[1] == ("/dev/sdb (S1)", codes.DISK_GONE) and gone.state == "failed"

    unseen = found(made(1), step(name, disks=1), disks=Unknown(unknown="no sysfs"))
    assert [(each.subject, each.code, each.told) for each in unseen.verdicts] == [
        ("/dev/sda (S0)", codes.UNKNOWN, "no sysfs")
    ]


@pytest.mark.root
def test_a_real_disk(tmp_path: Path) -> None:
    """Through the real doors, past the page cache: read, then written and compared, of a size that is no round one."""
    with loop(tmp_path, SIZE) as node:
        disk = identity(path=node)
        asked = Validate(
            trials=trials("disk.read", "disk.surface", "disk.write"),
            disks=(disk,),
            wiped=(disk,),
            record_path=str(tmp_path / "record"),
        )
        one = host()
        report = report_of(validate(one, asked, lambda *_: None, Seen(FakeHost.of(made()))))

        assert [(each.test, each.code) for each in report.verdicts] == [
            (name, codes.PASSED) for name in ("disk.read", "disk.surface", "disk.write")
        ]
        assert all(int(report.verdicts[0].figures[name]) > 0 for name in ("MB/s", "random reads/s"))
        assert any((tmp_path / "disk").read_bytes()[-512:]) and not (tmp_path / "record").exists()
