# SPDX-License-Identifier: Apache-2.0
"""What is never written to: arrays that are to be skipped, their disks, what stands beside; and arrays that stay."""

from __future__ import annotations

import pytest

from agent.errors import AgentError, ArrayNotWhole, DiskInUse, HostError, InputError, NoDiskMatches, SelectionError
from agent.model.device_hints import OperatorHints
from agent.model.disk import Content, Disk, Holder
from agent.model.fact import Unknown
from agent.model.inventory import Inventory
from agent.model.plan import BuildRaid, EraseDisks, LeaveDisk, Plan, StopHolder, WipeMetadata
from agent.model.raid import LogicalDisk
from agent.model.request import CreateRaidRequest, DeleteRaidRequest, EraseRequest
from agent.plan.check import check, written
from agent.plan.erase import plan_erase
from agent.plan.raid import plan_create_raid, plan_delete_raid
from tests.hardware import SSD, machine
from tests.plan.arrays import DATA, MIRROR, OTHER, ROOT, TWIN, array, bearing, with_arrays

NAMED = (OperatorHints(specs={"volume_name": "data"}),)
STAYING = ("root", "data")
DELETE = DeleteRaidRequest(request_id="r", node_id="n", skip=NAMED)
THREE = (SSD, TWIN, OTHER)


def erasing(method: str = "metadata", **more: object) -> EraseRequest:
    """A request to erase."""
    return EraseRequest.model_validate({"request_id": "r", "node_id": "n", "method": method, **more})


def touched(plan: Plan) -> set[str]:
    """Paths of what is written, or taken down."""
    stopped = {f"/dev/{step.holder.name}" for step in plan.steps if isinstance(step, StopHolder)}
    return {disk.path for step in check(plan).steps for disk in written(step)} | stopped


def left(plan: Plan) -> set[str]:
    """Paths of what is said to be left."""
    return {step.disk.path for step in plan.steps if isinstance(step, LeaveDisk)}


@pytest.mark.parametrize("method", ["metadata", "zero"])
def test_arrays_that_stay_are_erased_in_place_of_their_disks(method: str) -> None:
    """Of a node of Ironic's the arrays lose their content and stay; so does the mirror beside them; other disks are
    erased as a whole.
    """
    plan = plan_erase(with_arrays(ROOT, MIRROR, DATA, disks=THREE), erasing(method, keep_arrays=STAYING))

    assert touched(plan) == {"/dev/md0", "/dev/md1", "/dev/md2", "/dev/sdc"}
    assert left(plan) == {"/dev/sda", "/dev/sdb"}
    assert all(isinstance(step, LeaveDisk | WipeMetadata | EraseDisks) for step in plan.steps)


def test_without_a_word_arrays_are_taken_down() -> None:
    """Whoever says nothing of arrays gets disks that are blank, whatever a tenant made of them."""
    plan = plan_erase(with_arrays(ROOT, MIRROR), erasing())

    assert touched(plan) == {"/dev/md0", "/dev/md1", "/dev/sda", "/dev/sdb"}


@pytest.mark.parametrize("method", ["metadata", "zero"])
def test_a_skipped_array_keeps_its_disks(method: str) -> None:
    """Neither it nor its disks are written by whatever erases; its neighbours lose their content and stay."""
    plan = plan_erase(with_arrays(ROOT, MIRROR, DATA, disks=THREE), erasing(method, skip=NAMED, keep_arrays=STAYING))

    assert touched(plan) == {"/dev/md0", "/dev/md1", "/dev/sdc"}
    assert left(plan) == {"/dev/sda", "/dev/sdb", "/dev/md2"}
    assert touched(plan_delete_raid(with_arrays(ROOT, MIRROR, DATA), DELETE)) == {"/dev/md0", "/dev/md1"}


def test_a_skipped_array_beside_others() -> None:
    """Arrays on other disks are deleted."""
    apart = array("md2", "data", "sdb1", "sdc1")
    single = array("md3", "scratch", "sda1", "sda2")
    plan = plan_delete_raid(with_arrays(apart, single, disks=THREE), DELETE)

    assert touched(plan) == {"/dev/md3", "/dev/sda"}
    assert left(plan) == {"/dev/md2", "/dev/sdb", "/dev/sdc"}


def test_a_skipped_array_that_does_not_run() -> None:
    """Its name is on its disks: they are left, though no array runs; where nobody can tell, nothing is guessed."""
    stopped = [bearing(disk, DATA).model_copy(update={"holders": (), "users": ()}) for disk in (SSD, TWIN)]

    for plan in (
        plan_delete_raid(machine(*stopped), DELETE),
        plan_erase(machine(*stopped, OTHER), erasing(skip=NAMED)),
    ):
        assert not touched(plan) & {"/dev/sda", "/dev/sdb"} and left(plan) == {"/dev/sda", "/dev/sdb"}
    dark = SSD.model_copy(update={"contents": Unknown(unknown="udev is silent")})
    with pytest.raises(HostError, match="udev is silent"):
        plan_delete_raid(machine(dark), DELETE)


def test_sizes_spare_no_array() -> None:
    """An entry about the size of disks is about disks: an array that a tenant made of smaller ones is no such disk."""
    skip = (OperatorHints(specs={"size": "> 250"}),)
    small = tuple(disk.model_copy(update={"size_bytes": 200 * 1024**3}) for disk in (SSD, TWIN))

    assert touched(plan_erase(with_arrays(DATA, disks=small), erasing(skip=skip))) == {
        "/dev/md2",
        "/dev/sda",
        "/dev/sdb",
    }


BROKEN = ROOT.model_copy(update={"faults": ("it is degraded by 1",)})
FOREIGN = array("md5", "tenant", "sda4", "sdb4")
EXTRA = Content(node="/dev/sda9", kind="ext4")
CRYPT = Holder(name="dm-0", kind="dm", label="crypt", on=("sda9",))


def spoilt(made: Inventory, **change: object) -> Inventory:
    """With something else on the first disk."""
    assert not isinstance(made.disks, Unknown)
    first, *others = made.disks
    return made.model_copy(update={"disks": (first.model_copy(update=change), *others)})


WHOLE = with_arrays(ROOT, MIRROR)
FIRST: Disk = WHOLE.disks[0]  # type: ignore[index]


@pytest.mark.parametrize(
    ("inventory", "error", "evidence"),
    [
        (with_arrays(BROKEN, MIRROR), ArrayNotWhole, "degraded by 1"),
        (with_arrays(MIRROR), NoDiskMatches, "no array root runs; there is esp"),
        (with_arrays(ROOT, MIRROR, FOREIGN), DiskInUse, "md5 .tenant. stands on disks of arrays that stay"),
        (spoilt(WHOLE, contents=(*FIRST.contents, EXTRA)), DiskInUse, "ext4 on /dev/sda9"),
        (spoilt(WHOLE, holders=(*FIRST.holders, CRYPT)), DiskInUse, "beside its arrays it holds dm-0"),
        (spoilt(WHOLE, contents=Unknown(unknown="udev is silent")), HostError, "udev is silent"),
        (WHOLE.model_copy(update={"arrays": Unknown(unknown="EIO")}), HostError, "EIO"),
        (
            with_arrays(ROOT.model_copy(update={"volume_name": Unknown(unknown="udev is late")}), MIRROR),
            HostError,
            "udev is late",
        ),
    ],
)
def test_nothing_is_passed_over_in_silence(inventory: Inventory, error: type[AgentError], evidence: str) -> None:
    """A node does not count as erased while a lost member, or a corner of its disks, may hold a tenant's data."""
    with pytest.raises(error, match=evidence):
        plan_erase(inventory, erasing(keep_arrays=("root",)))


def test_what_stands_on_an_array_that_stays() -> None:
    """A volume on it is taken down, and it is erased; one that is mounted is not."""
    volume = Holder(name="dm-0", kind="dm", label="vg-x", on=("md0p2",))
    root = ROOT.model_copy(update={"holders": (volume,), "users": volume.claims, "partitions": ()})
    part = FIRST.partitions[0].model_copy(update={"name": "md0p2"})
    root = root.model_copy(update={"partitions": (part,)})
    made = with_arrays(root, MIRROR)
    made = spoilt(made, holders=(volume, *FIRST.holders), users=(*FIRST.users, *volume.claims))

    assert touched(plan_erase(made, erasing(keep_arrays=("root",)))) == {"/dev/dm-0", "/dev/md0", "/dev/md1"}
    busy = root.model_copy(update={"users": ("/dev/md0p1 is mounted on /mnt",)})
    with pytest.raises(DiskInUse, match="mounted on /mnt"):
        plan_erase(made.model_copy(update={"arrays": (busy, MIRROR)}), erasing(keep_arrays=("root",)))


def test_arrays_beside_one_that_is_kept_are_not_made_again() -> None:
    """What is there stays as it is; what is not there is made of other disks, under a name that nobody has."""
    kept = array("md0", "data", "sda2", "sdb2", level="raid0")
    new = LogicalDisk(size_gb=10, raid_level="1", volume_name="root")
    data = LogicalDisk(size_gb="MAX", raid_level="0", volume_name="data")
    disks = (SSD, TWIN, OTHER, OTHER.model_copy(update={"name": "sdd", "path": "/dev/sdd", "serial": "H2"}))
    request = CreateRaidRequest(request_id="r", node_id="n", logical_disks=(new, data), skip=NAMED)
    plan = check(plan_create_raid(with_arrays(kept, disks=disks), request))
    (step,) = (one for one in plan.steps if isinstance(one, BuildRaid))

    assert touched(plan) == {"/dev/sdc", "/dev/sdd"}
    assert [(one.node, one.name) for one in step.arrays] == [("/dev/md1", "root"), ("/dev/md2", "esp")]
    with pytest.raises(InputError, match="data stays, and is raid0, not raid5"):
        other = data.model_copy(update={"raid_level": "5"})
        plan_create_raid(with_arrays(kept, disks=disks), request.model_copy(update={"logical_disks": (new, other)}))
    beside = with_arrays(ROOT, MIRROR, DATA)
    assert touched(plan_create_raid(beside, request)) == set()


OWN = (OperatorHints(specs={"serial": "S1"}),)


@pytest.mark.parametrize(
    ("transport", "model", "is_told"),
    [("usb", "Virtual HDisk", False), ("iscsi", "VIRTUAL-DISK", True), ("usb", "DataTraveler", True)],
)
def test_disks_that_are_nobody_s_say_so(transport: str, model: str, is_told: bool) -> None:
    """What is neither erased nor to be skipped fails the step; but what a BMC plugs in."""
    found = OTHER.model_copy(update={"transport": transport, "model": model})
    if is_told:
        with pytest.raises(SelectionError, match=r"removable or remote.* /dev/sdc"):
            plan_erase(machine(SSD, found), erasing(strict=True))
    else:
        assert touched(plan_erase(machine(SSD, found), erasing(strict=True))) == {"/dev/sda"}


def test_an_array_on_a_disk_to_be_skipped_is_not_emptied() -> None:
    """To write to the array is to write to the disk: it is no way round the list."""
    with pytest.raises(DiskInUse, match="it stands on /dev/sda, to be skipped by serial S1"):
        plan_erase(with_arrays(ROOT, MIRROR), erasing(skip=OWN, keep_arrays=("root",)))
