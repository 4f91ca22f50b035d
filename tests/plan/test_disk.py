# SPDX-License-Identifier: Apache-2.0
"""Selecting the disk that is meant."""

from __future__ import annotations

import pytest

from agent.errors import DiskChanged, DiskHoldsData, DiskInUse, HostError, NoDiskMatches, SeveralDisksMatch
from agent.model.device_hints import OperatorHints
from agent.model.disk import Disk, RootDeviceHints
from agent.model.fact import Unknown
from agent.plan.disk import (
    disks_of,
    must_be_expendable,
    must_be_free,
    must_be_the_one_begun,
    select,
    size_fits,
)
from agent.plan.erase import is_local
from tests.hardware import FULL, HDD, NVME, SSD, machine


@pytest.mark.parametrize(
    ("hints", "path"),
    [
        ({"serial": "s1"}, "/dev/sda"),
        ({"wwn": "0x5000C50000000001"}, "/dev/sdb"),
        ({"rotational": True}, "/dev/sdb"),
        ({"transport": "nvme"}, "/dev/nvme0n1"),
        ({"size_gb": "< 500"}, "/dev/sda"),
        ({"size_gb": "960", "rotational": False}, "/dev/nvme0n1"),
    ],
)
def test_select(hints: dict[str, str | bool], path: str) -> None:
    """The one disk that fits every hint is chosen, whatever its kernel name."""
    assert select((SSD, HDD, NVME), RootDeviceHints.model_validate(hints)).path == path


def test_none_matches_lists_every_disk() -> None:
    """When no disk fits, the error names each disk and the hint that it fails."""
    with pytest.raises(NoDiskMatches) as caught:
        select((SSD, HDD), RootDeviceHints(serial="X9", rotational=True))

    assert str(caught.value) == (
        "selecting the disk for serial X9, rotational True: "
        "/dev/sda (WWN 0x5002538f00000001, serial S1, 480.0 GB): serial is S1, rotational is False; "
        "/dev/sdb (WWN 0x5000c50000000001, serial H1, 4000.0 GB): serial is H1"
    )
    assert caught.value.code == "DISK.NONE_MATCHES"


def test_several_match_is_an_error() -> None:
    """Two fitting disks are never a coin toss: the error says which fit and why the others do not."""
    with pytest.raises(SeveralDisksMatch, match=r"2 disks fit: .*sda .*: fits; .*sdb .*rotational is True; .*: fits"):
        select((SSD, HDD, NVME), RootDeviceHints(rotational=False))


def test_no_hints_with_one_disk() -> None:
    """A machine with one disk needs no hint; one with two does."""
    assert select((SSD,), RootDeviceHints()) == SSD
    with pytest.raises(SeveralDisksMatch):
        select((SSD, HDD), RootDeviceHints())


def test_removable_and_read_only_never_match() -> None:
    """A stick that was left in the server is not its root disk, even if it fits the hints."""
    stick = Disk.model_validate(SSD.model_dump() | {"removable": True})
    locked = Disk.model_validate(HDD.model_dump() | {"read_only": True})
    with pytest.raises(NoDiskMatches, match=r"is removable.*is read-only"):
        select((stick, locked), RootDeviceHints())


@pytest.mark.parametrize("transport", ["iscsi", "fc", "nvme-tcp", "nvme-fc"])
def test_a_disk_on_a_network_is_meant_only_by_name(transport: str) -> None:
    """It may be somebody else's: neither a size nor the lack of hints means it, for this controller or for Ironic; its
    serial does. To Ironic's hints an own disk comes first.
    """
    far = SSD.model_copy(update={"transport": transport, "size_bytes": 10 * 10**9, "device_number": "1:0"})
    near = HDD.model_copy(update={"device_number": "9:0"})
    assert far.is_remote and not is_local(far) and not near.is_remote
    assert select((far, near), RootDeviceHints()) == near
    assert select((far, near), RootDeviceHints(serial="S1")) == far
    assert select((far, near), RootDeviceHints(transport=transport)) == far
    for hints in (RootDeviceHints(rotational=False), RootDeviceHints(size_gb="< 500"), OperatorHints(specs={})):
        with pytest.raises(NoDiskMatches, match=f"is on a network .{transport}., and no hint names it"):
            select((far,), hints)

    assert select((far, near), OperatorHints(specs={})) == near
    assert select((far, near), OperatorHints(specs={"size": ">= 1"})) == near
    assert select((far, near), OperatorHints(specs={"serial": "S1"})) == far


def test_nvme_is_nvme_to_ironics_hints() -> None:
    """lsblk has one word for it, and so have hints that operators wrote."""
    far = NVME.model_copy(update={"transport": "nvme-tcp"})

    assert select((far,), OperatorHints(specs={"tran": "nvme"})) == far


def test_unknown_disks_are_not_no_disks() -> None:
    """A failed probe is told as such, and not as a machine without disks."""
    with pytest.raises(HostError, match="udev is gone"):
        disks_of(machine().model_copy(update={"disks": Unknown(unknown="udev is gone")}))


@pytest.mark.parametrize(
    ("hint", "fits"), [("480", True), ("== 480", True), ("> 480", False), (">=480", True), ("<= 479", False)]
)
def test_size_hint(hint: str, fits: bool) -> None:
    """Size hints compare whole gigabytes."""
    assert size_fits(480, hint) is fits


def test_disk_with_data_needs_the_word() -> None:
    """A disk that holds something, or of which that is unknown, is expendable only if the request says so."""
    unknown = Disk.model_validate(SSD.model_dump() | {"contents": {"unknown": "udev is gone"}})
    must_be_expendable(SSD, overwrite=False)
    must_be_expendable(FULL, overwrite=True)
    with pytest.raises(DiskHoldsData, match="gpt on /dev/sda, ext4 on /dev/sda1"):
        must_be_expendable(FULL, overwrite=False)
    with pytest.raises(DiskHoldsData, match="udev is gone"):
        must_be_expendable(unknown, overwrite=False)


def test_mounted_disk_is_never_free() -> None:
    """What is mounted or held is refused, whatever the request says."""
    with pytest.raises(DiskInUse, match="/dev/sda1 is mounted on /srv"):
        must_be_free(Disk.model_validate(SSD.model_dump() | {"users": ("/dev/sda1 is mounted on /srv",)}))


def test_resumed_request_stays_on_its_disk() -> None:
    """A request that began on one disk is not finished on another, but a new kernel name is no other disk."""
    moved = Disk.model_validate(SSD.model_dump() | {"name": "sdz", "path": "/dev/sdz"})
    must_be_the_one_begun(moved, (SSD.identity,))
    with pytest.raises(DiskChanged):
        must_be_the_one_begun(HDD, (SSD.identity,))
