# SPDX-License-Identifier: Apache-2.0
"""The door to block devices: exclusive, past the page cache, and honest about what reached the medium.

Memory that is aligned goes to the device as it is; all else through one page-aligned buffer of `BUFFER_BYTES`, so
memory is constant whatever is written.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from threading import Event, Lock

from agent.errors import DeviceError, DiskInUse, DiskReadOnly
from agent.host.doors import BlockDevice
from agent.host.memory import ALIGNMENT_BYTES, aligned

BUFFER_BYTES = 4 * 1024 * 1024
ZERO_SLICE_BYTES = 256 * 1024 * 1024
LARGEST_FILE_BYTES = 1 << 62
FILE_SECTOR_BYTES = 512
# include/uapi/linux/fs.h
BLKROGET, BLKSSZGET, BLKRRPART, BLKGETSIZE64 = 0x125E, 0x1268, 0x125F, 0x80081272
# include/uapi/linux/falloc.h
KEEP_SIZE, PUNCH_HOLE, ZERO_RANGE = 0x01, 0x02, 0x10
REREAD_ATTEMPTS = 20
REREAD_PAUSE_S = 0.25

libc = ctypes.CDLL(None, use_errno=True)
libc.fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)


class RealBlock:
    """`doors.Block`."""

    @contextmanager
    def open_exclusive(self, path: str) -> Iterator[BlockDevice]:
        """O_EXCL on a block device fails while it, or a partition of it, is mounted or held (block/bdev.c)."""
        with opened(path, os.O_RDWR | os.O_EXCL | os.O_DIRECT) as fd:
            device = RealBlockDevice(fd, path)
            if device.is_read_only:
                raise DiskReadOnly(f"opening {path} for writing", "the kernel says it is read-only")
            yield device

    @contextmanager
    def open_read(self, path: str, *, exclusive: bool = False) -> Iterator[BlockDevice]:
        """For reading from the medium."""
        with opened(path, os.O_RDONLY | os.O_DIRECT | (os.O_EXCL if exclusive else 0)) as fd:
            yield RealBlockDevice(fd, path)

    def lend(self, device: BlockDevice) -> int:
        """Its own."""
        assert isinstance(device, RealBlockDevice), "it was opened by this door"
        return device.descriptor

    @contextmanager
    def borrow(self, descriptor: int, path: str) -> Iterator[BlockDevice]:
        """Whose open file it is, the kernel does not ask: reads, writes, zeroes and flushes need no right but it."""
        try:
            yield RealBlockDevice(descriptor, path)
        finally:
            os.close(descriptor)

    @contextmanager
    def open_file(self, path: str) -> Iterator[BlockDevice]:
        """A new file; it is flushed and has its length when it is left in peace."""
        with opened(path, os.O_RDWR | os.O_CREAT | os.O_EXCL) as fd:
            file = NewFile(fd, path)
            try:
                yield file
                with failing(f"writing {path}"):
                    os.ftruncate(fd, file.end_bytes)
                file.flush()
            except BaseException:
                Path(path).unlink(missing_ok=True)
                raise


class RealBlockDevice:
    """`doors.BlockDevice` on a file descriptor."""

    def __init__(self, fd: int, path: str) -> None:
        self._fd = fd
        self._path = path
        self._lock = Lock()
        with failing(f"asking {path} for its size"):
            self._size_bytes = number(fd, BLKGETSIZE64, 8)
            self._sector_bytes = number(fd, BLKSSZGET, 4)
            self.is_read_only = number(fd, BLKROGET, 4) != 0

    @property
    def descriptor(self) -> int:
        """To be lent."""
        return self._fd

    @cached_property
    def _buffer(self) -> memoryview:
        return aligned(BUFFER_BYTES)

    @property
    def size_bytes(self) -> int:
        """The whole device."""
        return self._size_bytes

    @property
    def logical_sector_bytes(self) -> int:
        """The unit of every transfer."""
        return self._sector_bytes

    def read(self, offset_bytes: int, length_bytes: int) -> bytes:
        """From the medium: direct I/O, rounded out to whole sectors."""
        out = bytearray(length_bytes)
        self._read_around(offset_bytes, memoryview(out))
        return bytes(out)

    def read_into(self, offset_bytes: int, view: memoryview) -> None:
        """From the medium, into memory of any alignment; at best straight into it."""
        if is_aligned(offset_bytes, view):
            with failing(f"reading {self._path} at byte {offset_bytes}"):
                self._get(offset_bytes, view)
        else:
            self._read_around(offset_bytes, view)

    def _read_around(self, offset: int, out: memoryview) -> None:
        sector, done = self._sector_bytes, 0
        with self._lock, failing(f"reading {self._path} at byte {offset}"):
            while done < len(out):
                start = (offset + done) // sector * sector
                skip = offset + done - start
                length = min(BUFFER_BYTES, -(-(skip + len(out) - done) // sector) * sector)
                self._get(start, self._buffer[:length])
                got = self._buffer[skip:length][: len(out) - done]
                out[done : done + len(got)] = got
                done += len(got)

    def _get(self, offset: int, view: memoryview) -> None:
        done = 0
        while done < len(view):
            got = os.preadv(self._fd, [view[done:]], offset + done)
            if not got:
                raise DeviceError(f"reading {self._path}", f"it ends at byte {offset + done}")
            done += got

    def write(self, offset_bytes: int, data: bytes | bytearray | memoryview) -> None:
        """Whole sectors only: what is asked for is what is written, with nothing read before."""
        self._whole_sectors(offset_bytes, len(data))
        source = memoryview(data).cast("B")
        with failing(f"writing {self._path} at byte {offset_bytes}"):
            if is_aligned(offset_bytes, source):
                self._put(offset_bytes, source)
                return
            with self._lock:
                for at in range(0, len(source), BUFFER_BYTES):
                    piece = source[at : at + BUFFER_BYTES]
                    self._buffer[: len(piece)] = piece
                    self._put(offset_bytes + at, self._buffer[: len(piece)])

    def _put(self, offset: int, view: memoryview) -> None:
        done = 0
        while done < len(view):
            done += os.pwrite(self._fd, view[done:], offset + done)

    def zero(self, offset_bytes: int, length_bytes: int) -> None:
        """Zeroes by the device where it guarantees them, by the kernel's zero pages where not.

        On a block device, PUNCH_HOLE is BLKDEV_ZERO_NOFALLBACK with unmap allowed: zeroes guaranteed, or EOPNOTSUPP;
        ZERO_RANGE may write them (block/fops.c, blkdev_fallocate). BLKDISCARD guarantees nothing and is not used.
        """
        self._whole_sectors(offset_bytes, length_bytes)
        end = offset_bytes + length_bytes
        with failing(f"zeroing {self._path} at byte {offset_bytes}"):
            for start in range(offset_bytes, end, ZERO_SLICE_BYTES):
                length = min(ZERO_SLICE_BYTES, end - start)
                if not (self._fallocate(PUNCH_HOLE, start, length) or self._fallocate(ZERO_RANGE, start, length)):
                    self._write_zeroes(start, length)

    def _fallocate(self, mode: int, offset: int, length: int) -> bool:
        if libc.fallocate(self._fd, mode | KEEP_SIZE, offset, length) == 0:
            return True
        number = ctypes.get_errno()
        if number in (errno.EOPNOTSUPP, errno.ENOSYS):
            return False
        raise OSError(number, os.strerror(number))

    def _write_zeroes(self, offset: int, length: int) -> None:
        zeroes = aligned(min(BUFFER_BYTES, length))
        for at in range(offset, offset + length, BUFFER_BYTES):
            self._put(at, zeroes[: min(BUFFER_BYTES, offset + length - at)])

    def flush(self) -> None:
        """fsync of a block device flushes the drive's cache, and tells of any write that failed since the open."""
        with failing(f"flushing {self._path}"):
            os.fsync(self._fd)

    def reread_table(self) -> None:
        """udev may be looking at a partition just now: EBUSY is tried again for a few seconds."""
        with failing(f"re-reading the partition table of {self._path}"):
            for attempt in range(REREAD_ATTEMPTS):
                try:
                    fcntl.ioctl(self._fd, BLKRRPART)
                    return
                except OSError as error:
                    if error.errno != errno.EBUSY or attempt == REREAD_ATTEMPTS - 1:
                        raise
                Event().wait(REREAD_PAUSE_S)

    def _whole_sectors(self, offset: int, length: int) -> None:
        is_inside = 0 <= offset <= offset + length <= self._size_bytes
        if not is_inside or offset % self._sector_bytes or length % self._sector_bytes:
            told = f"bytes {offset} to {offset + length} of {self._size_bytes}, sectors of {self._sector_bytes}"
            raise DeviceError(f"writing {self._path}", f"not whole sectors of the device: {told}")


class NewFile(RealBlockDevice):
    """`doors.BlockDevice` on a new sparse file, which has no end."""

    is_read_only = False

    def __init__(self, fd: int, path: str) -> None:
        self._fd = fd
        self._path = path
        self._lock = Lock()
        self._size_bytes = LARGEST_FILE_BYTES
        self._sector_bytes = FILE_SECTOR_BYTES
        self.end_bytes = 0

    def write(self, offset_bytes: int, data: bytes | bytearray | memoryview) -> None:
        """As on a disk."""
        super().write(offset_bytes, data)
        self._reach(offset_bytes + len(data))

    def zero(self, offset_bytes: int, length_bytes: int) -> None:
        """A hole: behind the end there is nothing else."""
        if offset_bytes < self.end_bytes:
            super().zero(offset_bytes, length_bytes)
        self._reach(offset_bytes + length_bytes)

    def _reach(self, end: int) -> None:
        with self._lock:
            self.end_bytes = max(self.end_bytes, end)

    def reread_table(self) -> None:
        """There is no kernel that would read it."""


def is_aligned(offset: int, view: memoryview) -> bool:
    """Whether a direct transfer can take this memory as it is."""
    return not (offset % ALIGNMENT_BYTES or len(view) % ALIGNMENT_BYTES or address(view) % ALIGNMENT_BYTES)


def address(view: memoryview) -> int:
    """Where in memory a buffer is; of one that cannot be written, an address that is not aligned."""
    if view.readonly or not len(view):
        return 1
    return ctypes.addressof(ctypes.c_char.from_buffer(view))


@contextmanager
def opened(path: str, flags: int) -> Iterator[int]:
    """A file descriptor."""
    doing = f"opening {path}"
    try:
        fd = os.open(path, flags | os.O_CLOEXEC, 0o600)
    except OSError as error:
        refused: Callable[[str, str], Exception] = {errno.EBUSY: DiskInUse, errno.EROFS: DiskReadOnly}.get(
            error.errno or 0, DeviceError
        )
        raise refused(doing, error.strerror or "failed") from error
    try:
        yield fd
    finally:
        os.close(fd)


@contextmanager
def failing(doing: str) -> Iterator[None]:
    """What the kernel refuses is a `DeviceError`, with the kernel's word for it."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)  # of a file in place of a disk
        hint = "Free room on the filesystem that the file is on." if full else None
        raise DeviceError(
            doing, f"{errno.errorcode.get(error.errno or 0, '?')}: {error.strerror}", hint=hint
        ) from error


def number(fd: int, request: int, size: int) -> int:
    """An ioctl that gives an integer."""
    return int.from_bytes(fcntl.ioctl(fd, request, bytes(size)), "little")
