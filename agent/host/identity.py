# SPDX-License-Identifier: Apache-2.0
"""Names that the running system has for itself: this boot, this installation, this host."""

from __future__ import annotations

from agent.errors import HostError
from agent.host.doors import Files


def boot_id(files: Files) -> str:
    """Another one after every boot (random(4))."""
    return one_line(files, "/proc/sys/kernel/random/boot_id")


def machine_id(files: Files) -> str:
    """Another one for every installation (machine-id(5))."""
    return one_line(files, "/etc/machine-id")


def hostname(files: Files) -> str:
    """What the kernel calls this host now."""
    return one_line(files, "/proc/sys/kernel/hostname")


def one_line(files: Files, path: str) -> str:
    """The text of a file that must not be empty."""
    text = files.read_text(path).strip()
    if not text:
        raise HostError(f"reading {path}", "it is empty")
    return text
