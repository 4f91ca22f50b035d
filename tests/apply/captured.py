# SPDX-License-Identifier: Apache-2.0
"""A server's disk on a fake machine, in a ramdisk whose kernel has the device mapper: fakes of its commands.

1 MiB   ESP, vfat          (`tests.model.disks`, fat16)
24 MiB  swap
32 MiB  root, ext4
56 MiB  the config drive, vfat with its label
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from agent.host.fake import FakeDisk, Machine, Output
from agent.host.fake.machine import Counts
from agent.model import gpt, mbr
from agent.model.disk import DiskIdentity
from agent.model.filesystem import complement
from agent.model.filesystem.known import kind_of, open_filesystem
from agent.model.plan import CaptureDisk
from tests.apply.disks import DISK_GUID, LINUX, MIB, disk_of, machine
from tests.model import disks

SIZE = 80 * MIB
ESP, SWAP, ROOT, DRIVE = 1, 24, 32, 56
PARTS = ((ESP, 20, "esp"), (SWAP, 4, "swap"), (ROOT, 24, "root"), (DRIVE, 20, "config-2"))
SECRET = b"text of a file that was deleted"
SWAP_UUID = "0fc63daf-8483-4772-8e79-3d69d8477de4"
ROOT_UUID = "7d1ad0a4-3d4b-4c0f-8a43-3f6f2f0c5d11"
PLACE = "/run/bms-agent/captured"
OVERLAY = "/dev/mapper/bms-capture"
TREE = {
    "/etc/os-release": 'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\n',
    "/etc/machine-id": "0123456789abcdef0123456789abcdef\n",
    "/etc/ssh/ssh_host_ed25519_key": "PRIVATE",
    "/etc/fstab": f"UUID={ROOT_UUID} / ext4 defaults 0 1\nUUID=7D1A-D0A4 /boot/efi vfat noauto 0 0\n",
    "/boot/efi/.keep": "",
    "/usr/bin/cloud-init": "",
    "/usr/bin/growpart": "",
    "/home/me/marker": "here",
}


def table(parts: Sequence[tuple[int, int, str]] = PARTS, size: int = SIZE) -> tuple[bytes, bytes]:
    """(the first MiB, the last sector) of a disk with these partitions: (MiB, MiB, name)."""
    sectors = size // 512
    entries = tuple(
        gpt.Entry(slot, LINUX, UUID(int=slot + 1), at * 2048, (at + mib) * 2048 - 1, 0, name)
        for slot, (at, mib, name) in enumerate(parts)
    )
    made = gpt.Gpt(512, DISK_GUID, 34, sectors - 34, sectors - 1, 2, 128, 128, entries)
    array = gpt.array_of(made, bytes(128 * 128))
    head = bytearray(MIB)
    head[:440] = b"boot code".ljust(440, b".")
    mbr.RECORD.pack_into(head, 446, 0, b"\0\2\0", mbr.PROTECTIVE, b"\xff\xff\xff", 1, sectors - 1)
    head[510:512] = b"\x55\xaa"
    head[512:1024] = gpt.header_of(made, array, backup=False)
    head[1024 : 1024 + len(array)] = array
    return bytes(head), gpt.header_of(made, array, backup=True)


def fill(disk: FakeDisk) -> None:
    """What the server's life has left on it; in every free place lies something that was deleted."""
    head, last = table()
    disk.write(0, head)
    disk.write(SIZE - 512, last)
    for name, at in (("fat16", ESP), ("ext4-1k", ROOT)):
        for offset, data in disks.pieces(name):
            disk.write(at * MIB + offset, data)
        for offset, length in free(name):
            disk.write(at * MIB + offset, SECRET.ljust(length, b".")[:length])
    header = bytearray(4096)
    header[1024:1028] = (1).to_bytes(4, "little")
    header[1036:1052] = UUID(SWAP_UUID).bytes
    header[-10:] = b"SWAPSPACE2"
    disk.write(SWAP * MIB, bytes(header))
    disk.write(SWAP * MIB + 8192, SECRET)
    for offset, data in disks.pieces("fat16"):
        disk.write(DRIVE * MIB + offset, data)
    disk.write(DRIVE * MIB + 0x2B, b"CONFIG-2   ")
    disk.write(DRIVE * MIB + 15 * MIB, SECRET)
    disk.flush()


def free(name: str) -> list[tuple[int, int]]:
    """(offset, length) of a part of each free extent of a filesystem."""
    return [(offset, min(length, 5000)) for offset, length in complement(used(name), disks.SIZES_MIB[name] * MIB, "")]


def used(name: str) -> list[tuple[int, int]]:
    """(offset, length) of what a filesystem has in use."""
    content, size = disks.load(name)
    found = open_filesystem(content.read, size, kind_of(content.read, size))
    assert found is not None
    return list(found.used())


def server(*, kernel: bool = True) -> Machine:
    """The machine, in its ramdisk."""
    made = machine(SIZE)
    fill(disk_of(made))
    set_mounts(made, ())
    made.tree.put("/proc/self/mountinfo", b"1 1 0:2 / / rw - rootfs rootfs rw\n25 1 0:22 / /proc rw - proc proc rw\n")
    if kernel:
        made.programs |= {"dmsetup": dmsetup, "losetup": losetup, "mount": mount, "umount": umount}
    return made


def step(**changes: object) -> CaptureDisk:
    """Capture that disk."""
    identity = DiskIdentity(path="/dev/sda", wwn=None, serial="S0", size_bytes=SIZE, logical_sector_bytes=512)
    told = {"disk": identity, "to": "file:///images/captured.bmi", "keep_drive": False, "level": 1}
    return CaptureDisk.model_validate(told | changes)


def losetup(machine: Machine, argv: Sequence[str], stdin: str | None) -> Output:
    """One loop device, always the same."""
    return Output(stdout="/dev/loop0\n" if "--show" in argv else "")


def dmsetup(machine: Machine, argv: Sequence[str], stdin: str | None) -> Output:
    """Snapshots are copies; a partition has nothing of its own: what is done to it is done to the tree."""
    match argv[1]:
        case "create" if "snapshot" in argv[-1]:
            origin = machine.disks[argv[-1].split()[3]]
            machine.disks[OVERLAY] = FakeDisk(size_bytes=origin.size_bytes, content=origin.content.copy())
        case "create":
            machine.disks[f"/dev/mapper/{argv[2]}"] = FakeDisk(size_bytes=MIB)
        case "remove":
            del machine.disks[f"/dev/mapper/{argv[-1]}"]
        case "ls":
            names = [node.rpartition("/")[2] for node in machine.disks if node.startswith("/dev/mapper/")]
            return Output(stdout="".join(f"{name}\t(254:0)\n" for name in names) or "No devices found\n")
        case "info":
            return Output(stdout=f"mapper/{argv[-1]}\n")
        case _:
            return Output(stdout="0 348160 snapshot 24/348160 16\n")
    return Output()


def mount(machine: Machine, argv: Sequence[str], stdin: str | None, tree: Mapping[str, str] = TREE) -> Output:
    """The third partition is root."""
    node, place = argv[-2:]
    if node.endswith("p3"):
        for path, text in tree.items():
            machine.tree.put(PLACE + path, text.encode())
    counts = machine.record.counts
    set_mounts(machine, (*counts.mounts, (node, place)))
    return Output()


def umount(machine: Machine, argv: Sequence[str], stdin: str | None) -> Output:
    """What was changed in root shows at the beginning of a block of it, in the copy."""
    place = argv[-1]
    if place == PLACE and OVERLAY in machine.disks:
        emptied = machine.tree.entries.get(f"{PLACE}/etc/machine-id") == b""
        machine.disks[OVERLAY].write(ROOT * MIB, b"forgotten" if emptied else b"looked at")
        machine.tree.drop(place)
    set_mounts(machine, tuple(each for each in machine.record.counts.mounts if each[1] != place))
    return Output()


def set_mounts(machine: Machine, mounts: tuple[tuple[str, str], ...]) -> None:
    """What the kernel says is mounted."""
    machine.record = machine.record.model_copy(update={"counts": Counts(memory_total_bytes=MIB, mounts=mounts)})
