# SPDX-License-Identifier: Apache-2.0
"""Reading by system calls alone: an inventory reads a thousand files of sysfs, and pathlib costs more than the kernel.

In: paths as the kernel takes them. Out: bytes, names, paths. Whatever it cannot do raises `OSError`.
"""

# ruff: noqa: PTH115, PTH116, PTH208

from __future__ import annotations

import errno
import os

READ_BYTES = 1 << 16
PAGE_BYTES = 1 << 12
IN_ONE_READ = ("/sys/block/", "/sys/bus/", "/sys/class/", "/sys/devices/", "/sys/firmware/efi/efivars/")
"""sysfs gives what it has in one read, but no more than a page (Documentation/filesystems/sysfs.rst); and each read of
a variable asks the firmware twice, even one that finds the end (fs/efivarfs/file.c).
"""
NOT_THERE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})
OWN_DESCRIPTORS = "/proc/self/fd"
DELETED = " (deleted)"
"""What the kernel puts behind the path of what is gone meanwhile (d_path)."""


def content(path: str) -> bytes:
    """The whole file. Files of /proc and sysfs do not know their size: it is read until there is no more, or until that
    is known.
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        piece = os.read(fd, READ_BYTES)
        if len(piece) < PAGE_BYTES and path.startswith(IN_ONE_READ):
            return piece
        pieces = []
        while piece:
            pieces.append(piece)
            piece = os.read(fd, READ_BYTES)
    finally:
        os.close(fd)
    return b"".join(pieces)


def is_there(path: str) -> bool:
    """Behind whatever links lead to it."""
    try:
        os.stat(path)
    except OSError as error:
        if error.errno in NOT_THERE:
            return False
        raise
    return True


def names(path: str) -> list[str]:
    """In a directory, sorted; of one that is not there, none."""
    try:
        return sorted(os.listdir(path))
    except (FileNotFoundError, NotADirectoryError):
        return []


def link_at(path: str) -> str | None:
    """What a link says; `None` for what is none, or is not there: opening it will say which."""
    try:
        return os.readlink(path)
    except OSError:
        return None


def resolved(path: str) -> str | None:
    """The path with every link followed, as the kernel follows them: at once, not part by part. `None` where it cannot
    say: nothing is there, or no path leads there, or /proc is not mounted.
    """
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        found = link_at(f"{OWN_DESCRIPTORS}/{fd}")
    finally:
        os.close(fd)
    return found if found and found.startswith("/") and not found.endswith(DELETED) else None
