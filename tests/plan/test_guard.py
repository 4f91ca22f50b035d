# SPDX-License-Identifier: Apache-2.0
"""Disks that other machines may be using: nothing that writes goes near them unless their loss is allowed."""

from __future__ import annotations

import pytest

from agent.errors import DiskShared
from agent.inventory.disk_use import content
from agent.model.burn_in import DiskLoad
from agent.model.device_hints import OperatorHints
from agent.model.disk import Content, Disk
from agent.model.fact import Unknown
from agent.model.request import BurnInRequest, EraseRequest
from agent.plan.burn_in import plan_burn_in
from agent.plan.check import check, written
from agent.plan.erase import plan_erase
from agent.plan.guard import must_not_be_shared
from tests.hardware import HDD, SSD, machine

BY_TYPE = "AA31E02A-400F-11DB-9590-000C2911D1B8"


def holding(kind: str, node: str = "/dev/sda") -> Disk:
    """A disk with that on it."""
    return SSD.model_copy(update={"contents": (Content(node=node, kind=kind),)})


@pytest.mark.parametrize("kind", ["VMFS", "vmfs", "VMFS_volume_member", "gfs2", "ocfs2", "gpfs_partition"])
def test_every_kind_is_refused(kind: str) -> None:
    """In whatever case libblkid or udev spell it; the error names disk and place, and what would allow it."""
    disk = holding(kind, "/dev/sda3")
    with pytest.raises(DiskShared, match=r"serial S1.* on /dev/sda3: other machines") as caught:
        must_not_be_shared((HDD, disk), allowed=False)

    assert caught.value.hint is None or "wipe_special_filesystems" in caught.value.hint
    assert "wipe_special_filesystems" in caught.value.advice
    must_not_be_shared((HDD, disk), allowed=True)


@pytest.mark.parametrize("kind", ["ext4", "gpt", "LVM2_member", "linux_raid_member", "gfs3"])
def test_what_one_machine_uses_is_not(kind: str) -> None:
    """A guard that refused everything would be turned off."""
    must_not_be_shared((holding(kind),), allowed=False)


def test_what_could_not_be_looked_at() -> None:
    """It may be anybody's."""
    with pytest.raises(DiskShared, match="udev is silent"):
        must_not_be_shared((SSD.model_copy(update={"contents": Unknown(unknown="udev is silent")}),), allowed=False)


@pytest.mark.parametrize(("told", "kind"), [(BY_TYPE, "vmfs_partition"), ("0xfb", "vmfs_partition"), ("0x83", None)])
def test_types_of_partitions(told: str, kind: str | None) -> None:
    """GUIDs in any case, and types of an MBR; a disk's own properties have the types of its partitions in them, too."""
    properties = {"USEC_INITIALIZED": "1", "ID_PART_ENTRY_TYPE": told}

    assert [one.kind for one in content("/dev/sda1", properties, is_whole=False)] == ([kind] if kind else [])
    assert content("/dev/sda", properties, is_whole=True) == []


@pytest.mark.parametrize("method", ["zero", "metadata", "express"])
def test_erasing(method: str) -> None:
    """No method touches it: not until it is allowed, skipped, or was begun on by the same request."""
    disks = (holding("VMFS"), HDD)

    def asked(**more: object) -> EraseRequest:
        return EraseRequest.model_validate({"request_id": "r", "node_id": "n", "method": method, **more})

    with pytest.raises(DiskShared):
        plan_erase(machine(*disks), asked())
    skipped = plan_erase(machine(*disks), asked(skip=(OperatorHints(specs={"serial": "S1"}),)))
    assert {disk.path for step in check(skipped).steps for disk in written(step)} == {"/dev/sdb"}
    for plan in (
        plan_erase(machine(*disks), asked(shared_too=True)),
        plan_erase(machine(*disks), asked(), begun=(SSD.identity,)),
    ):
        assert {disk.path for step in check(plan).steps for disk in written(step)} == {"/dev/sda", "/dev/sdb"}


def test_burning_in() -> None:
    """What destroys by design goes by it, too."""
    asked = BurnInRequest(request_id="r", node_id="n", loads=(DiskLoad(),))
    with pytest.raises(DiskShared):
        plan_burn_in(machine(holding("gfs2")), asked, "/spool")
    plan_burn_in(machine(holding("gfs2")), asked.model_copy(update={"shared_too": True}), "/spool")
