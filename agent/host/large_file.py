# SPDX-License-Identifier: Apache-2.0
"""Files that are read in pieces, wherever in them, and streams that are read forward. See `doors.LargeFile`."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator

from agent.errors import HostError


class FileOnDisk:
    """An open file, or a block device: pread(2) has no position, so threads do not disturb each other."""

    def __init__(self, fd: int, path: str) -> None:
        self._fd = fd
        self._path = path
        self.size_bytes: int | None = os.lseek(fd, 0, os.SEEK_END)

    def read_into(self, offset_bytes: int, view: memoryview) -> int:
        """Until the view is full or the file ends."""
        got = 0
        try:
            while got < len(view) and (count := os.preadv(self._fd, [view[got:]], offset_bytes + got)):
                got += count
        except OSError as error:
            raise HostError(f"reading {self._path} at byte {offset_bytes + got}", error.strerror or "") from error
        return got

    def data_extents(self) -> Iterator[tuple[int, int]]:
        """By lseek(2); a device, which does not tell, is one extent."""
        end = 0
        while (start := self._seek(end, os.SEEK_DATA)) is not None:
            end = self._seek(start, os.SEEK_HOLE) or 0
            if end <= start:  # it was cut in between
                return
            yield start, end - start

    def _seek(self, offset: int, what: int) -> int | None:
        try:
            return os.lseek(self._fd, offset, what)
        except OSError as error:
            if error.errno == errno.EINVAL and self.size_bytes is not None and offset < self.size_bytes:
                return offset if what == os.SEEK_DATA else self.size_bytes
            if error.errno in (errno.ENXIO, errno.EINVAL):  # nothing behind this offset
                return None
            raise HostError(f"looking for holes in {self._path}", error.strerror or "") from error


class Stream:
    """What comes through a pipe: read once, forward."""

    size_bytes: int | None = None

    def __init__(self, fd: int, name: str) -> None:
        self._fd = fd
        self._name = name
        self._at = 0

    def read_into(self, offset_bytes: int, view: memoryview) -> int:
        """Until the view is full or the stream ends. Raises `HostError` for every offset but the next."""
        if offset_bytes != self._at:
            raise HostError(f"reading {self._name}", f"it is at byte {self._at}, not at {offset_bytes}: it cannot seek")
        got = 0
        try:
            while got < len(view) and (count := os.readv(self._fd, [view[got:]])):
                got += count
        except OSError as error:
            raise HostError(f"reading {self._name}", error.strerror or "") from error
        self._at += got
        return got

    def data_extents(self) -> Iterator[tuple[int, int]]:
        """Nobody knows."""
        raise HostError(f"looking for holes in {self._name}", "it is a stream")
