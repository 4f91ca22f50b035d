# SPDX-License-Identifier: Apache-2.0
"""Guests of different shapes, recorded by `bms-agent diagnose capture` in the real ramdisk.

`python -m tests.machine.recorded [NAME …]` records them anew into tests/machines, which takes minutes each.
"""

from __future__ import annotations

import base64
import sys
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from agent.host.fake import Machine
from agent.host.fake.recorded import unpacked
from lab import artifacts
from lab.firmware import Firmware
from tests.efi import SmallFat, csv, head_with
from tests.machine.guest import booted
from tests.machine.looked import BOOT_S, CMDLINE, LOOK_S, SHAPE, drives

HERE = Path(__file__).parent.parent / "machines"
LOADERS = {
    "/EFI/debian/SHIMX64.EFI": b"MZ",
    "/EFI/debian/GRUB.CFG": b"password_pbkdf2 root grub.pbkdf2.sha512.10000.4711",
    "/EFI/debian/BOOTX64.CSV": csv("shimx64.efi,debian,,This is the boot entry for debian"),
}
PRINT = "python3 -c 'import base64,sys,zlib;print(base64.b64encode(zlib.compress(sys.stdin.buffer.read())).decode())'"
CAPTURED = "/run/captured.tar.zst"
CAPTURE = f"bms-agent diagnose capture --to {CAPTURED} && {PRINT} <{CAPTURED}"
NICS = [
    word
    for number in range(1, 9)
    for word in (
        "-netdev", f"hubport,id=m{number},hubid={number}",
        "-device", f"{'e1000e' if number == 8 else 'virtio-net-pci'},netdev=m{number},mac=52:54:00:77:00:0{number}",
    )
]  # fmt: skip
MANY = [
    *NICS,
    "-smbios", "type=1,manufacturer=Wile,product=Sled,serial=SLED0001",
    "-smbios", "type=3,serial=CHASSIS1,asset=RACK0007",
    "-device", "nvme,drive=d1,serial=NVME0001",
    "-device", "ide-hd,drive=d2,bus=ide.0,serial=TWIN0001,model=ACME Twin",
    "-device", "ide-hd,drive=d3,bus=ide.1,serial=TWIN0001,model=ACME Twin",
    "-device", "virtio-scsi-pci",
    "-device", "scsi-hd,drive=d4,serial=FOURK001,logical_block_size=4096,physical_block_size=4096",
    "-device", "qemu-xhci", "-device", "usb-storage,drive=d5,serial=STICK001",
]  # fmt: skip


@dataclass(frozen=True)
class Guest:
    """A shape, and the disk that has partitions."""

    firmware: Firmware
    words: list[str]
    disks: int
    partitioned: int


GUESTS = {
    "qemu-uefi-numa": Guest(Firmware.UEFI, SHAPE, 4, 3),
    "qemu-bios-many-nics": Guest(Firmware.BIOS, MANY, 5, 2),
}


def captured(shape: Guest, folder: Path, ramdisk: Path) -> dict[str, bytes]:
    """The recording of such a guest, by file."""
    disk = folder / "disk"
    disk.write_bytes(bytes(1 << 20))
    words = ["-kernel", str(ramdisk / "vmlinuz"), "-initrd", str(ramdisk / "initrd"), "-append", CMDLINE]
    words += [*drives(folder, shape.disks), *shape.words, *([] if "-m" in shape.words else ["-m", "2048"])]
    with (folder / f"d{shape.partitioned}").open("r+b") as medium:
        medium.write(head_with(SmallFat(LOADERS).image))
    with booted(folder / "guest", disk, *words, firmware=shape.firmware) as guest:
        guest.wait_for("# ", BOOT_S)
        guest.do("udevadm settle", BOOT_S)
        return archive(guest.do(CAPTURE, LOOK_S), folder)


def archive(said: str, folder: Path) -> dict[str, bytes]:
    """What was printed, by file."""
    packed = folder / "captured.tar.zst"
    packed.write_bytes(zlib.decompress(base64.b64decode(said.strip().splitlines()[-1])))
    return unpacked(str(packed))


def main() -> None:
    """Record those that are named, or all."""
    for name in sys.argv[1:] or GUESTS:
        with tempfile.TemporaryDirectory() as folder:
            files = captured(GUESTS[name], Path(folder), artifacts.ramdisk())
            made = Machine.read(files, name)
            made.record = made.record.model_copy(update={"origin": f"{name}, {made.record.origin}"})
            made.save(HERE / name)


if __name__ == "__main__":
    main()
