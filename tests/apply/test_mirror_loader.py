# SPDX-License-Identifier: Apache-2.0
"""Copying an EFI system partition into the array that firmware reads: all of it, its boot sector last, or nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.apply.mirror_loader import mirror_loader
from agent.errors import AgentError, ImageTooLarge, NotAsObserved, NothingToBoot
from agent.host.fake import Died, Effect, FakeHost, FaultPlan, Machine
from agent.inventory.disk import disks
from agent.model.disk import MIB
from agent.model.job import Result
from agent.model.plan import MirrorLoader
from tests.apply.disks import ForgetfulDisk, disk_of, machine
from tests.apply.test_boot import FILES
from tests.efi import SmallFat, fat_image, head_with

ESP = SmallFat(FILES).image
DISK = 8 * MIB


def filled(image: bytes, mirror_bytes: int = 4 * MIB) -> Machine:
    """What was written, and a mirror with remains of another system's beyond its head."""
    made = machine(DISK, mirror_bytes)
    disk_of(made).write(0, image)
    disk_of(made, "/dev/sdb").write(MIB // 2, b"remains")
    for path in ("/dev/sda", "/dev/sdb"):
        disk_of(made, path).flush()
    return made


def done(made: Machine, faults: FaultPlan | None = None) -> Result:
    """The step."""
    one, to = (disk.identity for disk in disks(FakeHost.of(made)))
    return mirror_loader(FakeHost.of(made, faults), MirrorLoader(disk=one, to=to), lambda *_: None)


def test_all_of_it() -> None:
    """Byte for byte, on the medium; inside it is emptied, and all else there is as it was."""
    made = filled(head_with(ESP) + b"root")

    assert done(made) == {"mirrored_loader_bytes": len(ESP)}
    assert disk_of(made, "/dev/sdb").durable.read(0, len(ESP)) == ESP
    inside = disk_of(made).durable
    assert not any(inside.read(MIB, len(ESP))) and inside.read(MIB + len(ESP), 4) == b"root"
    assert inside.read(0, MIB) == head_with(ESP)[:MIB]


@pytest.mark.commands
def test_a_large_one(tmp_path: Path) -> None:
    """What mtools made of many slices arrives as it is."""
    whole = fat_image(tmp_path, {"/EFI/debian/shimx64.efi": bytes(range(256)) * 40_000}, 64)
    made = machine(80 * MIB, 70 * MIB)
    disk_of(made).write(0, head_with(whole))
    done(made)

    assert disk_of(made, "/dev/sdb").durable.read(0, len(whole)) == whole


@pytest.mark.parametrize(
    ("image", "mirror_bytes", "error", "evidence"),
    [
        (b"", 4 * MIB, NothingToBoot, "it has none"),
        (head_with(bytes(MIB)), 4 * MIB, NothingToBoot, "partition 2: 0 sectors"),
        (head_with(ESP), MIB // 2, ImageTooLarge, "it has 1048576 bytes, and there is room for 524288"),
    ],
)
def test_refusals(image: bytes, mirror_bytes: int, error: type[AgentError], evidence: str) -> None:
    """Nothing to copy, or no room for it: firmware finds nothing, and what was written keeps what it has."""
    made = filled(image, mirror_bytes)
    with pytest.raises(error, match=evidence):
        done(made)

    assert not any(disk_of(made, "/dev/sdb").durable.read(0, 512))
    assert disk_of(made).durable.read(0, len(image)) == image


@pytest.mark.commands
def test_a_medium_that_forgets(tmp_path: Path) -> None:
    """What is read back is not what was written: the boot sector goes again, and the one inside stays."""
    whole = fat_image(tmp_path, {"/EFI/debian/shimx64.efi": b"MZ" * 600_000}, 2)
    made = filled(head_with(whole))
    made.disks["/dev/sdb"] = disk = ForgetfulDisk(size_bytes=4 * MIB, from_byte=MIB)
    with pytest.raises(NotAsObserved, match="read back at byte 0 differs"):
        done(made)

    assert not any(disk.durable.read(0, 512))
    assert disk_of(made).durable.read(MIB, len(whole)) == whole


@pytest.mark.parametrize("effect", [Effect.FAIL, Effect.DIE_AFTER])
def test_every_fault(effect: Effect) -> None:
    """At whichever call it ends, either the mirror has all of it, or what was written still has it."""
    counted = FaultPlan()
    done(filled(head_with(ESP)), counted)
    for at in range(1, len(counted.calls) + 1):
        made = filled(head_with(ESP))
        try:
            done(made, FaultPlan(at=at, effect=effect))
        except (AgentError, Died):
            made.cut_power()

        mirror, inside = disk_of(made, "/dev/sdb").durable, disk_of(made).durable
        assert ESP in (mirror.read(0, len(ESP)), inside.read(MIB, len(ESP))), counted.calls[at - 1]
        if mirror.read(0, 512) == ESP[:512]:
            assert mirror.read(0, len(ESP)) == ESP
