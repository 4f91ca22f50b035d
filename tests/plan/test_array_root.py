# SPDX-License-Identifier: Apache-2.0
"""An array as root: which is meant, what lets firmware boot it, and when it is refused."""

from __future__ import annotations

from typing import Any

import pytest

from agent.errors import AgentError, ArrayNotWhole, DiskChanged, NoDiskMatches, NothingToBoot, PlanRefused
from agent.model.device_hints import OperatorHints
from agent.model.disk import Disk
from agent.model.efi import GPT_KIND, FirmwareBoot, PartitionPath, SystemPartition
from agent.model.fact import Unknown
from agent.model.inventory import Inventory
from agent.model.plan import MirrorLoader, Plan, SelectBoot
from agent.model.raid import RunningArray
from agent.model.request import DeployRequest, SelectBootRequest
from agent.plan.array_root import disks_of_mirror
from agent.plan.boot import plan_select_mirrored
from agent.plan.check import check
from agent.plan.disk import disks_of, must_be_still, select
from agent.plan.image import plan_deploy
from agent.plan.text import text
from tests.efi import csv
from tests.hardware import IMAGE, SSD
from tests.plan.arrays import DATA, MIRROR, OTHER, ROOT, TWIN, array, bearing, with_arrays

WHOLE = with_arrays(ROOT, MIRROR, disks=(SSD, TWIN, OTHER))
GOLDEN = """\
must hold: /dev/md0 (array 00000000-0000-0000-0000-000000000001, 107.4 GB) is there, writable, and not in use
must hold: /dev/md1 (array 00000000-0000-0000-0000-0000000000e5, 0.6 GB) is there, writable, and not in use
1. wipe what says what is on them, and read it back: \
32 MiB of /dev/md1 (array 00000000-0000-0000-0000-0000000000e5, 0.6 GB)
2. write http://images.example/debian.raw.zst (raw.zst, sha256 abababababab…) to \
/dev/md0 (array 00000000-0000-0000-0000-000000000001, 107.4 GB), at most 107.37 GB, all its present data is lost; \
the first 1 MiB are held back
3. fit the partition table to /dev/md0; write the first MiB last
4. copy the EFI system partition of /dev/md0 to /dev/md1 (array 00000000-0000-0000-0000-0000000000e5, 0.6 GB), \
and empty it there"""


def wanted(**hints: str | int) -> DeployRequest:
    """To deploy to what these hints mean."""
    return DeployRequest(
        request_id="r", node_id="n", image=IMAGE, root_device=OperatorHints(specs=dict(hints)), reboot=False
    )


def planned(inventory: Inventory, **hints: str | int) -> Plan:
    """What the checker lets through."""
    return check(plan_deploy(inventory, wanted(**hints), "/spool"))


def test_golden() -> None:
    """The mirror that firmware reads is emptied first and filled last; all is pinned by the arrays' UUIDs."""
    assert text(planned(WHOLE, volume_name="s== root")) == GOLDEN


@pytest.mark.parametrize(
    "hints", [{"volume_name": "root"}, {"name": "/dev/md0"}, {"size": "< 200"}, {"rotational": "no"}, {}]
)
def test_which_is_meant(hints: dict[str, Any]) -> None:
    """By its name, its node, its size; of what fits an array and its disks alike, the array is meant."""
    small = ROOT.model_copy(update={"rotational": False})
    found = select(disks_of(WHOLE), OperatorHints(specs=hints), (), (small, MIRROR))

    assert found.path == "/dev/md0"


def test_an_unnamed_array_under_another_number() -> None:
    """Made as /dev/md0, it is md127 in the next boot, and still the one that /dev/md0 means."""
    found = select((SSD,), OperatorHints(specs={"name": "/dev/md0"}), (), (array("md127", "md0", "sda2", "sdb2"),))

    assert found.path == "/dev/md127"


def test_a_skipped_array_is_no_root() -> None:
    """Whatever fits."""
    with pytest.raises(NoDiskMatches, match="is to be skipped by volume_name root"):
        select((), OperatorHints(specs={"name": "/dev/md0"}), (OperatorHints(specs={"volume_name": "root"}),), (ROOT,))


@pytest.mark.parametrize(
    ("inventory", "error", "evidence"),
    [
        (with_arrays(ROOT, MIRROR, bios=True), NothingToBoot, "booted by a BIOS"),
        (with_arrays(ROOT), NothingToBoot, "no mirror 'esp' of EFI system partitions is on sda, sdb"),
        (with_arrays(ROOT, array("md1", "esp", "sda1", "sdc1"), disks=(SSD, TWIN, OTHER)), NothingToBoot, "no mirror"),
        (with_arrays(ROOT.model_copy(update={"faults": ("it is degraded by 1",)}), MIRROR), ArrayNotWhole, "by 1"),
        (with_arrays(ROOT, MIRROR.model_copy(update={"faults": ("it has 1 of 2 members",)})), ArrayNotWhole, "1 of 2"),
    ],
)
def test_refusals(inventory: Inventory, error: type[AgentError], evidence: str) -> None:
    """What would not boot, or not from each disk, is refused before a byte is written."""
    with pytest.raises(error, match=evidence):
        planned(inventory, volume_name="root")


def test_a_single_disk_beside_arrays() -> None:
    """It is deployed to as ever, with a BIOS, too."""
    plan = planned(with_arrays(ROOT, MIRROR, disks=(SSD, TWIN, OTHER), bios=True), serial="H1")

    assert [step.kind for step in plan.steps] == ["write_image", "seal_disk"]


def test_going_on() -> None:
    """After a death the same array is written, under whatever name; never another that has taken its place."""
    begun = tuple(one.identity for one in (ROOT, MIRROR))
    moved = with_arrays(array("md127", "root", "sda2", "sdb2"), MIRROR)
    again = plan_deploy(moved, wanted(volume_name="root"), "/spool", begun)

    assert check(again).steps[1].disk.path == "/dev/md127"  # type: ignore[union-attr]
    stranger = ROOT.model_copy(update={"uuid": "ffffffff-0000-0000-0000-000000000001"})
    with pytest.raises(DiskChanged, match="the request began on /dev/md0"):
        plan_deploy(with_arrays(stranger, MIRROR), wanted(volume_name="root"), "/spool", begun)
    with pytest.raises(DiskChanged, match=r"now it is /dev/md0 \(array ffffffff"):
        must_be_still((stranger,), ROOT.identity)


def test_plans_that_would_not_boot_are_refused() -> None:
    """The checker sees by itself that an array's loader is mirrored, after all else, into what was emptied before."""
    plan = planned(WHOLE, volume_name="root")
    wipe, image, seal, mirror = plan.steps
    assert isinstance(mirror, MirrorLoader)
    for steps, evidence in (
        ((wipe, image, seal), "nothing lets firmware boot"),
        ((wipe, image, mirror, seal), "nothing lets firmware boot"),
        ((image, seal, mirror), "would not be emptied before"),
        ((wipe, image, seal, mirror.model_copy(update={"to": mirror.disk})), "nothing lets firmware boot"),
        ((wipe, image, seal, mirror.model_copy(update={"to": DATA.identity})), "which no precondition pins"),
    ):
        with pytest.raises(PlanRefused, match=evidence):
            check(plan.model_copy(update={"steps": steps}))


def esp(number: int) -> SystemPartition:
    """Of a disk, with a loader."""
    return SystemPartition(
        partition=PartitionPath(1, 2048, 1136640, bytes([number] * 16), GPT_KIND),
        uuids=("1234-ABCD",),
        programs=("/EFI/debian/shimx64.efi",),
        lists=(("/EFI/debian/BOOTX64.CSV", csv("shimx64.efi,debian,,")),),
    )


def test_an_entry_for_each_disk() -> None:
    """In the order of the disks, before all that was there; asked again, nothing is made anew."""
    request = SelectBootRequest(request_id="r", node_id="n", root_device=OperatorHints(specs={}))
    mirrored: tuple[tuple[Disk, tuple[SystemPartition, ...]], ...] = ((SSD, (esp(1),)), (TWIN, (esp(2),)))
    has = FirmwareBoot(architecture="x86_64", order=(9,), taken=frozenset({0, 9}))
    second, first = check(plan_select_mirrored(ROOT, has, mirrored, request)).steps
    assert isinstance(first, SelectBoot) and isinstance(second, SelectBoot)

    assert (second.entry.number, first.entry.number) == (1, 2)
    assert (first.before, first.order) == ((1, 9), (2, 1, 9))
    assert "debian (RAID, disk 1 of 2)" in first.entry.option.label
    assert first.disk == second.disk == ROOT.identity
    now = has.model_copy(update={"entries": (second.entry, first.entry), "order": first.order})
    again = plan_select_mirrored(ROOT, now, mirrored, request).steps
    assert [step.entry for step in again if isinstance(step, SelectBoot)] == [second.entry, first.entry]


def test_a_disk_without_a_loader_is_no_way_to_boot() -> None:
    """One of the disks that firmware finds nothing on is an error that names it."""
    request = SelectBootRequest(request_id="r", node_id="n", root_device=OperatorHints(specs={}))
    empty = esp(2).model_copy(update={"programs": (), "lists": ()})
    with pytest.raises(NothingToBoot, match="/dev/sdb"):
        plan_select_mirrored(ROOT, FirmwareBoot(architecture="x86_64"), ((SSD, (esp(1),)), (TWIN, (empty,))), request)


def test_where_the_mirror_lies() -> None:
    """On each disk under the array, at the partition that the mirror stands on."""
    found = disks_of_mirror(WHOLE, ROOT)

    assert [(disk.path, part.name) for disk, part in found] == [("/dev/sda", "sda1"), ("/dev/sdb", "sdb1")]
    assert isinstance(ROOT, RunningArray)


def test_no_way_round_the_skip_list() -> None:
    """Neither an array whose disk is to be skipped is written, nor the mirror on such a disk, nor a disk with a part of
    an array to be skipped that does not run; nor is the mirror of EFI system partitions ever root.
    """
    own, data = (OperatorHints(specs={name: value}) for name, value in (("serial", "S1"), ("volume_name", "data")))
    for disks, hints, skip, why in (
        (disks_of(WHOLE), {"volume_name": "root"}, (own,), "stands on /dev/sda, which is to be skipped by serial S1"),
        ((idle(DATA),), {}, (data,), "is a part of data, to be skipped by volume_name data"),
        ((SSD.model_copy(update={"contents": Unknown(unknown="?")}),), {}, (data,), "may be a part of an array"),
        ((), {"volume_name": "esp"}, (), "is the mirror of EFI system partitions"),
    ):
        with pytest.raises(NoDiskMatches, match=why):
            select(disks, OperatorHints(specs=hints), skip, (ROOT, MIRROR) if len(disks) != 1 else ())
    wide = array("md1", "esp", "sda1", "sdb1", "sdc1", size_bytes=MIRROR.size_bytes)
    request = wanted(volume_name="root").model_copy(update={"skip": (OperatorHints(specs={"name": OTHER.path}),)})
    with pytest.raises(NothingToBoot, match="/dev/md1 stands on /dev/sdc, which is to be skipped"):
        plan_deploy(with_arrays(ROOT, wide, disks=(SSD, TWIN, OTHER)), request, "/spool")


def idle(one: RunningArray) -> Disk:
    """A disk with a part of an array that does not run."""
    return bearing(SSD, one).model_copy(update={"holders": (), "users": ()})
