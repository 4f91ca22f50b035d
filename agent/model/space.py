# SPDX-License-Identifier: Apache-2.0
"""What a filesystem has left for who writes there (statvfs(3))."""

from __future__ import annotations

from typing import NamedTuple


class Space(NamedTuple):
    """Of the filesystem that a directory is on. A size or number of files of 0 is none that it knows: it has no end."""

    size_bytes: int
    free_bytes: int
    files: int
    files_free: int
    is_read_only: bool = False
