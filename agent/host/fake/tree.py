# SPDX-License-Identifier: Apache-2.0
"""A file tree in memory, and as text that people can read and compare.

# a comment
/sys/block/sda -> ../devices/pci0000:00/…     a symbolic link
/sys/block/sda/size = 937703088               a file of one line
/proc/cpuinfo:                                a file of several lines, each behind a tab
<TAB>processor : 0
/sys/firmware/dmi/tables/DMI 0x               bytes in hexadecimal, each line behind a tab
<TAB>000c0001 …
<TAB>0*4096                                    so many zeroes
/proc/version "…"                             any other text, as JSON
/sys/class/net/eth1/speed ! Invalid argument  a file that cannot be read, and what the kernel says
/sys/kernel/mm/                               an empty directory
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby

from agent.errors import DecodeError
from agent.host.paths import follow, parts

HEX_LINE_BYTES = 32
ZEROES = "0*"
LARGEST_FILE_BYTES, LARGEST_TREE_BYTES = 64 * 1024 * 1024, 256 * 1024 * 1024


@dataclass(frozen=True)
class LinkTo:
    """A symbolic link."""

    target: str


@dataclass(frozen=True)
class Unreadable:
    """A file whose reading fails; `reason` is the system's text."""

    reason: str


Entry = bytes | LinkTo | Unreadable


class Tree:
    """Files by absolute path; directories are where something is below them, and what was made by hand."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.directories: dict[str, set[str]] = {"/": set()}

    @classmethod
    def of(cls, files: Mapping[str, str | bytes | LinkTo | Unreadable]) -> Tree:
        """From path → text, bytes, link or failure."""
        tree = cls()
        for path, entry in files.items():
            tree.put(path, entry.encode() if isinstance(entry, str) else entry)
        return tree

    def copy(self) -> Tree:
        """Another tree with the same content."""
        other = Tree()
        other.entries = dict(self.entries)
        other.directories = {path: set(names) for path, names in self.directories.items()}
        return other

    def put(self, path: str, entry: Entry) -> None:
        """Set a file; its directories come to be."""
        parent, _, name = path.rpartition("/")
        self.make_directory(parent)
        self.directories[parent or "/"].add(name)
        self.entries[path] = entry

    def make_directory(self, path: str) -> None:
        """Make a directory and those above it."""
        above = ""
        for name in parts(path):
            self.directories[above or "/"].add(name)
            above = f"{above}/{name}"
            self.directories.setdefault(above, set())

    def drop(self, path: str) -> None:
        """Remove a file or a whole directory; one that is not there is fine."""
        for gone in [each for each in self.entries if each == path or each.startswith(path + "/")]:
            del self.entries[gone]
        for gone in [each for each in self.directories if each == path or each.startswith(path + "/")]:
            del self.directories[gone]
        parent, _, name = path.rpartition("/")
        self.directories.get(parent or "/", set()).discard(name)

    def resolve(self, path: str) -> str:
        """The path with every link followed."""
        return follow(path, self._link_at)

    def _link_at(self, path: str) -> str | None:
        entry = self.entries.get(path)
        return entry.target if isinstance(entry, LinkTo) else None


def render(tree: Tree, comment: str = "") -> str:
    """The tree as text."""
    lines = [f"# {line}" for line in comment.splitlines()]
    for path in sorted([*tree.entries, *(each for each, names in tree.directories.items() if not names)]):
        lines.extend(rendered(path, tree.entries.get(path)))
    return "\n".join(lines) + "\n"


def rendered(path: str, entry: Entry | None) -> Iterator[str]:
    """The lines of one entry; `None` is an empty directory."""
    match entry:
        case None:
            yield f"{path.rstrip('/')}/"
        case LinkTo(target):
            yield f"{path} -> {target}"
        case Unreadable(reason):
            yield f"{path} ! {reason}"
        case bytes():
            yield from rendered_bytes(path, entry)


def rendered_bytes(path: str, content: bytes) -> Iterator[str]:
    """A file, in the plainest form that keeps it exactly."""
    try:
        text = content.decode()
    except UnicodeDecodeError:
        text = "\0"
    if not (text.isprintable() or text.replace("\n", "").replace("\t", "").isprintable()):
        yield f"{path} 0x"
        yield from (f"\t{line}" for line in hexadecimal(content))
    elif not text.endswith("\n"):
        yield f"{path} {json.dumps(text)}"
    elif text.count("\n") == 1:
        yield f"{path} = {text[:-1]}"
    else:
        yield f"{path}:"
        yield from (f"\t{line}" for line in text[:-1].split("\n"))


def hexadecimal(content: bytes) -> Iterator[str]:
    """Bytes as lines; lines of zeroes are counted."""
    lines = (content[at : at + HEX_LINE_BYTES] for at in range(0, len(content), HEX_LINE_BYTES))
    for is_data, run in groupby(lines, any):
        if is_data:
            yield from (line.hex() for line in run)
        else:
            yield f"{ZEROES}{sum(map(len, run))}"


def parse(text: str) -> Tree:
    """The tree that a text describes.

    Raises `DecodeError`, which names the line.
    """
    tree = Tree()
    room = LARGEST_TREE_BYTES
    for number, head, block in entries(text):
        try:
            path, entry = parsed(head, block)
            if path != "".join(f"/{name}" for name in parts(path)):
                raise ValueError("not the path of a file")
            room -= len(entry) if isinstance(entry, bytes) and len(block) > 1 else 0  # one line of zeroes takes no room
            if room < 0:
                raise ValueError("more than fits into a tree")
        except ValueError as error:
            raise DecodeError("reading a recorded tree", f"line {number}: {head!r}") from error
        if entry is None:
            tree.make_directory(path)
        else:
            tree.put(path, entry)
    return tree


def entries(text: str) -> Iterator[tuple[int, str, list[str]]]:
    """Each entry's line number, its first line, and the lines behind tabs that follow."""
    lines = text.split("\n")
    at = 0
    while at < len(lines):
        head, first = lines[at], at + 1
        at += 1
        while at < len(lines) and lines[at].startswith("\t"):
            at += 1
        if head and not head.startswith("#"):
            yield first, head, [line[1:] for line in lines[first:at]]


def parsed(head: str, block: list[str]) -> tuple[str, Entry | None]:
    """Path and content of one entry; `None` is an empty directory."""
    path, _, rest = head.partition(" ")
    if not path.startswith("/"):
        raise ValueError("not an absolute path")
    if rest:
        return path, parsed_content(rest, block)
    if path.endswith(":"):
        return path[:-1], "".join(f"{line}\n" for line in block).encode()
    if path.endswith("/"):
        return path[:-1], None
    raise ValueError("neither a file nor a directory")


def parsed_content(rest: str, block: list[str]) -> Entry:
    """What follows a path and a space."""
    sign, _, value = rest.partition(" ")
    match sign:
        case "->":
            return LinkTo(value)
        case "!":
            return Unreadable(value)
        case "=":
            return f"{value}\n".encode()
        case "0x":
            return b"".join(map(parsed_bytes, block))
        case _ if rest.startswith('"'):
            return str(json.loads(rest)).encode()
    raise ValueError("not a kind of content")


def parsed_bytes(line: str) -> bytes:
    """A line of hexadecimal, or a count of zeroes."""
    if not line.startswith(ZEROES):
        return bytes.fromhex(line)
    count = int(line.removeprefix(ZEROES))
    return zeroes(count)


@lru_cache
def zeroes(count: int) -> bytes:
    """So many. Disks hold little else: they share them. Raises `ValueError` for more than any file has."""
    if not 0 < count <= LARGEST_FILE_BYTES:
        raise ValueError("no number of zeroes")
    return bytes(count)
