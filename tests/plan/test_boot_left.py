# SPDX-License-Identifier: Apache-2.0
"""Boot entries that disks leave behind when they are written anew: ours go, and nobody else's."""

from __future__ import annotations

from uuid import UUID

from agent.model.efi import GPT_KIND, MBR_KIND, BootEntry, FirmwareBoot, PartitionPath, path_to
from agent.model.plan import ForgetBoot
from agent.plan.boot import plan_select_boot
from agent.plan.boot_left import LONGEST_LABEL, MARK, marked, with_old_ones_forgotten
from agent.plan.check import check
from tests.efi import PARTITION
from tests.hardware import SSD
from tests.plan.test_boot import DEBIAN, ESP, NETWORK, SHIM, asked, entry, firmware

GONE = UUID("99999999-0000-0000-0000-000000000001")
OTHER = UUID("99999999-0000-0000-0000-000000000002")


def leading_to(guid: UUID, number: int, label: str) -> BootEntry:
    """An entry for that partition."""
    return entry(number, path_to(PartitionPath(2, 2048, 204800, guid.bytes_le, GPT_KIND), SHIM), label)


def forgotten(has: FirmwareBoot, known: frozenset[str] | None) -> set[int]:
    """Numbers that go with a new entry, by a plan that the checker lets through."""
    plan = check(with_old_ones_forgotten(plan_select_boot(SSD, has, (DEBIAN,), asked()), has, known))
    return {one.number for step in plan.steps if isinstance(step, ForgetBoot) for one in step.entries}


HERE = frozenset({str(PARTITION)})


def test_ours_that_lead_nowhere_go() -> None:
    """They leave the order, which has the new one in front; what leads to a partition that is there stays."""
    has = firmware(
        leading_to(GONE, 1, marked("debian")),
        leading_to(OTHER, 2, marked("debian")),
        entry(3, NETWORK, "PXE"),
        order=(1, 3, 2, 9),
    )
    plan = check(with_old_ones_forgotten(plan_select_boot(SSD, has, (DEBIAN,), asked()), has, HERE | {str(OTHER)}))

    assert isinstance(plan.steps[-1], ForgetBoot)
    assert [one.number for one in plan.steps[-1].entries] == [1]
    assert (plan.steps[-1].before, plan.steps[-1].order) == ((0, 1, 3, 2, 9), (0, 3, 2, 9))


def test_nobody_elses_go() -> None:
    """Without our mark, or of another form: a tenant's, a network's, a disk's with an MBR."""
    mbr = PartitionPath(2, 2048, 204800, b"\x78\x56\x34\x12".ljust(16, b"\0"), MBR_KIND)
    has = firmware(
        leading_to(GONE, 1, "debian"),
        leading_to(GONE, 2, f"{MARK} debian"),
        leading_to(GONE, 3, "debian (BMS-AGENT)"),
        entry(4, NETWORK, marked("PXE")),
        entry(5, path_to(mbr, SHIM), marked("old")),
    )

    assert ESP.table == GPT_KIND and forgotten(has, HERE) == set()


def test_where_nobody_can_tell() -> None:
    """A disk that was not looked at yet may have the partition."""
    assert forgotten(firmware(leading_to(GONE, 1, marked("debian"))), None) == set()


def test_only_when_one_is_made() -> None:
    """A machine that is deployed a second time with what is there already keeps its firmware as it is."""
    own = entry(7, path_to(ESP, SHIM), marked("debian"))

    assert forgotten(firmware(own, leading_to(GONE, 1, marked("debian"))), HERE) == set()


def test_the_mark_survives() -> None:
    """However long a label is."""
    assert marked("x" * 500).endswith(MARK) and len(marked("x" * 500)) == LONGEST_LABEL
    assert marked("x" * 500, " (RAID, disk 1 of 2)").endswith(f"x (RAID, disk 1 of 2){MARK}")
    assert len(marked("x" * 500, " (RAID, disk 1 of 2)")) == LONGEST_LABEL
