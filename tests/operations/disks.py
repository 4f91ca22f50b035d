# SPDX-License-Identifier: Apache-2.0
"""Scenarios of disks: erased, made into arrays and taken out of them, given files, put under load."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import SecretStr

from agent.apply.inject import PLACE
from agent.host.fake import LinkTo, Machine, Output, silent
from agent.host.fake.erasing import AtaMind, NvmeMind, Sanitizer
from agent.model.burn_in import DiskLoad
from agent.model.device_hints import OperatorHints
from agent.model.inject import FileToInject
from agent.model.raid import LogicalDisk
from agent.model.request import (
    BurnInRequest,
    CreateRaidRequest,
    DeleteRaidRequest,
    EraseRequest,
    InjectRequest,
    Request,
)
from tests.apply import erasable, test_erasing_shown, test_leftovers, test_metadata
from tests.apply.arrays import two_disks
from tests.apply.disks import MIB, disk_of
from tests.apply.erasable import holds_data
from tests.operations.faults import Scenario, anything
from tests.operations.machines import ORDER, OTHER, fill, last_disk, other_is_kept, with_another

MEDIUM = "/medium"
"""What the fakes show of a filesystem where it is mounted."""


def erasing() -> tuple[Machine, Request]:
    """Every byte of one disk."""
    made = with_another(2 * MIB, MIB)
    fill(disk_of(made), b"a tenant's data".ljust(512, b"\0") * 100)
    return made, EraseRequest(**ORDER, serials=("S0",))


def is_erased(made: Machine) -> bool:
    """On the medium."""
    return disk_of(made).durable.blank


def sanitizing() -> tuple[Machine, Request]:
    """A drive that does it by itself, and what a tenant left beside it."""
    made = test_leftovers.rented()
    return made, EraseRequest(**ORDER, method="secure", platform=True)


def is_sanitized(made: Machine) -> bool:
    """Nothing of a tenant's is on the medium, and no boot is ordered. Of a TPM that does not answer it is told."""
    (mind,) = made.minds.values()
    assert isinstance(mind, Sanitizer)
    return not holds_data(mind) and not ordered(made)


def ordered(made: Machine) -> bool:
    """Whether a boot is."""
    return "BootNext" in (made.variables or {})


def shut() -> tuple[Machine, Request]:
    """A drive on which somebody's sanitize has failed, which is opened first; its own first one fails, too."""
    made = erasable.machine()
    mind = erasable.drive(made, NvmeMind, breaks=1, failed=True, restricted=True)
    mind.medium.shut = "the last sanitize failed"
    return made, EraseRequest(**ORDER, method="secure")


def hiding() -> tuple[Machine, Request]:
    """A drive with somebody's data behind its end."""
    made, _ = test_erasing_shown.hiding()
    return made, EraseRequest(**ORDER, method="secure", show_hidden=True)


def is_whole_and_erased(made: Machine) -> bool:
    """It shows all of itself, and none of it is anybody's."""
    (mind,) = made.minds.values()
    assert isinstance(mind, AtaMind)
    return not test_erasing_shown.keeps_any(mind)


def is_open_and_erased(made: Machine) -> bool:
    """Nothing of a tenant's is on the medium, which can be read."""
    (mind,) = made.minds.values()
    assert isinstance(mind, Sanitizer)
    return not mind.medium.shut and not holds_data(mind)


def erasing_metadata() -> tuple[Machine, Request]:
    """What stands on it goes first."""
    return test_metadata.stacked(2 * MIB), test_metadata.METADATA


def is_blank(made: Machine) -> bool:
    """At both ends, on the medium."""
    return test_metadata.blank(disk_of(made))


def creating_raid() -> tuple[Machine, Request]:
    """A mirror, and one for the firmware."""
    made = two_disks()
    mirror = LogicalDisk(size_gb="MAX", raid_level="1")
    return made, CreateRaidRequest(**ORDER, logical_disks=(mirror,))


def runs_arrays(made: Machine) -> bool:
    """The kernel has both, of both disks."""
    return all(f"/sys/block/{name}/slaves" in made.tree.directories for name in ("md0", "md1"))


def deleting_raid() -> tuple[Machine, Request]:
    """An array on the whole of two disks; a third one is none of its own."""
    made = test_metadata.stacked(2 * MIB, 2 * MIB)
    third = with_another(MIB, MIB, MIB)
    for path in [path for path in third.tree.entries if path.startswith("/sys/block/sdc/")]:
        made.tree.put(path, third.tree.entries[path])
    udev = {name: {**told, "ID_FS_TYPE": "linux_raid_member"} for name, told in made.record.udev.items()}
    made.record = made.record.model_copy(update={"udev": {**udev, "sdc": third.record.udev["sdc"]}})
    fill(last_disk(made), OTHER)
    return made, DeleteRaidRequest(**ORDER)


def has_no_arrays(made: Machine) -> bool:
    """None runs, and none can be found on the disks."""
    return "md127" not in made.tree.directories["/sys/block"] and all(
        test_metadata.blank(disk_of(made, path)) for path in ("/dev/sda", "/dev/sdb")
    )


def injecting() -> tuple[Machine, Request]:
    """A file, into the root filesystem of a disk."""
    made = with_another(8 * MIB, MIB)
    for fact, value in {"partition": 1, "start": 2048, "size": 8192}.items():
        made.tree.put(f"/sys/block/sda/sda1/{fact}", f"{value}\n".encode())
    udev = {**made.record.udev, "sda1": {"DEVTYPE": "partition", "USEC_INITIALIZED": "1", "ID_FS_TYPE": "ext4"}}
    made.record = made.record.model_copy(update={"udev": udev})
    made.tree.put(f"{MEDIUM}/etc/passwd", b"root:x:0:0::/:\n")
    made.programs |= {"mount": mount, "umount": umount, "sync": silent}
    file = FileToInject(path="/etc/motd", content=SecretStr("aGVsbG8="))
    hints = OperatorHints(specs={"serial": "S0"})
    return made, InjectRequest(**ORDER, root_device=hints, files=(file,))


def mount(made: Machine, argv: Sequence[str], stdin: str | None) -> Output:
    """It is seen there."""
    made.tree.drop(PLACE)
    made.tree.put(PLACE, LinkTo(MEDIUM))
    return Output()


def umount(made: Machine, argv: Sequence[str], stdin: str | None) -> Output:
    """It is not."""
    made.tree.drop(PLACE)
    return Output()


def is_injected(made: Machine) -> bool:
    """With its content."""
    return made.tree.entries.get(f"{MEDIUM}/etc/motd") == b"hello"


def has_no_half_file(made: Machine) -> bool:
    """It is there or it is not, and all else is as it was."""
    files = {path: content for path, content in made.tree.entries.items() if path.startswith(f"{MEDIUM}/etc")}
    passwd = {f"{MEDIUM}/etc/passwd": b"root:x:0:0::/:\n"}
    return other_is_kept(made) and files in (passwd, passwd | {f"{MEDIUM}/etc/motd": b"hello"})


def burning_in() -> tuple[Machine, Request]:
    """Every byte of a disk is written and compared; the other one is to be skipped."""
    made = with_another(2 * MIB, MIB)
    return made, BurnInRequest(**ORDER, loads=(DiskLoad(loops=2),), skip=(OperatorHints(specs={"serial": "S1"}),))


def is_burnt_in(made: Machine) -> bool:
    """Its disk was written."""
    return not disk_of(made).durable.blank


SCENARIOS = {
    "disk.erase": (
        Scenario("every byte", erasing, is_erased, other_is_kept, tries=60),
        Scenario("a drive that sanitizes itself", sanitizing, is_sanitized, anything, tries=24),
        Scenario("a drive that a sanitize has shut", shut, is_open_and_erased, anything, tries=24),
        Scenario("a drive that hides a part of itself", hiding, is_whole_and_erased, anything, tries=24),
        Scenario("metadata below a stack", erasing_metadata, is_blank, anything, tries=60),
    ),
    "raid.create": (Scenario("a mirror", creating_raid, runs_arrays, anything),),
    "raid.delete": (Scenario("an array of two disks", deleting_raid, has_no_arrays, other_is_kept, tries=20),),
    "disk.inject": (Scenario("a file", injecting, is_injected, has_no_half_file, tries=60),),
    "hardware.burn_in": (Scenario("a disk", burning_in, is_burnt_in, other_is_kept, tries=20),),
}
