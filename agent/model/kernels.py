# SPDX-License-Identifier: Apache-2.0
"""The kernels of a root filesystem that has no menu: the newest, as an entry of GRUB's. Pure."""

from __future__ import annotations

import re

from agent.errors import NothingToBoot
from agent.model.generalise import Look

KERNEL = re.compile(r"(?:vmlinuz|vmlinux|Image)-([A-Za-z0-9._+~-]+)")
INITRDS = ("initrd.img-{}", "initramfs-{}.img", "initrd-{}", "initrd-{}.img", "initramfs-{}")
MOST_NAMES = 4096
PART = re.compile(r"[0-9]+|[A-Za-z]+")


def boot_entry(root: Look, uuid: str, folder: str, name: str) -> str:
    """For the newest kernel that has an initrd. `folder` is root's on its filesystem: a subvolume. Raises
    `NothingToBoot`.
    """
    names = root.names("/boot")[:MOST_NAMES]
    found = [
        (version, kernel, initrd)
        for kernel in names
        if (version := version_of(kernel)) and (initrd := initrd_of(version, names))
    ]
    if not found:
        told = "it has no menu of GRUB's, and in /boot no kernel with an initrd"
        hint = "Make the menu in the image (grub-mkconfig), or use a whole-disk image."
        raise NothingToBoot("looking for what the image boots", told, hint=hint)
    _, kernel, initrd = max(found, key=lambda one: newness(one[0]))
    where = f" rootflags=subvol={folder}" if folder else ""
    return (
        f'set timeout=1\nmenuentry "{name}" {{\n'
        f"    linux {folder}/boot/{kernel} root=UUID={uuid} ro{where}\n"
        f"    initrd {folder}/boot/{initrd}\n}}\n"
    )


def version_of(kernel: str) -> str | None:
    """By its file's name; none of what is there for rescue."""
    match = KERNEL.fullmatch(kernel)
    return match.group(1) if match and "rescue" not in kernel else None


def initrd_of(version: str, names: tuple[str, ...]) -> str | None:
    """As distributions call it."""
    return next((name for form in INITRDS if (name := form.format(version)) in names), None)


def newness(version: str) -> list[tuple[int, int, str]]:
    """6.10 is newer than 6.9, and 6.1.0 than 6.1.0~rc1 and 6.1.0-rc1."""
    parts = PART.findall(version)
    return [
        *((1, int(part), "") if part.isdigit() else (-1 if part == "rc" else 0, 0, part) for part in parts),
        (0, 0, ""),
    ]
