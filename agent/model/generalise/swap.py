# SPDX-License-Identifier: Apache-2.0
"""Files that a system swaps to: memory of the old server is in them, keys and passwords with it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from agent.model.filesystem.swap import HIBERNATED, MARK, MARK_BYTES, PAGES
from agent.model.generalise import Look, expanded, read_text

USUAL = ("/swap.img", "/swapfile", "/swap", "/var/swap", "/var/swapfile", "/swap/*", "/var/swap/*", "/var/cache/swap/*")
UNITS = ("/etc/systemd/system/*.swap", "/usr/lib/systemd/system/*.swap")
WHAT = re.compile(r"^What=(/\S+)", re.MULTILINE)


def swap_files(look: Look) -> Iterator[str]:
    """By fstab, units and habit; what has no header of swap space is something else."""
    rows = [line.split() for line in read_text(look, "/etc/fstab").splitlines() if not line.startswith("#")]
    told = [row[0] for row in rows if row[2:3] == ["swap"] and row[0].startswith("/")]
    units = [path for pattern in UNITS for path in expanded(look, pattern)]
    told += [path for unit in units for path in WHAT.findall(read_text(look, unit))]
    told += [path for pattern in USUAL for path in expanded(look, pattern)]
    for path in dict.fromkeys(told):
        if ".." not in path and look.kind(path) in ("file", "link") and header_bytes(look, path):
            yield path


def header_bytes(look: Look, path: str) -> int:
    """The length of its header page; 0 for what is no swap space."""
    head = look.read(path, PAGES[-1])
    marks = {size: head[size - MARK_BYTES : size] for size in PAGES}
    return next((size for size, mark in marks.items() if mark == MARK or mark.startswith(HIBERNATED)), 0)


def is_hibernated(look: Look, path: str) -> bool:
    """Whether a machine was put to sleep into it."""
    size = header_bytes(look, path)
    return bool(size) and look.read(path, size)[-MARK_BYTES:] != MARK
