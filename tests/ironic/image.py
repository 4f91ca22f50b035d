# SPDX-License-Identifier: Apache-2.0
"""A small whole-disk image, made by the tools that anybody makes images with, and what of it must be on a disk."""

from __future__ import annotations

import hashlib
import json
import os
import random
from pathlib import Path
from typing import Any

from lab.command import run

MIB, SECTOR_BYTES = 1 << 20, 512
SIZE_MIB, ESP_MIB = 512, 64
TABLE = f"label: gpt\nstart=1MiB, size={ESP_MIB}MiB, type=U, name=ESP\nstart={1 + ESP_MIB}MiB, type=L, name=root\n"
# data with holes between, in the second partition
DATA = {(100 + 37 * place) * MIB + 4096 * place: 3 * MIB + 12345 for place in range(8)}


class Image:
    """image.qcow2 in a folder, and the same as raw bytes; another `seed` makes another content."""

    def __init__(self, folder: Path, loader: Path, seed: int = 1) -> None:
        folder.mkdir(exist_ok=True)
        self.raw, self.file = folder / f"image-{seed}.raw", folder / f"image-{seed}.qcow2"
        esp, table = folder / "esp", folder / "table"
        with self.raw.open("wb") as raw:
            raw.truncate(SIZE_MIB * MIB)
        with esp.open("wb") as file:
            file.truncate(ESP_MIB * MIB)
        table.write_text(TABLE)
        run(["mkfs.vfat", "-F", "32", "-n", "ESP", str(esp)])
        run(["mmd", "-i", str(esp), "::EFI", "::EFI/BOOT"])
        run(["mcopy", "-i", str(esp), str(loader), "::EFI/BOOT/BOOTX64.EFI"])
        run(["sh", "-c", 'exec sfdisk --quiet "$1" <"$2"', "sh", str(self.raw), str(table)])
        self._put(MIB, esp.read_bytes())
        content = random.Random(seed)
        for offset, size in DATA.items():
            self._put(offset, content.randbytes(size))
        run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", "-c", str(self.raw), str(self.file)], 120)

    @staticmethod
    def digest(file: Path) -> str:
        """SHA-256, as Ironic is told it."""
        with file.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()

    def differences(self, disk: Path) -> list[str]:
        """Where the disk is not the image: boot code and its partitions; then all but the two copies of the GPT.

        The GPT itself is another afterwards: its second copy goes to the end of the larger disk, and a config drive may
        be added.
        """
        missing = [part for part in partitions(self.raw) if part not in partitions(disk)]
        wrong = [f"missing partition: {part}" for part in missing]
        with self.raw.open("rb") as image, disk.open("rb") as found:
            if image.read(440) != found.read(440):
                wrong.append("boot code")
            for offset in range(MIB, (SIZE_MIB - 1) * MIB, MIB):
                if os.pread(image.fileno(), MIB, offset) != os.pread(found.fileno(), MIB, offset):
                    wrong.append(f"MiB {offset // MIB}")
        return wrong

    def _put(self, offset: int, content: bytes) -> None:
        with self.raw.open("r+b") as raw:
            raw.seek(offset)
            raw.write(content)


def partitions(disk: Path) -> list[dict[str, Any]]:
    """As sfdisk sees them, without their device nodes."""
    table = json.loads(run(["sfdisk", "--json", str(disk)]))["partitiontable"]
    return [{key: value for key, value in part.items() if key != "node"} for part in table.get("partitions", [])]
