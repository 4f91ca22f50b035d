# SPDX-License-Identifier: Apache-2.0
"""Software RAID: golden plans, the rules that ironic-python-agent has, and what the checker refuses."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import (
    AgentError,
    DiskHoldsData,
    DiskInUse,
    DiskReadOnly,
    DiskShared,
    HostError,
    ImageTooLarge,
    InputError,
    NoDiskMatches,
    PlanRefused,
)
from agent.model.device_hints import OperatorHints
from agent.model.disk import MIB, Content, Disk, Holder
from agent.model.fact import Unknown
from agent.model.plan import BuildRaid, Plan
from agent.model.raid import LEAST_DISKS, Level, LogicalDisk, share_bytes
from agent.model.request import CreateRaidRequest, DeleteRaidRequest
from agent.plan.check import check
from agent.plan.raid import GIB, plan_create_raid, plan_delete_raid
from agent.plan.text import text
from tests.hardware import HDD, NVME, SSD, machine
from tests.plan.test_metadata import ARRAY, held

TWIN = SSD.model_copy(update={"name": "sdc", "path": "/dev/sdc", "serial": "S2", "wwn": "0x5002538f00000002"})
ROOT = {"size_gb": 100, "raid_level": "1", "is_root_volume": True, "volume_name": "root"}
REST = {"size_gb": "MAX", "raid_level": "0"}
CREATED = """\
must hold: /dev/sda (WWN 0x5002538f00000001, serial S1, 480.0 GB) is there, writable, and not in use
must hold: /dev/nvme0n1 (WWN eui.0025385b00000001, serial N1, 960.0 GB) is there, writable, and not in use
1. partition /dev/sda (WWN 0x5002538f00000001, serial S1, 480.0 GB), \
/dev/nvme0n1 (WWN eui.0025385b00000001, serial N1, 960.0 GB) anew; \
make /dev/md0 (root), RAID 1 of /dev/sda2, /dev/nvme0n1p2; /dev/md1 (md1), RAID 0 of /dev/sda3, /dev/nvme0n1p3; \
/dev/md2 (esp), RAID 1 of /dev/sda1, /dev/nvme0n1p1"""


def wanted(*logical: dict[str, Any], **more: Any) -> CreateRaidRequest:
    """These arrays."""
    return CreateRaidRequest(
        request_id="r", node_id="n", logical_disks=tuple(LogicalDisk.model_validate(one) for one in logical), **more
    )


def built(plan: Plan) -> BuildRaid:
    """The step that matters."""
    return next(step for step in check(plan).steps if isinstance(step, BuildRaid))


def test_mirror_and_stripe() -> None:
    """Each disk has an ESP and, behind, a partition of the same size for each array; MAX is what is left."""
    plan = plan_create_raid(machine(SSD, NVME), wanted(ROOT, REST))
    first, second = built(plan).tables

    assert text(check(plan)) == CREATED
    assert first.partitions == second.partitions
    assert [part.kind for part in first.partitions] == ["esp", "data", "data"]
    assert [part.offset_bytes for part in first.partitions] == [MIB, 556 * MIB, 556 * MIB + 100 * GIB + 128 * MIB]
    assert first.partitions[-1].offset_bytes + first.partitions[-1].size_bytes == SSD.size_bytes // MIB * MIB - MIB


def test_disks_by_hints() -> None:
    """One disk a hint, the first that fits and is not taken; others are left alone. What is skipped is not taken."""
    pair = {**ROOT, "physical_disks": [{"specs": {"size": "< 600"}}, {"specs": {"size": "< 600"}}]}
    plan = plan_create_raid(machine(HDD, SSD, TWIN), wanted(pair))
    skip = (OperatorHints(specs={"serial": "S2"}),)

    assert [one.members for one in built(plan).arrays] == [("/dev/sda2", "/dev/sdc2"), ("/dev/sda1", "/dev/sdc1")]
    with pytest.raises(NoDiskMatches, match="no disk that is not taken fits size < 600"):
        plan_create_raid(machine(HDD, SSD, TWIN), wanted(pair, skip=skip))


@pytest.mark.parametrize(
    ("disks", "request_", "error", "evidence"),
    [
        ((SSD, TWIN), wanted(REST), InputError, "first array must be a mirror"),
        ((SSD, TWIN), wanted({**ROOT, "size_gb": "MAX"}, REST), InputError, "only one array"),
        ((SSD, TWIN), wanted(ROOT, {**ROOT, "is_root_volume": False}), InputError, "same volume_name"),
        ((SSD, TWIN), wanted(ROOT, {**ROOT, "volume_name": "x"}), InputError, "are the root volume"),
        ((SSD,), wanted(ROOT), InputError, "RAID 1 needs 2 disks and has 1"),
        ((SSD, TWIN), wanted(ROOT, {**REST, "raid_level": "5"}), InputError, "RAID 5 needs 3 disks and has 2"),
        ((SSD, TWIN), wanted({**ROOT, "size_gb": 480}), ImageTooLarge, "do not fit on /dev/sda"),
        (
            (SSD, TWIN),
            wanted({**ROOT, "size_gb": 440}, {**REST, "size_gb": 20}),
            ImageTooLarge,
            "do not fit on /dev/sda",
        ),
        ((held(SSD, ARRAY), TWIN), wanted(ROOT), DiskInUse, "held by md127"),
        ((SSD.model_copy(update={"read_only": True}), TWIN), wanted(ROOT), DiskReadOnly, "read-only"),
    ],
)
def test_refusals(disks: tuple[Disk, ...], request_: CreateRaidRequest, error: type[AgentError], evidence: str) -> None:
    """What cannot be made, or not without taking something away first, is refused with its reason."""
    with pytest.raises(error, match=evidence):
        plan_create_raid(machine(*disks), request_)


def test_data_is_not_given_up_by_chance() -> None:
    """Disks that hold anything are refused, unless the request gives that up."""
    full = TWIN.model_copy(update={"contents": (Content(node="/dev/sdc1", kind="ext4"),)})
    with pytest.raises(DiskHoldsData, match="ext4 on /dev/sdc1"):
        plan_create_raid(machine(SSD, full), wanted(ROOT))

    assert check(plan_create_raid(machine(SSD, full), wanted(ROOT, overwrite=True)))


def test_what_other_machines_use_is_not_given_up_with_it() -> None:
    """Data that may be overwritten is this machine's."""
    shared = SSD.model_copy(update={"contents": (Content(node="/dev/sda1", kind="VMFS"),)})
    with pytest.raises(DiskShared, match="VMFS on /dev/sda1"):
        plan_create_raid(machine(shared, NVME), wanted(ROOT, overwrite=True))


def test_begun_and_interrupted() -> None:
    """What an interrupted run made of its own disks is taken down, and made again."""
    half = Holder(name="md0", kind="md", on=("sda2", "sdc2"))
    disks = (held(SSD, half), held(TWIN, half))
    plan = plan_create_raid(machine(*disks), wanted(ROOT), begun=(SSD.identity, TWIN.identity))

    assert [step.kind for step in check(plan).steps] == ["stop_holder", "build_raid"]


def test_delete() -> None:
    """Arrays are taken down, all disks that held a part of one are wiped, assembled or not; others are left alone."""
    member = NVME.model_copy(update={"contents": (Content(node="/dev/nvme0n1p1", kind="linux_raid_member"),)})
    order = DeleteRaidRequest(request_id="r", node_id="n")
    plan = plan_delete_raid(machine(held(SSD, ARRAY), held(HDD, ARRAY), TWIN, member), order)
    stop, wiped = check(plan).steps

    assert text(plan).splitlines()[3] == "1. take down md127, which stands on sda2, sdb2"
    assert stop.kind == "stop_holder" and wiped.kind == "wipe_metadata"
    assert [one.disk.path for one in wiped.wipes] == ["/dev/sda", "/dev/sdb", "/dev/nvme0n1"]
    assert text(plan_delete_raid(machine(TWIN), order)) == "nothing to do"


def test_delete_where_udev_is_silent() -> None:
    """A disk of which nobody knows what it holds is not wiped for an array that it may not have; a member is."""
    order = DeleteRaidRequest(request_id="r", node_id="n")
    silent = {"contents": Unknown(unknown="udev is silent")}
    with pytest.raises(HostError, match=r"looking for arrays on .*udev is silent"):
        plan_delete_raid(machine(held(SSD, ARRAY), held(HDD, ARRAY), TWIN.model_copy(update=silent)), order)
    member = held(SSD, ARRAY).model_copy(update=silent)
    _, wiped = check(plan_delete_raid(machine(member, held(HDD, ARRAY), TWIN), order)).steps

    assert wiped.kind == "wipe_metadata" and [one.disk.path for one in wiped.wipes] == ["/dev/sda", "/dev/sdb"]


def test_delete_leaves_what_is_skipped() -> None:
    """An array that reaches onto a disk which is never written to keeps all of its disks from being wiped."""
    order = DeleteRaidRequest(request_id="r", node_id="n", skip=(OperatorHints(specs={"serial": "H1"}),))
    with pytest.raises(DiskInUse, match="md127 stands on sdb2, too"):
        plan_delete_raid(machine(held(SSD, ARRAY), held(HDD, ARRAY)), order)


@given(st.sampled_from(list(LEAST_DISKS)), st.integers(1, 400), st.integers(0, 4))
def test_arrays_are_as_large_as_asked_for(level: Level, size_gb: int, more: int) -> None:
    """What the disks give holds the data: as much on each, and no more than a sector's rounding above it."""
    count = LEAST_DISKS[level] + more
    share = share_bytes(level, size_gb * GIB, count)
    usable = {"0": share * count, "1": share, "1+0": share * count // 2, "5": share * (count - 1)}
    data = usable.get(level, share * (count - 2))

    assert size_gb * GIB <= data < size_gb * GIB + count


GOOD = plan_create_raid(machine(SSD, NVME), wanted(ROOT, REST))
STEP = built(GOOD)
TABLE, OTHER = STEP.tables
FIRST, LAST, MIRROR = STEP.arrays
PART = TABLE.partitions[0]


@pytest.mark.parametrize(
    ("change", "evidence"),
    [
        ({"arrays": (FIRST, MIRROR)}, "/dev/sda3 would be of no array"),
        ({"arrays": (FIRST, LAST.model_copy(update={"members": FIRST.members}))}, "/dev/sda2 would be in two places"),
        ({"arrays": (FIRST, LAST, MIRROR.model_copy(update={"metadata": "1.2"}))}, "superblock where firmware looks"),
        ({"arrays": (FIRST, LAST, LAST.model_copy(update={"members": ("/dev/sdz1", "/dev/sdz2")}))}, "of no table"),
        ({"arrays": (FIRST, LAST.model_copy(update={"level": "6"}))}, "too few members for RAID 6"),
        ({"arrays": (FIRST, LAST.model_copy(update={"node": "/dev/md0"}))}, "two arrays would have one node"),
        ({"tables": (TABLE.model_copy(update={"partitions": (PART, PART)}), OTHER)}, "overlap"),
        ({"tables": (TABLE.model_copy(update={"disk": HDD.identity}), OTHER)}, "which no precondition pins"),
        (
            {
                "tables": (
                    TABLE.model_copy(update={"partitions": (PART.model_copy(update={"offset_bytes": 7}),)}),
                    OTHER,
                )
            },
            "not of whole sectors",
        ),
        (
            {
                "tables": (
                    TABLE.model_copy(update={"partitions": (PART.model_copy(update={"offset_bytes": 0}),)}),
                    OTHER,
                )
            },
            "lies outside",
        ),
    ],
)
def test_broken_plans_are_refused(change: dict[str, Any], evidence: str) -> None:
    """An array of something else than this plan's partitions, or partitions over each other, do not pass."""
    with pytest.raises(PlanRefused, match=evidence):
        check(GOOD.model_copy(update={"steps": (STEP.model_copy(update=change),)}))
