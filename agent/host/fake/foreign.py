# SPDX-License-Identifier: Apache-2.0
"""The fake of somebody else's tree: a directory of the fake machine, whose links stay in it."""

from __future__ import annotations

from agent.errors import HostError
from agent.host.fake.faults import FakeDoor, FaultPlan, counted
from agent.host.fake.machine import Machine
from agent.host.fake.tree import LinkTo
from agent.host.paths import follow
from agent.model.generalise import Kind


class FakeForeignTree(FakeDoor):
    """`doors.Tree`."""

    noun = "tree"
    failure = HostError

    def __init__(self, machine: Machine, faults: FaultPlan, root: str) -> None:
        super().__init__(machine, faults)
        self._root = root.rstrip("/")

    def names(self, directory: str) -> tuple[str, ...]:
        """Sorted."""
        return tuple(sorted(self.machine.tree.directories.get(self._behind(directory), ())))

    def kind(self, path: str) -> Kind | None:
        """Of what is there itself."""
        place = self._at(path)
        entry = self.machine.tree.entries.get(place)
        if entry is None:
            return "directory" if place in self.machine.tree.directories else None
        return "link" if isinstance(entry, LinkTo) else "file"

    def read(self, path: str, most_bytes: int) -> bytes:
        """A file's beginning."""
        content = self.machine.tree.entries.get(self._behind(path))
        return content[:most_bytes] if isinstance(content, bytes) else b""

    @counted
    def write(self, path: str, data: bytes) -> None:
        """New content."""
        self.machine.tree.put(self._behind(path), data)

    @counted
    def make_folder(self, path: str, mode: int | None) -> None:
        """It is there."""
        place = self._behind(path)
        if place not in self.machine.tree.directories:
            self.machine.tree.make_directory(place)
            self.machine.dresses[place] = (mode, None, None)

    @counted
    def dress(self, path: str, mode: int | None, owner: int | None, group: int | None) -> None:
        """Written down."""
        self.machine.dresses[self._behind(path)] = (mode, owner, group)

    @counted
    def remove(self, path: str) -> int:
        """A file, a link, or a directory."""
        place = self._at(path)
        count = sum(each == place or each.startswith(f"{place}/") for each in self.machine.tree.entries)
        self.machine.tree.drop(place)
        return count

    @counted
    def sweep(self, path: str, spare: tuple[str, ...]) -> int:
        """Every file below."""
        spared, place = {self._behind(each) for each in spare}, self._behind(path)
        gone = [each for each in self.machine.tree.entries if each.startswith(f"{place}/") and each not in spared]
        for each in gone:
            self.machine.tree.drop(each)
        return len(gone)

    @counted
    def extents(self, path: str) -> tuple[tuple[int, int, int], ...]:
        """As the machine was told."""
        return self.machine.file_extents.get(self._behind(path), ())

    def _behind(self, path: str) -> str:
        return self._root + follow(path, self._link_at).rstrip("/")

    def _at(self, path: str) -> str:
        parent, _, name = path.rstrip("/").rpartition("/")
        return f"{self._behind(parent or '/')}/{name}"

    def _link_at(self, path: str) -> str | None:
        entry = self.machine.tree.entries.get(self._root + path)
        return entry.target if isinstance(entry, LinkTo) else None
