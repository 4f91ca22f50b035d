# SPDX-License-Identifier: Apache-2.0
"""Doors with a witness: whatever the agent asks this machine is written down, answers and failures alike.

In: the real doors. Out: the same doors, and `Notes`, of which a recorded machine is made. Nothing but looks passes, and
commands that tell something; with one exception, drivers of a BMC, without which nobody can ask it. `probe` and `lldp`
are the host's own, since findings stand on them: neighbours are asked and listened to, and nothing of it is recorded.
Who is asked and has not answered by then is recorded as silent.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, cast

from agent.errors import AgentError, HostError, RecordedMachine
from agent.host.doors import BlockDevice, Completed, Files, Host
from agent.host.fake.faults import call_name
from agent.host.fake.recorded import LOOKS
from agent.host.fake.tree import Unreadable
from agent.host.notes import SILENT, Notes
from agent.model.space import Space

QUESTIONS = ("udev", "netlink", "counters", "efi", "ipmi", "drives", "tpm", "nftables", "traffic", "processors")
"""Doors that are nothing but methods with an answer."""
CLOSED = ("power", "erasers", "peer", "fetch", "datagrams", "lock")
"""Doors without a look."""
TELLING = (
    ("dmesg", "--level"),
    ("systemctl", "--no-pager", "show"),
    ("journalctl", "--no-pager", "--quiet", "--output"),
    ("modprobe", "--all", "--quiet", "ipmi_"),
)
"""How commands begin that may be run, word by word; the last word is as far as it goes."""


def witnessed(host: Host) -> tuple[Host, Notes]:
    """The doors to look through, and what is seen."""
    notes = Notes()
    asked: dict[str, Any] = {noun: Witness(notes, noun, getattr(host, noun)) for noun in (*QUESTIONS, *CLOSED)}
    files = WitnessFiles(notes, host.files)
    return replace(
        host,
        files=cast(Any, files),
        block=cast(Any, WitnessBlock(notes, host)),
        run=WitnessRun(notes, host),
        ethtool=WitnessEthtool(notes, host),
        **asked,
    ), notes


@dataclass(frozen=True)
class Witness:
    """One door."""

    notes: Notes
    noun: str
    door: object

    def __getattr__(self, method: str) -> Any:
        """A look, with what it brings noted down."""
        if method not in LOOKS.get(self.noun, ()):
            raise AttributeError(f"{self.noun}.{method} is no look")

        def look(*args: Any, **kwargs: Any) -> Any:
            told = (*args, *kwargs.values())
            return self.notes.asked(self.noun, method, told, lambda: getattr(self.door, method)(*args, **kwargs))

        return look


@dataclass(frozen=True)
class WitnessRun:
    """Commands: what they print is noted where they are the kernel's log; nobody needs the others' words again."""

    notes: Notes
    host: Host

    def __call__(self, argv: Any, *, timeout_s: float = 60.0, stdin: str | None = None) -> Completed:
        """Run it, if it is one of those. Raises `RecordedMachine` for any other."""
        if not any(begins(argv, words) for words in TELLING):
            raise RecordedMachine(f"running {shlex.join(argv)}", "nothing is changed while a machine is recorded")
        done = self.host.run(argv, timeout_s=timeout_s, stdin=stdin)
        if argv[0] == "dmesg":
            self.notes.keep("run", "command", (shlex.join(argv),), done.stdout)
        return done


def begins(argv: Sequence[str], words: Sequence[str]) -> bool:
    """Whether a command begins with these words, the last of which may be a part of one."""
    *whole, part = words
    rest = argv[len(whole) :]
    return list(argv[: len(whole)]) == whole and bool(rest) and rest[0].startswith(part)


@dataclass(frozen=True)
class WitnessEthtool:
    """Drivers of NICs."""

    notes: Notes
    host: Host

    def __call__(self, link: str, request: bytes) -> bytes | None:
        """Ask."""
        told = (link, int.from_bytes(request[:4], "little"))
        answer: bytes | None = self.notes.asked("ethtool", "ask", told, lambda: self.host.ethtool(link, request))
        return answer


@dataclass(frozen=True)
class WitnessFiles:
    """Files: contents that were read, and names that are there."""

    notes: Notes
    files: Files

    def read_text(self, path: str) -> str:
        """As text."""
        return self.read_bytes(path).decode("utf-8", errors="replace")

    def read_bytes(self, path: str) -> bytes:
        """The whole file."""
        self.notes.reading(path)
        try:
            content = self.files.read_bytes(path)
        except HostError as error:
            is_file = not isinstance(error.__cause__, IsADirectoryError | FileNotFoundError)
            self.notes.read(path, Unreadable(error.evidence) if is_file else None)
            if isinstance(error.__cause__, IsADirectoryError):
                self.notes.see(path)
            raise
        self.notes.read(path, content)
        return content

    def exists(self, path: str) -> bool:
        """Whether something is there."""
        is_there = self.files.exists(path)
        if is_there:
            self.notes.see(path)
        return is_there

    def names(self, directory: str) -> tuple[str, ...]:
        """In a directory."""
        names = self.files.names(directory)
        self.notes.list(directory, names)
        return names

    def resolve(self, path: str) -> str:
        """Every link on the way is noted, too."""
        end = self.files.resolve(path)
        self.notes.see(path)
        return end

    def space(self, path: str) -> Space | None:
        """Nothing that is recorded: of a recording nobody knows it."""
        return None


@dataclass(frozen=True)
class WitnessBlock:
    """Disks, opened for reading."""

    notes: Notes
    host: Host

    @contextmanager
    def open_read(self, path: str, *, exclusive: bool = False) -> Iterator[BlockDevice]:
        """The disk, each of whose reads is noted."""
        door = self.host.block.open_read(path, exclusive=exclusive)
        with self.notes.asking(call_name("block", "opened", (path,))):
            device = door.__enter__()
        try:
            yield cast(BlockDevice, WitnessDevice(self.notes, self.host.files.resolve(path), device))
        finally:
            door.__exit__(None, None, None)


@dataclass(frozen=True)
class WitnessDevice:
    """One disk."""

    notes: Notes
    node: str
    device: BlockDevice

    @property
    def size_bytes(self) -> int:
        """As it is."""
        return self.device.size_bytes

    @property
    def logical_sector_bytes(self) -> int:
        """As they are."""
        return self.device.logical_sector_bytes

    def read(self, offset_bytes: int, length_bytes: int) -> bytes:
        """Exactly that many bytes."""
        self.notes.piece(self.node, offset_bytes, Unreadable(SILENT))
        try:
            piece = self.device.read(offset_bytes, length_bytes)
        except AgentError as error:
            self.notes.piece(self.node, offset_bytes, Unreadable(error.evidence))
            raise
        self.notes.piece(self.node, offset_bytes, piece)
        return piece
