# SPDX-License-Identifier: Apache-2.0
"""The fake door to files: a tree in memory. What was written is durable, as it is behind the real door."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from itertools import groupby

from agent.errors import HostError
from agent.host import doors
from agent.host.doors import LargeFile
from agent.host.fake.faults import FakeDoor, FaultPlan, counted
from agent.host.fake.foreign import FakeForeignTree
from agent.host.fake.machine import Machine
from agent.host.fake.tree import LinkTo, Unreadable
from agent.model.space import Space

BLOCK_BYTES = 4096
REASONS = {IsADirectoryError: "Is a directory", FileNotFoundError: "No such file or directory"}


class FakeFiles(FakeDoor):
    """`doors.Files` over a tree in memory. What was written is durable, as it is behind the real door."""

    noun = "files"

    @counted
    def read_text(self, path: str) -> str:
        """The whole file."""
        return self._read(path).decode("utf-8", errors="replace")

    @counted
    def read_bytes(self, path: str) -> bytes:
        """The whole file."""
        return self._read(path)

    @counted
    def exists(self, path: str) -> bool:
        """Whether something is there."""
        found = self._resolve(path)
        return found in self.machine.tree.entries or found in self.machine.tree.directories

    @counted
    def names(self, directory: str) -> tuple[str, ...]:
        """Names in a directory, sorted."""
        return tuple(sorted(self.machine.tree.directories.get(self._resolve(directory), ())))

    @counted
    def resolve(self, path: str) -> str:
        """The path with every link followed."""
        return self._resolve(path)

    def real_path(self, path: str) -> str:
        """The path itself: the fake machine's programs see the same tree."""
        return self._resolve(path)

    @counted
    def write(self, path: str, data: bytes, *, mode: int = 0o644) -> None:
        """Replace the file."""
        self.machine.tree.put(self._resolve(path), bytes(data))

    @counted
    def append(self, path: str, data: bytes, *, durable: bool = True) -> None:
        """Append to the file."""
        before = self._read(path) if self._resolve(path) in self.machine.tree.entries else b""
        self.machine.tree.put(self._resolve(path), before + bytes(data))

    @counted
    def tell(self, path: str, text: str) -> None:
        """What the kernel would keep; an array that is told so is gone."""
        self.machine.tree.put(self._resolve(path), text.encode())
        if path.endswith("/md/array_state") and text == "clear":
            self.machine.take_down(path.split("/")[3])
        if path.endswith(("/device/rescan", "/scan")):
            self.machine.look_again()
        if path.endswith("/bcache/stop"):
            self.machine.take_down(path.split("/")[3])
        if path.endswith("/bcache/set/stop"):
            self.machine.tree.drop(self.machine.tree.resolve(path.removesuffix("/set/stop")))

    @counted
    def truncate(self, path: str, size_bytes: int) -> None:
        """Cut the file."""
        self.machine.tree.put(self._resolve(path), self._read(path)[:size_bytes].ljust(size_bytes, b"\0"))

    @counted
    def remove(self, path: str) -> None:
        """Remove the file."""
        self.machine.tree.drop(path)

    @counted
    def rename(self, path: str, to: str) -> None:
        """Another name for it."""
        content = self._read(path)
        self.machine.tree.put(self._resolve(to), content)
        self.machine.tree.drop(path)

    def open_large(self, path: str) -> AbstractContextManager[LargeFile]:
        """A file, or `machine.stdin`."""
        return nullcontext(self._opened(path))

    @counted
    def save(self, path: str, pieces: Iterable[bytes | memoryview]) -> int:
        """A file, or `machine.stdout`, which keeps what came before `pieces` raised."""
        if path == "-":
            return sum(self._out(bytes(piece)) for piece in pieces)
        content = b"".join(bytes(piece) for piece in pieces)
        self.machine.tree.put(self._resolve(path), content)
        return len(content)

    @counted
    def space(self, path: str) -> Space | None:
        """As the test has it; of a recorded machine nobody knows."""
        return self.machine.spaces.get(path)

    def below(self, root: str) -> doors.Tree:
        """A part of the machine's own tree."""
        return FakeForeignTree(self.machine, self.faults, self._resolve(root))

    @counted
    def _opened(self, path: str) -> FakeLargeFile:
        content = self.machine.stdin if path == "-" else self._read(path)
        return FakeLargeFile(self.machine, self.faults, path, content)

    def _out(self, piece: bytes) -> int:
        self.machine.stdout += piece
        return len(piece)

    def _resolve(self, path: str) -> str:
        return self.machine.tree.resolve(path)

    def _read(self, path: str) -> bytes:
        found = self._resolve(path)
        match self.machine.tree.entries.get(found):
            case bytes() as content:
                return content
            case Unreadable(reason):
                raise HostError(f"reading {path}", reason)
            case LinkTo() | None:
                cause = IsADirectoryError if found in self.machine.tree.directories else FileNotFoundError
                raise HostError(f"reading {path}", REASONS[cause]) from cause(path)


class FakeLargeFile(FakeDoor):
    """`doors.LargeFile` as it was when it was opened. Its blocks of zeroes are holes."""

    noun = "files"

    def __init__(self, machine: Machine, faults: FaultPlan, path: str, content: bytes) -> None:
        super().__init__(machine, faults)
        self._path = path
        self._content = content
        self._at: int | None = 0 if path == "-" else None
        self.size_bytes = None if path == "-" else len(content)

    def read_into(self, offset_bytes: int, view: memoryview) -> int:
        """The view, or less at the end."""
        return self._read_into(self._path, offset_bytes, view)

    @counted
    def _read_into(self, path: str, offset: int, view: memoryview) -> int:
        if self._at is not None and offset != self._at:
            raise HostError(f"reading {path}", f"it is at byte {self._at}, not at {offset}: it cannot seek")
        piece = self._content[offset : offset + len(view)]
        view[: len(piece)] = piece
        self._at = None if self._at is None else self._at + len(piece)
        return len(piece)

    def data_extents(self) -> Iterator[tuple[int, int]]:
        """Runs of blocks that are not all zero."""
        if self._at is not None:
            raise HostError(f"looking for holes in {self._path}", "it is a stream")
        blocks = range(0, len(self._content), BLOCK_BYTES)
        for is_data, run in groupby(blocks, lambda at: any(self._content[at : at + BLOCK_BYTES])):
            if is_data:
                first, *others = run
                end = min((others[-1] if others else first) + BLOCK_BYTES, len(self._content))
                yield first, end - first
