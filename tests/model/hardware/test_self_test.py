# SPDX-License-Identifier: Apache-2.0
"""What disks remember of their self-tests: three kinds of logs, one set of words; which fault still counts."""

from __future__ import annotations

import pytest

from agent.errors import DecodeError
from agent.host.fake import FakeHost
from agent.inventory.hardware.disk import asked
from agent.model.hardware import self_test
from agent.model.hardware.disk import SelfTest
from tests.apply.disks import MIB, machine
from tests.hardware import HDD, NVME, SSD
from tests.model.hardware import answers


def one(kind: str, outcome: str) -> SelfTest:
    """A test that was done."""
    return SelfTest.model_validate({"kind": kind, "outcome": outcome})


def test_nvme() -> None:
    """Newest first; what was broken off says nothing; the place only where it is valid."""
    found = self_test.of_nvme(answers.nvme_self_tests((0x17, 900, 4711), (0x22, 800, None), (0x20, 700, None)))

    assert [str(each) for each in found] == [
        "short self-test failed (segment 3), at 900 hours, at sector 4711",
        "extended self-test ended, at 800 hours",
        "extended self-test passed, at 700 hours",
    ]
    assert self_test.of_nvme(answers.nvme_self_tests()) == ()


def test_ata() -> None:
    """A ring: the newest is where the log says, the oldest behind it."""
    found = self_test.of_ata(answers.ata_self_tests((0x02, 0x00, 500, 0), (0x01, 0x70, 600, 123456), newest=2))

    assert [str(each) for each in found] == [
        "short self-test failed (read), at 600 hours, at sector 123456",
        "extended self-test passed, at 500 hours",
    ]
    assert self_test.of_ata(answers.ata_self_tests(newest=0)) == ()
    with pytest.raises(DecodeError, match="number 22 of 21"):
        self_test.of_ata(answers.ata_self_tests(newest=22))


def test_scsi() -> None:
    """Parameters that were never used are no tests."""
    failing = bytes([2 << 5 | 7, 1]) + (300).to_bytes(2) + (99).to_bytes(8) + bytes([3, 0x11, 0, 0])
    passing = bytes([1 << 5, 0]) + (200).to_bytes(2) + b"\xff" * 8 + bytes(4)
    found = self_test.of_scsi({1: failing, 2: passing, 3: bytes(16)})

    assert [str(each) for each in found] == [
        "extended self-test failed (sense 0x3/0x11/0x00), at 300 hours, at sector 99",
        "short self-test passed, at 200 hours",
    ]


@pytest.mark.parametrize(
    ("newest_first", "counts"),
    [
        ((), None),
        ((one("short", "passed"), one("short", "failed")), None),
        ((one("extended", "passed"), one("short", "failed")), None),
        ((one("short", "passed"), one("extended", "failed")), 1),
        ((one("short", "ended"), one("short", "failed")), 1),
        ((one("other", "passed"), one("short", "failed"), one("extended", "passed")), 1),
    ],
)
def test_a_fault_counts_until_as_much_is_well(newest_first: tuple[SelfTest, ...], counts: int | None) -> None:
    """A short test clears no fault that an extended one has found."""
    assert self_test.failing(newest_first) == (None if counts is None else newest_first[counts])


def test_disks_are_asked_by_their_own_commands() -> None:
    """An NVMe drive by a log page, a SATA one by SMART's log, a SAS one by LOG SENSE; who has none tells nothing."""
    made = machine(MIB)
    page = answers.scsi_page(self_test.SCSI_PAGE, (1, bytes([1 << 5, 0, 0, 9]) + bytes(12)))
    made.drives |= {
        (NVME.path, "log 6"): answers.nvme_self_tests((0x10, 5, None)),
        (SSD.path, "ata"): answers.ata_identity(),
        (SSD.path, "smart 213 6"): answers.ata_self_tests((0x01, 0x00, 7, 0), newest=1),
        (HDD.path, "scsi 0"): answers.scsi_pages(0, 0x10),
        (HDD.path, "scsi 16"): page,
    }
    drives = FakeHost.of(made).drives
    told = [asked(drives, disk) for disk in (NVME, SSD, HDD, HDD.model_copy(update={"path": "/dev/sdx"}))]

    assert [None if each.self_tests is None else [test.at_hours for test in each.self_tests] for each in told] == [  # type: ignore[union-attr]
        [5],
        [7],
        [9],
        None,
    ]
    assert (told[1].link_gbps, told[1].best_link_gbps) == (6.0, 6.0)
