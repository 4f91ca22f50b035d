# SPDX-License-Identifier: Apache-2.0
"""sfdisk and mdadm of a fake machine: partitions and arrays are seen afterwards, as a kernel and udev show them."""

from __future__ import annotations

from collections.abc import Sequence

from agent.host.fake import LinkTo, Machine, Output
from tests.apply.disks import MIB, machine

GIB = 1024**3
SECTOR = 512


def two_disks(*, sector_bytes: int = SECTOR, count: int = 2) -> Machine:
    """Of 4 GiB each, with the tools."""
    made = machine(*[4 * GIB] * count, sector_bytes=sector_bytes)
    made.programs |= {"sfdisk": sfdisk, "mdadm": mdadm, "wipefs": wipefs}
    return made


def uuid_of(name: str) -> str:
    """Of an array."""
    return f"00000000-0000-0000-0000-{sum(name.encode()):012d}"


def told(made: Machine, name: str, **properties: str) -> None:
    """udev has looked at a device."""
    known = {"USEC_INITIALIZED": "1", **made.record.udev.get(name, {}), **properties}
    made.record = made.record.model_copy(update={"udev": {**made.record.udev, name: known}})


def facts(made: Machine, at: str, **values: object) -> None:
    """What sysfs has."""
    for name, value in values.items():
        made.tree.put(f"{at}/{name.replace('__', '/')}", f"{value}\n".encode())


def sfdisk(made: Machine, argv: Sequence[str], stdin: str | None) -> Output:
    """The partitions of a script, in sectors of 512 bytes."""
    disk = argv[-1].removeprefix("/dev/")
    lines = [line for line in (stdin or "").splitlines() if line.startswith("start=")]
    for number, line in enumerate(lines, start=1):
        said = dict(field.split("=") for field in line.split(", "))
        facts(made, f"/sys/block/{disk}/{disk}{number}", partition=number, start=said["start"], size=said["size"])
        made.tree.put(f"/sys/class/block/{disk}{number}", LinkTo(f"/sys/block/{disk}/{disk}{number}"))
        told(made, f"{disk}{number}", DEVTYPE="partition")
    told(made, disk, ID_PART_TABLE_TYPE="gpt")
    return Output()


def mdadm(made: Machine, argv: Sequence[str], stdin: str | None) -> Output:
    """The kernel then has such an array, on those partitions."""
    if argv[1] == "--assemble":
        return assembled(made, argv)
    if argv[1] == "--readwrite":
        facts(made, f"/sys/block/{argv[2].removeprefix('/dev/')}", ro=0)
        return Output()
    node, said = argv[2].removeprefix("/dev/"), dict(word.split("=") for word in argv if "=" in word)
    parts = [word.removeprefix("/dev/") for word in argv[3:] if word.startswith("/dev/")]
    at, uuid = f"/sys/block/{node}", uuid_of(said["--name"])
    sizes = [int(made.tree.entries[f"/sys/block/{part[:3]}/{part}/size"]) for part in parts]  # type: ignore[arg-type]
    size = min(sizes) - (128 * MIB if said["--metadata"] == "1.2" else MIB) // SECTOR
    facts(made, f"{at}/md", level=f"raid{said['--level']}", degraded=0, array_state="clean", uuid=uuid)
    facts(made, f"{at}/md", raid_disks=len(parts))
    facts(made, at, size=size, ro=0, removable=0, dev=f"9:{node[2:]}")
    facts(made, at, queue__rotational=0, queue__logical_block_size=SECTOR, queue__physical_block_size=SECTOR)
    told(made, node, DEVTYPE="disk")
    made.tree.put(f"/sys/class/block/{node}", LinkTo(at))
    for part in parts:
        made.tree.put(f"{at}/slaves/{part}", b"")
        made.tree.put(f"/sys/block/{part[:3]}/{part}/holders/{node}", b"")
        label = f"ramdisk:{said['--name']}"
        told(made, part, ID_FS_TYPE="linux_raid_member", ID_FS_UUID=uuid, ID_FS_LABEL=label)
    return Output()


def assembled(made: Machine, argv: Sequence[str]) -> Output:
    """What was made before, and is seen on its members; elsewhere now."""
    node, parts = argv[2].removeprefix("/dev/"), [word.removeprefix("/dev/") for word in argv[3:] if "/dev/" in word]
    name = made.record.udev[parts[0]]["ID_FS_LABEL"].partition(":")[2]
    size = min(int(made.tree.entries[f"/sys/block/{part[:3]}/{part}/size"]) for part in parts)  # type: ignore[arg-type]
    at = f"/sys/block/{node}"
    facts(made, f"{at}/md", level="raid1", degraded=0, array_state="clean", uuid=uuid_of(name), raid_disks=len(parts))
    facts(made, at, size=size - 128 * MIB // SECTOR, ro=int("--readonly" in argv), removable=0, dev=f"9:{node[2:]}")
    facts(made, at, queue__rotational=0, queue__logical_block_size=SECTOR, queue__physical_block_size=SECTOR)
    told(made, node, DEVTYPE="disk")
    made.tree.put(f"/sys/class/block/{node}", LinkTo(at))
    for part in parts:
        made.tree.put(f"{at}/slaves/{part}", b"")
        made.tree.put(f"/sys/block/{part[:3]}/{part}/holders/{node}", b"")
    return Output()


def wipefs(made: Machine, argv: Sequence[str], stdin: str | None) -> Output:
    """Nothing is on a disk that was wiped, and udev sees it, too."""
    disk = argv[-1].removeprefix("/dev/")
    udev = {name: said for name, said in made.record.udev.items() if not name.startswith(disk)}
    made.record = made.record.model_copy(update={"udev": {**udev, disk: {"USEC_INITIALIZED": "1"}}})
    return Output(stdout="{}")
