# SPDX-License-Identifier: Apache-2.0
"""The door to files: those of the machine, or of a tree below a root prefix. What is written is durable on return.

In: absolute paths as on the machine. Out: texts, bytes, names. It must not follow a link out of its root.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from agent.errors import HostError
from agent.host import reading
from agent.host.doors import LargeFile, Tree
from agent.host.foreign import ForeignTree
from agent.host.large_file import FileOnDisk, Stream
from agent.host.paths import follow
from agent.model.space import Space

STANDARD_INPUT, STANDARD_OUTPUT = 0, 1
FULL = "Free room on that filesystem, or use another one."
HINTS = {
    errno.ENOSPC: FULL,
    errno.EDQUOT: FULL,
    errno.EROFS: "That filesystem is read-only: mount it for writing, or use another one.",
    errno.EACCES: "Do it as root, or where this user may.",
    errno.EPERM: "Do it as root, or where this user may.",
    errno.ENOENT: "Look for the file, and for every directory on the way.",
    errno.EIO: "The medium below does not answer as it should: see the kernel's log (dmesg).",
}
"""What to do about what the system says of a file."""


class RealFiles:
    """`doors.Files` over the operating system."""

    def __init__(self, root: str = "/") -> None:
        self._root = Path(root).resolve()
        self._is_whole = self._root == Path("/")

    def read_text(self, path: str) -> str:
        """The whole file; bytes that are no UTF-8 are shown as replacement characters."""
        return self.read_bytes(path).decode("utf-8", errors="replace")

    def read_bytes(self, path: str) -> bytes:
        """The whole file."""
        try:
            return reading.content(self._look_at(path))
        except OSError as error:
            raise failed(f"reading {path}", error) from error

    def exists(self, path: str) -> bool:
        """Whether something is there, behind whatever links lead to it."""
        try:
            return reading.is_there(self._look_at(path))
        except OSError as error:
            raise failed(f"looking for {path}", error) from error

    def names(self, directory: str) -> tuple[str, ...]:
        """Names in a directory, sorted; empty if the directory is not there."""
        try:
            return tuple(reading.names(self._look_at(directory)))
        except OSError as error:
            raise failed(f"listing {directory}", error) from error

    def resolve(self, path: str) -> str:
        """The path with every symbolic link followed."""
        return (self._is_whole and reading.resolved(path)) or follow(path, self._link_at)

    def real_path(self, path: str) -> str:
        """The path as this process must open it."""
        return str(self._locate(path))

    def write(self, path: str, data: bytes, *, mode: int = 0o644) -> None:
        """Replace the file atomically and durably: a reader, or a power cut, sees the old file or the new one."""
        with doing(f"writing {path}"), self._replaced(path, mode) as fd:
            write_all(fd, data)

    def save(self, path: str, pieces: Iterable[bytes | memoryview]) -> int:
        """The same for what comes in pieces, of any length. "-" is the standard output."""
        if path == "-":
            with doing("writing to the standard output"):
                return write_pieces(STANDARD_OUTPUT, pieces)
        with doing(f"writing {path}"), self._replaced(path, 0o644) as fd:
            return write_pieces(fd, pieces)

    @contextmanager
    def open_large(self, path: str) -> Iterator[LargeFile]:
        """A file or a block device; what cannot seek is a stream, and "-" is one, the standard input."""
        if path == "-":
            yield Stream(STANDARD_INPUT, "the standard input")
            return
        with doing(f"opening {path}"):
            fd = os.open(self._locate(path), os.O_RDONLY | os.O_CLOEXEC)
        try:
            with doing(f"opening {path}"):
                kind = os.fstat(fd).st_mode
                if stat.S_ISDIR(kind):
                    raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
                is_stream = not (stat.S_ISREG(kind) or stat.S_ISBLK(kind))
                file = Stream(fd, path) if is_stream else FileOnDisk(fd, path)
            yield file
        finally:
            os.close(fd)

    def tell(self, path: str, text: str) -> None:
        """In one write(2)."""
        with doing(f"setting {path} to {text}"):
            self._locate(path).write_text(text)

    def append(self, path: str, data: bytes, *, durable: bool = True) -> None:
        """Append and fsync, all or nothing; a new file has mode 0600, and its name is durable too."""
        with doing(f"appending to {path}"):
            target = self._locate(path)
            target.parent.mkdir(parents=True, exist_ok=True)
            is_new = not target.exists()
            with opened(target, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600) as fd:
                size = os.fstat(fd).st_size
                try:
                    write_all(fd, data)
                    if durable:
                        os.fsync(fd)
                except OSError:  # a full disk takes a part: it would stand before the next record and damage it
                    os.ftruncate(fd, size)
                    raise
            if is_new and durable:
                sync_directory(target.parent)

    def truncate(self, path: str, size_bytes: int) -> None:
        """Cut a file to this size, and fsync."""
        with doing(f"cutting {path} to {size_bytes} bytes"), opened(self._locate(path), os.O_WRONLY) as fd:
            os.ftruncate(fd, size_bytes)
            os.fsync(fd)

    def remove(self, path: str) -> None:
        """Remove a file, durably; one that is not there is fine. A link is removed, not what it leads to."""
        with doing(f"removing {path}"):
            parent, _, name = path.rstrip("/").rpartition("/")
            target = self._locate(parent or "/") / name
            try:
                target.unlink()
            except FileNotFoundError:
                return
            sync_directory(target.parent)

    def rename(self, path: str, to: str) -> None:
        """Atomically, in one directory or within one filesystem."""
        target = self._locate(to)
        with doing(f"renaming {path} to {to}"):
            if target.exists() and not target.is_file():
                raise HostError(f"renaming {path} to {to}", "there is something that is no file")
            self._locate(path).replace(target)
            sync_directory(target.parent)

    @contextmanager
    def _replaced(self, path: str, mode: int) -> Iterator[int]:
        target = self._locate(path)
        if target.exists() and not target.is_file():
            raise HostError(f"writing {path}", "there is something that is no file")
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.{os.getpid()}.new")
        try:
            with opened(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600) as fd:
                os.fchmod(fd, mode)
                yield fd
                os.fsync(fd)
            temporary.replace(target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_directory(target.parent)

    def space(self, path: str) -> Space | None:
        """Where the directory is, or the nearest one above it: it is made when something is written."""
        with doing(f"asking what is left at {path}"):
            place = self._locate(path)
            while not place.exists() and place != self._root:
                place = place.parent
            told = os.statvfs(place)
        return Space(
            size_bytes=told.f_blocks * told.f_frsize,
            free_bytes=told.f_bavail * told.f_frsize,
            files=told.f_files,
            files_free=told.f_favail,
            is_read_only=bool(told.f_flag & os.ST_RDONLY),
        )

    def below(self, root: str) -> Tree:
        """What is mounted there."""
        return ForeignTree(self._locate(root))

    def _look_at(self, path: str) -> str:
        """To read from. The whole machine's links the kernel follows itself: a path in sysfs has a dozen parts."""
        return path if self._is_whole else str(self._locate(path))

    def _locate(self, path: str) -> Path:
        return self._root / follow(path, self._link_at).lstrip("/")

    def _link_at(self, path: str) -> str | None:
        return reading.link_at(path if self._is_whole else f"{self._root}{path}")


@contextmanager
def doing(what: str) -> Iterator[None]:
    """Turn what the system says into an error that names what was being done."""
    try:
        yield
    except OSError as error:
        raise failed(what, error) from error


def failed(what: str, error: OSError) -> HostError:
    """What the system says, with what was being done."""
    return HostError(what, error.strerror or str(error), hint=HINTS.get(error.errno or 0))


@contextmanager
def opened(path: Path, flags: int, mode: int = 0o600) -> Iterator[int]:
    """A file descriptor that is closed at the end."""
    fd = os.open(path, flags | os.O_CLOEXEC, mode)
    try:
        yield fd
    finally:
        os.close(fd)


def write_pieces(fd: int, pieces: Iterable[bytes | memoryview]) -> int:
    """All of them; how many bytes that was."""
    total = 0
    for piece in pieces:
        write_all(fd, piece)
        total += len(piece)
    return total


def write_all(fd: int, data: bytes | memoryview) -> None:
    """write(2) until everything is written: it may take less than it is given."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable: fsync of a file says nothing of its name (fsync(2), NOTES)."""
    with opened(path, os.O_RDONLY | os.O_DIRECTORY) as fd:
        os.fsync(fd)
