# SPDX-License-Identifier: Apache-2.0
"""A directory of sysfs, listed once: what is not in it is absent, and what cannot be read says why or raises.

A directory has a dozen files, each of which would otherwise be looked for before it is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from agent.errors import DecodeError, HostError
from agent.host.doors import Files
from agent.inventory.fact import attempt, said
from agent.model.fact import Fact


class Folder:
    """One directory. `names` is sorted; of a directory that is not there it is empty."""

    def __init__(self, files: Files, path: str) -> None:
        self._files = files
        self.path = path
        self.names = files.names(path)
        self._names = frozenset(self.names)

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def line(self, name: str) -> str | None:
        """What a file says, if there is one and it is not empty. Raises `HostError`."""
        return self._files.read_text(f"{self.path}/{name}").strip() or None if name in self._names else None

    def words(self, name: str) -> str | None:
        """The same of a text for people: placeholders say nothing. Raises `HostError`."""
        return said(self.line(name))

    def whole(self, name: str) -> int | None:
        """A number, if there is one; a negative one is none. Raises `HostError`, `DecodeError`."""
        text = self.line(name)
        if text is None:
            return None
        if not re.fullmatch(r"-?[0-9]+", text):
            raise DecodeError(f"reading {self.path}/{name}", f"{text!r} is no number")
        return None if text.startswith("-") else int(text)

    def signed(self, name: str) -> int | None:
        """A number that may be below zero. Raises `HostError`, `DecodeError`."""
        text = self.line(name)
        if text is not None and not re.fullmatch(r"-?[0-9]+", text):
            raise DecodeError(f"reading {self.path}/{name}", f"{text!r} is no number")
        return None if text is None else int(text)

    def raw(self, name: str) -> bytes | None:
        """Bytes, if there are any. Raises `HostError`."""
        return self._files.read_bytes(f"{self.path}/{name}") if name in self._names else None

    def fact(self, name: str) -> Fact[str]:
        """As a fact."""
        return attempt(lambda: self.line(name))

    def number(self, name: str) -> Fact[int]:
        """As a fact."""
        return attempt(lambda: self.whole(name))

    def target(self, name: str) -> str | None:
        """The last part of what a link leads to: a driver's name. Raises `HostError`."""
        return self._files.resolve(f"{self.path}/{name}").rpartition("/")[2] if name in self._names else None


def each(files: Files, path: str) -> Iterator[tuple[str, Folder]]:
    """Directories below a class's. One that is unplugged meanwhile is left out."""
    for name in files.names(path):
        try:
            yield name, Folder(files, f"{path}/{name}")
        except HostError as error:
            if not error.is_gone:
                raise
