# SPDX-License-Identifier: Apache-2.0
"""Somebody else's directory tree, mounted: no link in it leads out of it, and nothing but a regular file is opened.

Links are followed as the system itself would that has this tree for its root. Nobody else may be at work in it.
However large it is, memory has an end: names are taken a few thousand at a time.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from agent.errors import HostError
from agent.host.file_map import extents_of
from agent.host.paths import follow
from agent.model.generalise import Kind

FOLDER_MODE, FILE_MODE = 0o755, 0o644
MOST_NAMES, BATCH_NAMES = 200_000, 4096
NO_LINK = (errno.EINVAL, errno.ENOENT, errno.ENOTDIR)
"""readlink(2). What cannot be read may well be a link, which the kernel would follow out of the tree."""
FLAGS = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class ForeignTree:
    """`doors.Tree` below a directory."""

    def __init__(self, root: Path, most_names: int = MOST_NAMES) -> None:
        self._root = root
        self._most_names = most_names

    def names(self, directory: str) -> tuple[str, ...]:
        """Sorted; empty for what is no directory. Raises `HostError` for more than anybody lists."""
        with changing("listing", directory):
            try:
                found = next(batches(self._behind(directory), self._most_names + 1), [])
            except (FileNotFoundError, NotADirectoryError):
                return ()
        if len(found) > self._most_names:
            raise HostError(f"listing {directory} of the captured system", f"it has more than {self._most_names} names")
        return tuple(sorted(each.name for each in found))

    def kind(self, path: str) -> Kind | None:
        """Of what is there itself."""
        with changing("looking at", path):
            try:
                mode = self._at(path).lstat().st_mode
            except (FileNotFoundError, NotADirectoryError):
                return None
        kinds: dict[int, Kind] = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "link"}
        return kinds.get(stat.S_IFMT(mode), "other")

    def read(self, path: str, most_bytes: int) -> bytes:
        """A regular file's beginning; nothing of all else."""
        with changing("reading", path):
            place = self._behind(path)
            if not is_regular(place):
                return b""
            with opened(place, os.O_RDONLY) as fd, os.fdopen(os.dup(fd), "rb") as file:
                return file.read(most_bytes)

    def write(self, path: str, data: bytes) -> None:
        """In place, so that owner, mode and labels stay; what is no file yet comes to be with mode 0644."""
        with changing("writing", path):
            place = self._behind(path)
            place.parent.mkdir(parents=True, exist_ok=True)
            is_new = not place.exists()
            if not is_new and not is_regular(place):
                raise HostError(f"writing {path} of the captured system", "it is no regular file")
            with opened(place, os.O_WRONLY | os.O_CREAT) as fd, os.fdopen(os.dup(fd), "wb") as file:
                if is_new:
                    os.fchmod(fd, FILE_MODE)
                file.truncate(0)
                file.write(data)

    def make_folder(self, path: str, mode: int | None) -> None:
        """With those above it, which anybody may look into, whatever this process's umask. What is there already stays
        as it is.
        """
        with changing("making", path):
            place = self._behind(path)
            missing = [each for each in (place, *place.parents) if not each.exists()]
            place.mkdir(parents=True, exist_ok=True)
            for each in missing:
                each.chmod(FOLDER_MODE if mode is None or each != place else mode)

    def dress(self, path: str, mode: int | None, owner: int | None, group: int | None) -> None:
        """The mode comes last: to give a file away takes bits from it (chown(2))."""
        with changing("changing", path):
            place = self._behind(path)
            if not is_regular(place):
                raise HostError(f"changing {path} of the captured system", "it is no regular file")
            with opened(place, os.O_RDONLY) as fd:
                if owner is not None or group is not None:
                    os.fchown(fd, -1 if owner is None else owner, -1 if group is None else group)
                if mode is not None:
                    os.fchmod(fd, mode)

    def remove(self, path: str) -> int:
        """A file, a link itself, or a directory with all that is in it; how many things of the first kinds."""
        with changing("removing", path):
            place = self._at(path)
            if stat.S_ISDIR(place.lstat().st_mode):
                count = swept(place, set(), folders_too=True)
                place.rmdir()
                return count
            place.unlink()
            return 1

    def sweep(self, path: str, spare: tuple[str, ...]) -> int:
        """Remove every file below a directory but those to be spared; how many went. Directories stay."""
        spared = {self._behind(each) for each in spare}
        with changing("sweeping", path):
            return swept(self._behind(path), spared, folders_too=False)

    def extents(self, path: str) -> tuple[tuple[int, int, int], ...]:
        """Where a regular file lies."""
        with changing("mapping", path), opened(self._behind(path), os.O_RDONLY) as fd:
            return tuple(extents_of(fd))

    def _behind(self, path: str) -> Path:
        return self._root / follow(path, self._link_at).lstrip("/")

    def _at(self, path: str) -> Path:
        parent, _, name = path.rstrip("/").rpartition("/")
        return self._behind(parent or "/") / name

    def _link_at(self, path: str) -> str | None:
        try:
            return str((self._root / path.lstrip("/")).readlink())
        except OSError as error:
            if error.errno not in NO_LINK:
                raise
            return None


def batches(folder: Path, most: int) -> Iterator[list[os.DirEntry[str]]]:
    """What a directory holds, so many at a time; none of an empty one. Raises `OSError`."""
    with os.scandir(folder) as entries:
        while found := list(islice(entries, most)):
            yield found


def swept(folder: Path, spared: set[Path], *, folders_too: bool) -> int:
    """Remove what is in a directory, and how many things that were, directories and links to such apart. No link is
    followed. Raises `OSError`.
    """
    count = 0
    for batch in batches(folder, BATCH_NAMES):
        for entry in batch:
            place = Path(entry.path)
            if entry.is_dir(follow_symlinks=False):
                count += swept(place, spared, folders_too=folders_too)
                if folders_too:
                    place.rmdir()
            elif is_link_to_folder(entry):
                if folders_too:
                    place.unlink()
            elif place not in spared:
                place.unlink()
                count += 1
    return count


def is_link_to_folder(entry: os.DirEntry[str]) -> bool:
    """It goes, or stays, as directories do."""
    return entry.is_symlink() and entry.is_dir()


def is_regular(place: Path) -> bool:
    """Whether opening it starts nothing: no device, no pipe, no link."""
    try:
        return stat.S_ISREG(place.lstat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


@contextmanager
def opened(place: Path, flags: int) -> Iterator[int]:
    """A file descriptor."""
    fd = os.open(place, flags | FLAGS, FILE_MODE)
    try:
        yield fd
    finally:
        os.close(fd)


@contextmanager
def changing(doing: str, path: str) -> Iterator[None]:
    """What the system says, as an error that tells whose file it is."""
    try:
        yield
    except (OSError, RecursionError, ValueError) as error:  # a tree deeper than any that is one; a name with a zero
        raise HostError(
            f"{doing} {path} of the captured system", getattr(error, "strerror", None) or str(error)
        ) from error
