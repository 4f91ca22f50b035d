# SPDX-License-Identifier: Apache-2.0
"""Virtual media in the drives of a fake machine: discs by xorriso as Ironic has them made, floppies by mkfs.vfat."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

from agent.host.fake import FakeDisk, FakeHost, LinkTo, Machine, Tree

PUBLISHER = "3f9a7c0e-0000-4000-8000-000000000001"
TIMEOUT_S = 60
CD = {"size": "1000", "queue/logical_block_size": "2048", "device/type": "5", "device/model": "QEMU CD-ROM"}
USB = {"size": "1000", "queue/logical_block_size": "512", "device/type": "0", "device/model": "Virtual Media"}


def disc(folder: Path, files: Mapping[str, str], label: str = "config-2", publisher: str = PUBLISHER) -> bytes:
    """A disc with these files (ironic/common/images.py, create_esp_image_for_uefi)."""
    tree, made = folder / f"tree-{label}", folder / f"{label}.iso"
    for path, text in files.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text(text)
    tree.mkdir(exist_ok=True)
    argv = ["xorriso", "-as", "mkisofs", "-r", "-V", label, "-l", "-publisher", publisher, "-o", str(made), str(tree)]
    subprocess.run(argv, check=True, capture_output=True, timeout=TIMEOUT_S)
    return made.read_bytes()


def floppy(folder: Path, text: str, label: str = "ir-vfd-dev") -> bytes:
    """A floppy with parameters (ironic/common/images.py, create_vfat_image)."""
    made, words = folder / f"{label}.img", folder / "parameters.txt"
    with made.open("wb") as image:
        image.truncate(100 << 10)
    words.write_text(text)
    for argv in (["mkfs.vfat", "-n", label, str(made)], ["mcopy", "-i", str(made), str(words), "::/parameters.txt"]):
        subprocess.run(argv, check=True, capture_output=True, timeout=TIMEOUT_S)
    return made.read_bytes()


def machine(
    drives: Mapping[str, tuple[Mapping[str, str], str, bytes]], more: Mapping[str, str] | None = None
) -> Machine:
    """A machine with these drives: sysfs facts, the bus they hang on, and what is in them."""
    files: dict[str, str | bytes | LinkTo] = {"/proc/sys/kernel/random/boot_id": "boot-1\n", **(more or {})}
    for name, (facts, bus, content) in drives.items():
        at = f"/sys/devices/pci0000:00/{bus}/block/{name}"
        files |= {f"{at}/{fact}": value for fact, value in {**facts, "size": str(len(content) // 512)}.items()}
        files[f"/sys/block/{name}"] = LinkTo(at)
    made = Machine.of(Tree.of(files))
    for name, (_, _, content) in drives.items():
        made.disks[f"/dev/{name}"] = FakeDisk(size_bytes=len(content) // 512 * 512)
        made.disks[f"/dev/{name}"].write(0, content[: len(content) // 512 * 512])
    return made


def with_disc(content: bytes) -> FakeHost:
    """A machine with one CD drive."""
    return FakeHost.of(machine({"sr0": (CD, "ata1", content)}))
