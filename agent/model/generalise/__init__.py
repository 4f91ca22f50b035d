# SPDX-License-Identifier: Apache-2.0
"""Making a captured system general: what one server must not hand on to the next. Pure.

`table` has every item with its reason; `actions` says, for the tree of one system, which files go, are emptied or are
rewritten. Looking and doing are apart: the same list is shown to an operator and carried out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Literal, Protocol

Kind = Literal["file", "directory", "link", "other"]
Doing = Literal["remove", "clear", "sweep", "empty", "write", "blank"]
MOST_TEXT_BYTES = 1024 * 1024
HOMES = ("/root", "/home/*")
MOST_HOMES = 1000
EVERYTHING = "*"
"""Among the names of an image's own filesystems: there are some that cannot be told, inside LVM or encryption."""


class Look(Protocol):
    """A system's files, looked at from outside. Links on the way to a file stay inside the tree."""

    def names(self, directory: str) -> tuple[str, ...]:
        """Sorted; empty for what is no directory."""
        ...

    def kind(self, path: str) -> Kind | None:
        """Of what is at the path itself: a link there is a link."""
        ...

    def read(self, path: str, most_bytes: int) -> bytes:
        """A file's beginning."""
        ...


@dataclass(frozen=True)
class Action:
    """One thing to be done to one path.

    remove a file, or a directory with all that is in it · clear: all that is in a directory · sweep: all files below a
    directory, which itself stays with those in it · empty: cut a file to nothing · write: new content ·
    blank: a file stays, its header too, and all else in it becomes zeroes
    """

    item: str
    doing: Doing
    path: str
    content: bytes = field(default=b"", repr=False)
    spare: tuple[str, ...] = ()
    """What a sweep leaves."""

    def __str__(self) -> str:
        words = {"clear": "remove all in", "sweep": "remove all files below"}
        return f"{words.get(self.doing, self.doing)} {self.path}"


Finder = Callable[[Look, frozenset[str]], Iterable[tuple[str, bytes]]]
"""(path, its new content) of what has to be rewritten; the names are those under which fstab finds the image's own
filesystems, as `UUID=…`, `LABEL=…`, `PARTUUID=…`, `PARTLABEL=…`."""


@dataclass(frozen=True)
class Item:
    """Something to be forgotten. Paths are patterns, a name each (`*` ends at a slash); `~` is every home."""

    name: str
    reason: str
    remove: tuple[str, ...] = ()
    clear: tuple[str, ...] = ()
    sweep: tuple[str, ...] = ()
    empty: tuple[str, ...] = ()
    spare: tuple[str, ...] = ()
    """Paths that stay though they fit, or are swept over."""
    write: Finder | None = None
    blank: Callable[[Look], Iterable[str]] | None = None


def actions(look: Look, items: Iterable[Item], own: frozenset[str]) -> tuple[Action, ...]:
    """What has to be done, in the items' order. Rewriting comes first in an item: it may read what is removed then."""
    found: list[Action] = []
    for item in items:
        if item.write is not None:
            found += [Action(item.name, "write", path, content) for path, content in item.write(look, own)]
        if item.blank is not None:
            found += [Action(item.name, "blank", path) for path in item.blank(look)]
        found += [Action(item.name, "remove", path) for path in paths(look, item.remove) if path not in item.spare]
        found += [Action(item.name, "clear", path) for path in paths(look, item.clear) if look.names(path)]
        for path in paths(look, item.sweep):
            if look.names(path):
                found.append(Action(item.name, "sweep", path, spare=item.spare))
        for path in paths(look, item.empty):
            if look.kind(path) in ("file", "link"):
                found.append(Action(item.name, "empty", path))
    return tuple(found)


def holds_items(look: Look, items: Iterable[Item], place: str) -> bool:
    """Whether something to be forgotten may lie at a place or below it, or the place below that."""
    names = place.strip("/").split("/")
    for item in items:
        for pattern in (*item.remove, *item.clear, *item.sweep, *item.empty):
            for start in (*homes(look), *HOMES) if pattern.startswith("~") else ("",):
                parts = (start + pattern.removeprefix("~")).strip("/").split("/")
                if all(fnmatchcase(name, part) for name, part in zip(names, parts, strict=False)):
                    return True
    return False


def paths(look: Look, patterns: Iterable[str]) -> list[str]:
    """What is there of these patterns, each once."""
    found: dict[str, None] = {}
    for pattern in patterns:
        starts = homes(look) if pattern.startswith("~") else ("",)
        for start in starts:
            found.update(dict.fromkeys(expanded(look, start + pattern.removeprefix("~"))))
    return list(found)


def expanded(look: Look, pattern: str) -> Iterator[str]:
    """Every path that fits, in order."""
    heres = [""]
    for part in pattern.strip("/").split("/"):
        if any(sign in part for sign in "*?["):
            heres = [f"{here}/{name}" for here in heres for name in look.names(here or "/") if fnmatchcase(name, part)]
        else:
            heres = [f"{here}/{part}" for here in heres]
    return (here for here in heres if look.kind(here) is not None)


def homes(look: Look) -> tuple[str, ...]:
    """Of everybody who can be expected to have typed something."""
    listed = [line.split(":") for line in read_text(look, "/etc/passwd").splitlines()]
    told = [row[5].rstrip("/") for row in listed if len(row) > 6 and row[5].startswith("/") and ".." not in row[5]]
    common = [path for pattern in HOMES for path in expanded(look, pattern)]
    found = dict.fromkeys([*common, *(home for home in told if home.count("/") > 1)])
    return tuple(found)[:MOST_HOMES]


def read_text(look: Look, path: str) -> str:
    """A text, or its beginning; empty for what is no file."""
    if look.kind(path) not in ("file", "link"):
        return ""
    return look.read(path, MOST_TEXT_BYTES).decode("utf-8", errors="surrogateescape")
