# SPDX-License-Identifier: Apache-2.0
"""Root filesystems with a boot loader that is none, and deploys of them: on fake machines, and on loop devices."""

from __future__ import annotations

import random
import struct
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agent.host.fake import Machine, Output, silent
from agent.host.fake.programs import Program
from agent.inventory.cpu import ARCHITECTURE
from agent.inventory.partitions import partitions_known
from agent.model.config_drive import ConfigDrive
from agent.model.disk import MIB, Disk
from agent.model.image import ImageRef
from agent.model.layout import Layout
from agent.model.loader import MACHINES
from agent.model.plan import Plan
from agent.model.request import DeployRequest
from agent.plan.check import check
from agent.plan.layout import Seen, plan_layout
from tests.apply.disks import machine
from tests.apply.real import host
from tests.hardware import DRIVE, deploy
from tests.loops import command

UUID = "5f3c9d0e-1111-4222-8333-444455556666"
SHIM, GRUB, MANAGER = ("/usr/lib/shim/shimx64.efi.signed", "/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed",
                       "/usr/lib/shim/mmx64.efi.signed")  # fmt: skip
ESP_MIB, ROOT_MIB = 32, 24
LAYOUT = Layout(esp_mib=ESP_MIB, root_mib=ROOT_MIB, swap_mib=8, ephemeral_mib=16)
ESP_AT, EPHEMERAL_AT, SWAP_AT, DRIVE_AT, ROOT_AT = (at * MIB for at in (1, 33, 49, 57, 121))
DISK_BYTES = 150 * MIB
MENU = "menuentry 'the image s own' {}\n"


def program(content: str, architecture: str = "x86_64") -> bytes:
    """The header of a program for that machine; GRUB has the folder in it that it looks into."""
    head = bytearray(b"MZ".ljust(128, b"\0"))
    struct.pack_into("<I", head, 0x3C, 64)
    head[64:68] = b"PE\0\0"
    struct.pack_into("<H", head, 68, MACHINES[architecture].number)
    return bytes(head) + content.encode()


def debian(**changes: bytes | str | None) -> dict[str, bytes | str]:
    """The files of a Debian that matter here; one that is None is missing."""
    files: dict[str, bytes | str | None] = {
        "/etc/os-release": 'NAME="Debian GNU/Linux"\nID=debian\n',
        "/boot/grub/grub.cfg": MENU,
        SHIM: program("shim"),
        GRUB: program("grub\0/EFI/debian\0"),
        MANAGER: program("manager"),
    }
    return {path: content for path, content in (files | changes).items() if content is not None}


def written(folder: Path, files: dict[str, bytes | str]) -> Path:
    """The tree as a directory."""
    tree = folder / "tree"
    for path, content in files.items():
        place = tree / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content if isinstance(content, bytes) else content.encode())
    return tree


def ext4_of(folder: Path, files: dict[str, bytes | str], size_mib: int = 20, block_bytes: int = 4096) -> bytes:
    """An ext4 with these files."""
    image = folder / "root.ext4"
    tree = written(folder, files)
    block = str(block_bytes)
    command("mke2fs", "-q", "-t", "ext4", "-b", block, "-U", UUID, "-d", str(tree), str(image), f"{size_mib}M")
    content = image.read_bytes()
    image.unlink()
    return content


def disk_at(node: str) -> Disk:
    """As an inventory has it."""
    size, sector = (int(command("blockdev", flag, node)) for flag in ("--getsize64", "--getss"))
    return Disk(name=Path(node).name, path=node, size_bytes=size, serial="LOOP", logical_sector_bytes=sector)


def wanted(
    image: ImageRef, layout: Layout = LAYOUT, *, drive: ConfigDrive | None = DRIVE, **more: Any
) -> DeployRequest:
    """A request for the loop device, or for a fake disk."""
    made = deploy(image=image, drive=drive, serial=more.pop("serial", "LOOP"))
    return made.model_copy(update={"layout": layout, "overwrite": True, **more})


def planned(node: str, spool: Path, request: DeployRequest, *, again: bool = False) -> Plan:
    """What is to be done to that device; `again`: as after an agent's death."""
    disk = disk_at(node)
    seen = Seen(architecture="x86_64", partitions=partitions_known(host(), disk))
    return check(plan_layout(disk, seen, request, str(spool), (disk.identity,) if again else ()))


def fake_ext4(size_bytes: int = 2 * MIB, *, seed: int = 1, log_block: int = 2) -> bytes:
    """What begins as an ext4 of that size does, with blocks of 2^(10 + `log_block`) bytes; the rest is noise."""
    content = bytearray(random.Random(seed).randbytes(size_bytes))
    content[:2048] = bytes(2048)
    content[size_bytes // 2 : size_bytes // 2 + 256 * 1024] = bytes(256 * 1024)
    struct.pack_into("<I", content, 1024 + 0x4, size_bytes // (1024 << log_block))
    struct.pack_into("<I", content, 1024 + 0x18, log_block)
    content[1024 + 0x38 : 1024 + 0x3A] = b"\x53\xef"
    content[1024 + 0x68 : 1024 + 0x88] = uuid.UUID(UUID).bytes + b"rootfs".ljust(16, b"\0")
    for at in (4086, 65526, 0x8001, 0x10040, 4096 + 24):  # marks of others, by chance
        content[at : at + 16] = bytes(16)
    content[2048:4096] = bytes(2048)
    return bytes(content)


def mounting(files: dict[str, bytes | str]) -> Program:
    """A mount(8) that shows these files, whatever is mounted; everything that it was told is in `machine.commands`."""

    def mount(machine: Machine, argv: Sequence[str], stdin: str | None) -> Output:
        for path, content in files.items():
            machine.tree.put(argv[-1] + path, content if isinstance(content, bytes) else content.encode())
        return Output()

    return mount


def fake_machine(*sizes_bytes: int, sector_bytes: int = 512, files: dict[str, bytes | str] | None = None) -> Machine:
    """A machine that UEFI booted, whose kernel mounts a Debian."""
    made = machine(*(sizes_bytes or (DISK_BYTES,)), sector_bytes=sector_bytes)
    for tree in (made.tree, made.booted_tree):
        tree.put(ARCHITECTURE, b"x86_64\n")
    made.variables = {}
    made.programs |= {"mount": mounting(debian() if files is None else files), "umount": silent}
    return made
