# SPDX-License-Identifier: Apache-2.0
"""What Ironic puts on the discs that it makes for UEFI: an EFI system partition whose GRUB reads the disc's own menu.

An operator builds such an image once ([conductor]bootloader); and has a `mkisofs` for Ironic to call.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from lab.command import run
from lab.fault import LabFault

MENU = "/EFI/BOOT/grub.cfg"
"""Where Ironic writes it ([DEFAULT]grub_config_path)."""
START = f"search --no-floppy --file --set=root {MENU}\nset prefix=($root)/EFI/BOOT\nset timeout=0\nconfigfile {MENU}\n"
MODULES = ("iso9660", "fat", "part_gpt", "search", "search_fs_file", "normal", "linux", "configfile", "echo", "test")
SIZE_KIB = 4096


def esp_image(folder: Path) -> Path:
    """The image, made in that folder."""
    start, loader, image = folder / "start.cfg", folder / "bootx64.efi", folder / "esp.img"
    start.write_text(START)
    made = ["grub-mkimage", "-O", "x86_64-efi", "-p", "/EFI/BOOT", "-c", str(start), "-o", str(loader)]
    run([*made, *MODULES])
    with image.open("xb") as file:
        file.truncate(SIZE_KIB << 10)
    run(["mformat", "-i", str(image), "::"])
    run(["mmd", "-i", str(image), "::/EFI", "::/EFI/BOOT"])
    run(["mcopy", "-i", str(image), str(loader), "::/EFI/BOOT/BOOTX64.EFI"])
    return image


def mkisofs(folder: Path) -> Path:
    """A folder for PATH with a command of that name: xorriso is one when it is called so (xorrisofs(1))."""
    found = shutil.which("xorriso")
    if found is None:
        raise LabFault("looking for xorriso: it is not installed (package xorriso)")
    folder.mkdir()
    (folder / "mkisofs").symlink_to(found)
    return folder
