#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Make a disk image bootable by a BIOS: what grub-bios-setup does, without a block device.

In: the image, GRUB's boot.img and core.img, and the sector where the BIOS boot partition begins and how many it has.
Out: the image, with boot.img in the master boot record and core.img in the partition. It leaves the partition table
alone. Offsets are those of GRUB's include/grub/i386/pc/boot.h.
"""

import argparse
import struct
from pathlib import Path

SECTOR_BYTES = 512
CODE_BYTES = 440  # disk signature and partition table follow
KERNEL_SECTOR_AT = 0x5C
DRIVE_CHECK_AT = 0x66
BLOCKLIST_AT = SECTOR_BYTES - 12
BLOCKLIST = struct.Struct("<QHH")  # first sector, number of sectors, segment to load them to


def boot_code(boot: bytes, core_sector: int) -> bytes:
    """boot.img's code, which is to load the sector `core_sector`."""
    code = bytearray(boot[:CODE_BYTES])
    struct.pack_into("<Q", code, KERNEL_SECTOR_AT, core_sector)
    # as grub-bios-setup does on hard disks: do not trust a BIOS that passes a floppy's drive number
    code[DRIVE_CHECK_AT : DRIVE_CHECK_AT + 2] = b"\x90\x90"
    return bytes(code)


def placed_core(core: bytes, core_sector: int) -> bytes:
    """core.img, whose first sector is to load the others from the sectors after it."""
    sectors = -(-len(core) // SECTOR_BYTES)
    placed = bytearray(core.ljust(sectors * SECTOR_BYTES, b"\0"))
    segment = BLOCKLIST.unpack_from(placed, BLOCKLIST_AT)[2]
    BLOCKLIST.pack_into(placed, BLOCKLIST_AT, core_sector + 1, sectors - 1, segment)
    return bytes(placed)


def embed(image: Path, boot: bytes, core: bytes, first_sector: int, sectors: int) -> None:
    placed = placed_core(core, first_sector)
    if len(placed) > sectors * SECTOR_BYTES:
        raise SystemExit(f"core.img has {len(core)} bytes, the BIOS boot partition {sectors * SECTOR_BYTES}")
    with image.open("r+b") as disk:
        disk.seek(first_sector * SECTOR_BYTES)
        disk.write(placed)
        disk.seek(0)
        disk.write(boot_code(boot, first_sector))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("image", type=Path)
    parser.add_argument("boot", type=Path, help="GRUB's boot.img")
    parser.add_argument("core", type=Path, help="core.img, made by grub-mkimage")
    parser.add_argument("first_sector", type=int)
    parser.add_argument("sectors", type=int)
    given = parser.parse_args()
    embed(given.image, given.boot.read_bytes(), given.core.read_bytes(), given.first_sector, given.sectors)


if __name__ == "__main__":
    main()
