# SPDX-License-Identifier: Apache-2.0
"""Doing `InjectFiles`: files into a system that is on a disk, by mounting what they belong on.

Nothing of it is run. Links are followed as the system itself would follow them, so none leads out of it; owners are
looked up in its own /etc/passwd, as text. What is behind a URL is here before the file is opened.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager

from agent.apply.fetch import beginning
from agent.apply.mounting import TIMEOUT_S, is_root, make_place, mount, unmount
from agent.errors import DecodeError, HostError, InputError, PreconditionError
from agent.host.doors import Host, Tree
from agent.model.generalise import read_text
from agent.model.inject import Candidate, FileToInject, InjectFiles, Placed
from agent.model.job import Advance, Result
from agent.model.url import named

PLACE = "/run/bms-agent/injected"
LARGEST_BYTES = 64 * 1024**2
ON_ERRORS = {"ext4": "errors=remount-ro", "vfat": "errors=remount-ro"}
"""What ext4 says itself about errors does not count: it might be to end this kernel."""


def inject_files(host: Host, step: InjectFiles, advance: Advance, socket: str | None = None) -> Result:
    """Returns on which partition each file was. With a socket, the process behind it fetches what is behind a URL.

    Raises `InputError`, `PreconditionError`, `HostError`, `LinkError`.
    """
    contents = [content(host, one.file, socket) for one in step.placed]
    result: Result = {}
    for number, (one, data) in enumerate(zip(step.placed, contents, strict=True)):
        advance(0, None, f"{number} of {len(step.placed)} files")
        where = injected(host, one, data)
        result[one.file.path] = f"{'removed from' if one.file.deleted else 'written to'} {where}"
    return result


def content(host: Host, file: FileToInject, socket: str | None) -> bytes:
    """All of it. Raises `DecodeError`, `InputError`, and as fetching does."""
    if file.content is not None:
        try:
            return b64decode(file.content.get_secret_value(), validate=True)
        except ValueError:
            raise DecodeError(f"reading the content of {file.path}", "it is not base64") from None
    if file.url is None:
        return b""
    url = file.url.get_secret_value()
    found = beginning(host, url, LARGEST_BYTES + 1, socket)
    if len(found) > LARGEST_BYTES:
        told = f"{named(url)} has more than {LARGEST_BYTES // 1024**2} MiB"
        raise InputError(f"fetching {file.path}", told, hint="Put what is so large into the image.")
    return found


def injected(host: Host, placed: Placed, data: bytes) -> str:
    """Where it was put: where its first directory is, be it in a subvolume; else on the partition that is named, and is
    given the directory. Raises `PreconditionError` where none is named, and none has it.
    """
    for candidate in placed.candidates:
        for options in ("", *subvolumes(host, candidate)):
            with mounted(host, candidate, options) as tree:
                if has_start(tree, placed.file.path):
                    put(host, tree, placed.file, data)
                    return candidate.node
    if placed.file.partition is None:
        start = placed.file.path.split("/")[1]
        nodes = ", ".join(one.node for one in placed.candidates)
        raise PreconditionError(f"injecting {placed.file.path}", f"there is no directory /{start} on {nodes}")
    with mounted(host, placed.candidates[0], "") as tree:
        put(host, tree, placed.file, data)
    return placed.candidates[0].node


def subvolumes(host: Host, candidate: Candidate) -> Iterator[str]:
    """Mount options that show a system which is not at the top of its btrfs."""
    if candidate.filesystem != "btrfs":
        return
    with mounted(host, candidate, "") as tree:
        names = [name for name in tree.names("/") if "," not in name and tree.kind(f"/{name}") == "directory"]
        found = [f"subvol=/{name}" for name in names if is_root(tree, f"/{name}")]
    yield from found


def has_start(tree: Tree, path: str) -> bool:
    """Whether the first directory of a path is there."""
    start = f"/{path.split('/')[1]}"
    kind = tree.kind(start)
    return kind == "directory" or (kind == "link" and bool(tree.names(start)))


def put(host: Host, tree: Tree, file: FileToInject, data: bytes) -> None:
    """The file is as it shall be, and all of it is on the medium. Raises `HostError`."""
    if file.deleted:
        removed(tree, file.path)
    else:
        owner, group = number(tree, file.owner, "/etc/passwd"), number(tree, file.group, "/etc/group")
        if tree.kind(file.path) == "directory":
            raise HostError(f"injecting {file.path}", "there is a directory of that name")
        tree.make_folder(file.path.rpartition("/")[0] or "/", file.dirmode)
        tree.write(file.path, data)
        tree.dress(file.path, file.mode, owner, group)
    host.run(["sync", "--file-system", host.files.real_path(PLACE)], timeout_s=TIMEOUT_S)


def removed(tree: Tree, path: str) -> None:
    """A file, or a link itself; a directory is somebody's mistake. Raises `HostError`."""
    kind = tree.kind(path)
    if kind == "directory":
        raise HostError(f"removing {path}", "it is a directory")
    if kind is not None:
        tree.remove(path)


def number(tree: Tree, name: int | str | None, table: str) -> int | None:
    """Of a user or a group, by the system's own table. Raises `HostError` for one that is not in it."""
    if not isinstance(name, str):
        return name
    for line in read_text(tree, table).splitlines():
        row = line.split(":")
        if len(row) > 2 and row[0] == name and row[2].isdecimal():
            return int(row[2])
    raise HostError(f"looking {name} up", f"it is not in {table} of that partition", hint="Give its number.")


@contextmanager
def mounted(host: Host, candidate: Candidate, options: str) -> Iterator[Tree]:
    """It is unmounted whatever happens. Raises `HostError`."""
    make_place(host, PLACE)
    on_errors = ON_ERRORS.get(candidate.filesystem, "")
    mount(host, candidate.filesystem, candidate.node, PLACE, on_errors, options, mode="rw")
    try:
        yield host.files.below(PLACE)
    finally:
        unmount(host, PLACE)
