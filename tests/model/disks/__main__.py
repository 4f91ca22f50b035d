# SPDX-License-Identifier: Apache-2.0
"""Make the filesystems of this folder anew."""

from __future__ import annotations

import tempfile
from contextlib import nullcontext
from pathlib import Path

from tests.loops import command
from tests.media import disc
from tests.model.disks import DISC, DISC_BYTES, SIZES_MIB, save
from tests.model.filesystems import blank, mounted

UUID = "7d1ad0a4-3d4b-4c0f-8a43-3f6f2f0c5d11"
MKFS = {
    "ext4": ("mkfs.ext4", "-q", "-F", "-U", UUID, "-L", "root", "-g", "8192"),
    "ext4-1k": ("mkfs.ext4", "-q", "-F", "-U", UUID, "-b", "1024", "-O", "^64bit,^metadata_csum,uninit_bg"),
    "ext4-bigalloc": ("mkfs.ext4", "-q", "-F", "-U", UUID, "-O", "bigalloc", "-C", "16384"),
    "xfs": ("mkfs.xfs", "-q", "-m", f"uuid={UUID}", "-L", "root", "-d", "agcount=3"),
    "btrfs": ("mkfs.btrfs", "-q", "-U", UUID, "-L", "root"),
    "btrfs-mixed": ("mkfs.btrfs", "-q", "-U", UUID, "--mixed", "-n", "4096"),
    "fat16": ("mkfs.vfat", "-F", "16", "-i", UUID[:8], "-n", "ESP"),
    "fat32": ("mkfs.vfat", "-F", "32", "-s", "1", "-i", UUID[:8], "-n", "ESP"),
}

with tempfile.TemporaryDirectory() as folder:
    for name, argv in MKFS.items():
        path = blank(Path(folder, name), SIZES_MIB[name])
        command(*argv, str(path))
        with mounted(path) if "fat" not in name else nullcontext(Path(folder)) as place:
            for number in range(150):
                (place / f"file-{number}").write_bytes(b"text" * (number * 40))
            if "fat" in name:
                command("mcopy", "-i", str(path), *map(str, place.glob("file-*")), "::")
            command("sync", "-f", str(place))
            for number in range(0, 150, 3):
                (place / f"file-{number}").unlink()
        save(name, path)
    files = {f"many/{number:03}-{'x' * 40}": str(number) for number in range(100)}
    files |= {
        "openstack/latest/network_data.json": "{}" * 3000,
        f"{'a-name-that-is-longer-than-any-record-' * 6}.txt": "x",
    }
    made = Path(folder, DISC)
    made.write_bytes(disc(Path(folder), files)[:DISC_BYTES])
    save(DISC, made)
