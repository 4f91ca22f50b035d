# SPDX-License-Identifier: Apache-2.0
"""Erasing metadata: which areas, and what is taken down for it; the checker refuses what is short of that."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import DiskInUse, PlanRefused
from agent.model.disk import MIB, Disk, DiskPartition, Holder
from agent.model.plan import Area, DiskMustBe, EraseDisk, EraseDisks, Plan, StopHolder, Wipe, WipeMetadata
from agent.model.request import EraseRequest
from agent.plan.check import check
from agent.plan.erase import plan_erase
from agent.plan.metadata import COPIES_AT, END_BYTES, areas
from agent.plan.text import text
from tests.hardware import HDD, NVME, SSD, machine

GIB = 1024**3
METADATA = EraseRequest(request_id="r", node_id="n", method="metadata")
ZERO = EraseRequest(request_id="r", node_id="n")
ARRAY = Holder(name="md127", kind="md", on=("sda2", "sdb2"))
VOLUME = Holder(name="dm-0", kind="dm", label="vg-data", on=("md127",))
STACKED = """\
must hold: /dev/sda (WWN 0x5002538f00000001, serial S1, 480.0 GB) is there, writable, and not in use but by \
dm-0 (vg-data), md127
must hold: /dev/sdb (WWN 0x5000c50000000001, serial H1, 4000.0 GB) is there, writable, and not in use but by \
dm-0 (vg-data), md127
1. take down dm-0 (vg-data), which stands on md127
2. take down md127, which stands on sda2, sdb2
3. wipe what says what is on them, and read it back: \
48 MiB of /dev/sda (WWN 0x5002538f00000001, serial S1, 480.0 GB); \
48 MiB of /dev/sdb (WWN 0x5000c50000000001, serial H1, 4000.0 GB)"""


def held(disk: Disk, *holders: Holder, users: tuple[str, ...] = ()) -> Disk:
    """The disk with a second partition on which these stand."""
    part = DiskPartition(name=f"{disk.name}2", offset_bytes=GIB, size_bytes=disk.size_bytes - GIB)
    claims = tuple(claim for one in holders for claim in one.claims)
    return disk.model_copy(update={"partitions": (part,), "holders": holders, "users": (*users, *claims)})


def test_array_and_volume_are_taken_down() -> None:
    """What stands on the disks is named and stopped from the top down, then both ends of all go, in one step."""
    plan = plan_erase(machine(held(SSD, VOLUME, ARRAY), held(HDD, VOLUME, ARRAY)), METADATA)

    assert text(check(plan)) == STACKED


def test_zeroing_takes_down_too() -> None:
    """The slower method does not stumble over an array either."""
    plan = plan_erase(machine(held(SSD, ARRAY), held(HDD, ARRAY)), ZERO)

    stopping, erasing = check(plan).steps
    assert stopping.kind == "stop_holder" and isinstance(erasing, EraseDisks)
    assert [type(one) for one in erasing.erasures] == [EraseDisk, EraseDisk]


@pytest.mark.parametrize(
    ("disks", "evidence"),
    [
        ((held(SSD, VOLUME, ARRAY, users=("/dev/dm-0 (vg-data) is mounted on /srv",)), held(HDD)), "mounted on /srv"),
        ((held(SSD, ARRAY),), "md127 stands on sdb2, too"),
        ((held(SSD, Holder(name="bcache0", on=("sda2",))),), "neither a RAID array nor"),
        ((SSD.model_copy(update={"users": ("/dev/sda is swapped to",)}),), "swapped to"),
    ],
)
def test_what_is_in_use_is_refused(disks: tuple[Disk, ...], evidence: str) -> None:
    """What is mounted, reaches onto another disk, or is of a kind that is not known, is left standing."""
    for request in (METADATA, ZERO):
        with pytest.raises(DiskInUse, match=evidence):
            plan_erase(machine(*disks), request)


def test_array_with_partitions() -> None:
    """A volume on a partition of an array stands on the array."""
    volume = Holder(name="dm-0", kind="dm", label="vg-data", on=("md127p1",))
    plan = plan_erase(machine(held(SSD, volume, ARRAY), held(HDD, volume, ARRAY)), METADATA)

    assert [step.holder.name for step in plan.steps if isinstance(step, StopHolder)] == ["dm-0", "md127"]


def test_disk_without_a_size_comes_last() -> None:
    """A disk whose sectors the kernel cannot use keeps no other from being erased first."""
    odd = SSD.model_copy(update={"size_bytes": 0})
    zero, metadata = (check(plan_erase(machine(odd, NVME), request)).steps for request in (ZERO, METADATA))

    erased = [one.disk.path for step in zero if isinstance(step, EraseDisks) for one in step.erasures]
    assert erased == [NVME.path, odd.path]
    assert [one.disk.path for step in metadata if step.kind == "wipe_metadata" for one in step.wipes] == [
        NVME.path,
        odd.path,
    ]


def test_no_disk_no_step() -> None:
    """A machine without disks has nothing to do."""
    assert text(plan_erase(machine(), METADATA)) == "nothing to do"


EXTENTS = st.tuples(st.integers(0, 600 * GIB // 512), st.integers(1, 600 * GIB // 512))


@given(st.integers(1, 600 * GIB // 4096), st.sampled_from([512, 4096]), st.lists(EXTENTS, max_size=6))
def test_areas(sectors: int, sector_bytes: int, extents: list[tuple[int, int]]) -> None:
    """Whatever the table says, the areas are whole sectors of the disk, apart, and hold both ends of everything."""
    parts = tuple(
        DiskPartition(name="x", offset_bytes=start * 512, size_bytes=size * 512)
        for start, size in extents
        if start * 512 < sectors * 4096
    )
    facts = {"size_bytes": sectors * 4096, "logical_sector_bytes": sector_bytes, "partitions": parts}
    disk = SSD.model_copy(update=facts)
    found = areas(disk)
    covered = [(area.offset_bytes, area.offset_bytes + area.length_bytes) for area in found]
    check(
        Plan(
            preconditions=(DiskMustBe(disk=disk.identity),),
            steps=(WipeMetadata(wipes=(Wipe(disk=disk.identity, areas=found),)),),
        )
    )

    for offset, size in [(0, disk.size_bytes), *((part.offset_bytes, part.size_bytes) for part in parts)]:
        end = min(offset + size, disk.size_bytes)
        ends = [(offset, offset + END_BYTES), (offset + size - END_BYTES, offset + size)]
        ends += [(offset + at, offset + at + 4096) for at in COPIES_AT if at + 4096 <= size]
        for first, last in ((max(low, offset), min(high, end)) for low, high in ends):
            assert first >= last or any(low <= first and last <= high for low, high in covered)


GOOD = plan_erase(machine(held(SSD, VOLUME, ARRAY), held(HDD, VOLUME, ARRAY)), METADATA)
UPPER, LOWER, WIPE = GOOD.steps
assert isinstance(WIPE, WipeMetadata)
WHOLE = Area(offset_bytes=0, length_bytes=SSD.size_bytes)


def wiping(*areas: Area) -> WipeMetadata:
    """Other areas of the first disk."""
    assert isinstance(WIPE, WipeMetadata)
    return WIPE.model_copy(update={"wipes": (Wipe(disk=SSD.identity, areas=areas),)})


@pytest.mark.parametrize(
    ("steps", "evidence"),
    [
        ((LOWER, UPPER, WIPE), r"md127 would be taken down before dm-0 \(vg-data\)"),
        ((UPPER, WIPE), "would be written while md127 holds it"),
        ((UPPER, WIPE, LOWER), "would be written while md127 holds it"),
        ((UPPER, LOWER, StopHolder(holder=Holder(name="md9", on=("sdz",))), WIPE), "md9 would be taken down"),
        ((UPPER, LOWER, wiping()), "an end of"),
        ((UPPER, LOWER, wiping(Area(offset_bytes=0, length_bytes=MIB))), "an end of"),
        ((UPPER, LOWER, wiping(Area(offset_bytes=512, length_bytes=SSD.size_bytes - 512))), "an end of"),
        ((UPPER, LOWER, wiping(WHOLE, WHOLE)), "in no order"),
        ((UPPER, LOWER, wiping(Area(offset_bytes=0, length_bytes=SSD.size_bytes + 512))), "lies outside"),
        ((UPPER, LOWER, wiping(Area(offset_bytes=0, length_bytes=MIB + 1), WHOLE)), "not of whole sectors"),
    ],
)
def test_broken_plans_are_refused(steps: tuple[WipeMetadata | StopHolder, ...], evidence: str) -> None:
    """A plan that stops in the wrong order, writes what is held, or leaves an end, does not pass."""
    with pytest.raises(PlanRefused, match=evidence):
        check(GOOD.model_copy(update={"steps": steps}))


def test_unpinned_disk_is_refused() -> None:
    """No disk is wiped that no precondition pins."""
    with pytest.raises(PlanRefused, match="which no precondition pins"):
        check(Plan(steps=(WIPE,)))
