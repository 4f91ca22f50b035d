# SPDX-License-Identifier: Apache-2.0
"""Which arrays are made to run, of which parts, and which of them may be written to once they were looked at."""

from __future__ import annotations

import pytest

from agent.errors import HostError
from agent.model.device_hints import OperatorHints
from agent.model.disk import Content, Disk, Holder
from agent.model.fact import Unknown
from agent.model.raid import Assembly, RunningArray
from agent.plan.assemble import assemblies, writable
from tests.hardware import HDD, SSD

ROOT, DATA = "11111111:1", "22222222:2"


def part(disk: Disk, number: int, name: str, uuid: str) -> Content:
    """Of an array."""
    return Content(node=f"{disk.path}{number}", kind="linux_raid_member", label=f"ramdisk:{name}", uuid=uuid)


def holding(disk: Disk, *arrays: tuple[str, str], **more: object) -> Disk:
    """A disk with parts of these."""
    parts = tuple(part(disk, number, *one) for number, one in enumerate(arrays, start=1))
    return disk.model_copy(update={"contents": parts, **more})


BOTH = ("root", ROOT), ("data", DATA)
DISKS = holding(SSD, *BOTH), holding(HDD, *BOTH)


ABOVE = tuple(Holder(name=name, kind="md") for name in ("md126", "md125"))
UNDER = tuple(disk.model_copy(update={"holders": ABOVE}) for disk in DISKS)
"""The same, once the arrays run."""


def running(name: str, number: int, uuid: str, gib: int) -> RunningArray:
    """As it was assembled."""
    node = f"md{number}"
    return RunningArray(name=node, path=f"/dev/{node}", size_bytes=gib << 30, uuid=uuid, volume_name=name,
                        level="raid1", members=("sda1", "sdb1"), read_only=True)  # fmt: skip


RUNNING = running("root", 126, ROOT, 4), running("data", 125, DATA, 7)


def stay(*entries: dict[str, str | int | bool], disks: tuple[Disk, ...] = UNDER) -> list[str]:
    """Those that stay read-only, where these entries are skipped."""
    skip = tuple(OperatorHints(specs=one) for one in entries)
    assert [one.read_only for one in assemblies(DISKS, (), skip)] == [bool(skip)] * 2
    allowed = writable(disks, RUNNING, skip)
    return [str(one.volume_name) for one in RUNNING if one.path not in allowed]


def test_of_all_its_parts() -> None:
    """By UUID, at nodes that no array has, of exactly the devices that hold a part."""
    taken = RunningArray(name="md127", path="/dev/md127", size_bytes=1, uuid="other", level="raid1", members=())

    assert assemblies(DISKS, (taken,), ()) == (
        Assembly(uuid=ROOT, node="/dev/md126", members=("/dev/sda1", "/dev/sdb1"), read_only=False),
        Assembly(uuid=DATA, node="/dev/md125", members=("/dev/sda2", "/dev/sdb2"), read_only=False),
    )


def test_what_runs_already() -> None:
    """It is not begun again."""
    assert [one.uuid for one in assemblies(DISKS, RUNNING[:1], ())] == [DATA]


def test_what_is_skipped_is_not_written() -> None:
    """An array that is meant, by its name, node or size; both, where a disk is named, or may be: its superblocks
    too. The neighbours of a named array are emptied, and so are writable.
    """
    assert stay() == []
    assert stay({"volume_name": "root"}) == ["root"]
    assert stay({"volume_name": "<or> root <or> data"}) == ["root", "data"]
    assert stay({"name": "/dev/md126"}) == ["root"]
    assert stay({"size": "== 7"}) == ["data"]
    assert stay({"serial": "S1"}) == ["root", "data"]
    assert stay({"serial": "nobody"}) == []
    doubtful = tuple(disk.model_copy(update={"serial": Unknown(unknown="unread")}) for disk in UNDER)
    assert stay({"serial": "S1"}, disks=doubtful) == ["root", "data"]


def test_what_runs_in_part_elsewhere_is_left() -> None:
    """So is what may be written already."""
    away = (UNDER[0], UNDER[1].model_copy(update={"removable": True}))
    assert writable(away, RUNNING, ()) == ()
    assert writable(UNDER, tuple(one.model_copy(update={"read_only": False}) for one in RUNNING), ()) == ()


@pytest.mark.parametrize("change", [{"removable": True}, {"transport": "nvme-tcp"}, {"transport": "usb"}])
def test_a_part_elsewhere(change: dict[str, object]) -> None:
    """Run without that part, the part would be out of date: all of the array is left alone."""
    assert assemblies((DISKS[0], DISKS[1].model_copy(update=change)), (), ()) == ()


def test_a_disk_that_nobody_has_looked_at() -> None:
    """It may hold a part, which would be missing."""
    dark = HDD.model_copy(update={"contents": Unknown(unknown="udev has not examined sdb")})
    with pytest.raises(HostError, match="udev has not examined sdb"):
        assemblies((DISKS[0], dark), (), ())
