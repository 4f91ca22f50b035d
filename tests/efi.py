# SPDX-License-Identifier: Apache-2.0
"""EFI system partitions for the tests: made by mtools, or small ones in memory; and disks with a GPT that have one."""

from __future__ import annotations

import os
import struct
import subprocess
from pathlib import Path
from uuid import UUID

from agent.model import gpt, mbr
from agent.model.esp import ESP

MIB = 1024 * 1024
SECTOR = 512
PARTITION = UUID("0f0e0d0c-0b0a-0908-0706-050403020100")
RECORDED = {
    0: bytes.fromhex(
        "090100002c0055006900410070007000000004071400c9bdb87cebf8344faaea3ee4af6516a10406140021aa2c461476"
        "0345836e8ab6f46623317fff0400"
    ),
    1: bytes.fromhex(
        "01000000200055004500460049002000510045004d00550020004400560044002d0052004f004d00200051004d003000"
        "30003000300035002000000002010c00d041030a0000000001010600021f03120a000200ffff00007fff04004eac0881"
        "119f594d850ee21a522c59b2"
    ),
    3: bytes.fromhex(
        "010000003b005500450046004900200050005800450076003400200028004d00410043003a0035003200350034003000"
        "30003100320033003400350036002900000002010c00d041030a00000000010106000003030b25005254001234560000"
        "000000000000000000000000000000000000000000000000017fff04004eac0881119f594d850ee21a522c59b2"
    ),
    7: bytes.fromhex(
        "010000007b0055004500460049002000480054005400500076003600200028004d00410043003a003500320035003400"
        "300030003100320033003400350036002900000002010c00d041030a00000000010106000003030b2500525400123456"
        "000000000000000000000000000000000000000000000000000001030d3c000000000000000000000000000000000000"
        "000000000000000000000000000000000000000000004000000000000000000000000000000000031804007fff04004e"
        "ac0881119f594d850ee21a522c59b2"
    ),
}
"""Boot#### as OVMF 4M made them on a machine of QEMU's: its menu, a SATA drive, PXE, HTTP by IPv6."""
TABLE_SECTORS, ROOT_ENTRIES, TOTAL_SECTORS = 8, 64, 2048


def fat_image(directory: Path, files: dict[str, bytes], size_mib: int, volume: str = "1234ABCD") -> bytes:
    """A FAT filesystem of that size with these files, made by mtools."""
    image = directory / "fat.img"
    image.write_bytes(bytes(size_mib * MIB))
    kind = ["-F"] if size_mib >= 64 else []
    mtool("mformat", "-i", str(image), "-N", volume, "-T", str(size_mib * 2048), "-h", "16", "-s", "63", *kind, "::")
    made: set[str] = set()
    for path, content in files.items():
        *folders, name = path.strip("/").split("/")
        for depth in range(len(folders)):
            folder = "/".join(folders[: depth + 1])
            if folder not in made:
                mtool("mmd", "-i", str(image), f"::/{folder}")
                made.add(folder)
        source = directory / "content"
        source.write_bytes(content)
        mtool("mcopy", "-i", str(image), str(source), f"::/{'/'.join([*folders, name])}")
    return image.read_bytes()


def mtool(*argv: str) -> None:
    """Run one of mtools."""
    subprocess.run(argv, check=True, capture_output=True, timeout=60, env={**os.environ, "LC_ALL": "C.UTF-8"})


class SmallFat:
    """A FAT12 filesystem of 1 MiB, one sector a cluster: all that fast tests need. Only long names are long."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self._table = [0xFF8, 0xFFF]
        self._clusters: list[bytes] = []
        boot = bytearray(SECTOR)
        struct.pack_into("<HBHBHHBH", boot, 11, SECTOR, 1, 1, 1, ROOT_ENTRIES, TOTAL_SECTORS, 0xF8, TABLE_SECTORS)
        struct.pack_into("<BI", boot, 0x26, 0x29, 0x12AB34CD)
        root = self._entries({path.strip("/"): content for path, content in files.items()})
        values = [*self._table, 0]
        pairs = [values[at] | values[at + 1] << 12 for at in range(0, len(values) - 1, 2)]
        table = b"".join(pair.to_bytes(3, "little") for pair in pairs).ljust(TABLE_SECTORS * SECTOR, b"\0")
        data = root.ljust(ROOT_ENTRIES * 32, b"\0") + b"".join(self._clusters)
        self.image = (bytes(boot) + table + data).ljust(TOTAL_SECTORS * SECTOR, b"\0")

    def _entries(self, files: dict[str, bytes]) -> bytes:
        """A directory's, with all that is below it."""
        folders: dict[str, dict[str, bytes]] = {}
        made = b""
        for path, content in files.items():
            name, slash, rest = path.partition("/")
            if slash:
                folders.setdefault(name, {})[rest] = content
            else:
                made += self._entry(name, content, 0x20, len(content))
        return made + b"".join(self._entry(name, self._entries(below), 0x10, 0) for name, below in folders.items())

    def _entry(self, name: str, content: bytes, kind: int, size: int) -> bytes:
        if len(name) > 12:
            pieces = [name[at : at + 13] for at in range(0, len(name), 13)]
            marks = [number + 1 | 0x40 * (number + 1 == len(pieces)) for number in range(len(pieces))]
            long = b"".join(map(long_entry, reversed(marks), reversed(pieces)))
            return long + self._entry(f"{name[:6].upper()}~1", content, kind, size)
        stem, _, suffix = name.partition(".")
        case = 0x08 * stem.islower() | 0x10 * suffix.islower()
        short = stem.upper().ljust(8).encode() + suffix.upper().ljust(3).encode()
        return struct.pack("<11sBB13xHI", short, kind, case, self._placed(content), size)

    def _placed(self, content: bytes) -> int:
        pieces = [content[at : at + SECTOR].ljust(SECTOR, b"\0") for at in range(0, len(content), SECTOR)]
        first = len(self._table)
        self._table += [*range(first + 1, first + len(pieces)), 0xFFF] if pieces else []
        self._clusters += pieces
        return first if pieces else 0


def long_entry(mark: int, letters: str) -> bytes:
    """A piece of a long name."""
    raw = (letters + "\0" * (len(letters) < 13)).encode("utf-16-le").ljust(26, b"\xff")
    return struct.pack("<B10sBBB12sH4s", mark, raw[:10], 0x0F, 0, 0, raw[10:22], 0, raw[22:])


def head_with(esp: bytes, *, kind: UUID = ESP, sector_bytes: int = SECTOR, name: str = "EFI") -> bytes:
    """A GPT whose second entry is this partition, at 1 MiB, and the partition."""
    first, sectors = MIB // sector_bytes, (MIB + len(esp)) // sector_bytes
    one = gpt.Entry(1, kind, PARTITION, first, sectors - 1, 0, name)
    table = gpt.Gpt(sector_bytes, UUID(int=1), 34, sectors, sectors + 33, 2, 128, 128, (one,))
    array = gpt.array_of(table, bytes(128 * 128))
    head = bytearray(MIB)
    mbr.RECORD.pack_into(head, 446, 0, b"\0\2\0", mbr.PROTECTIVE, b"\xff\xff\xff", 1, sectors)
    head[510:512] = b"\x55\xaa"
    head[sector_bytes : 2 * sector_bytes] = gpt.header_of(table, array, backup=False)
    head[2 * sector_bytes : 2 * sector_bytes + len(array)] = array
    return bytes(head) + esp


def csv(*rows: str, mark: str = "\ufeff") -> bytes:
    """A list of loaders as distributions ship it."""
    return (mark + "\r\n".join(rows) + "\r\n").encode("utf-16-le")
