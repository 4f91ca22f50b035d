# SPDX-License-Identifier: Apache-2.0
"""Programs of a fake machine: functions in place of commands, by name.

`PROGRAMS` are the commands that the agent uses, doing what matters of them; a test replaces one by assigning to
`machine.programs[name]`. A command that is not there is `ToolMissing`, as on a real machine.
"""

from __future__ import annotations

import shlex
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from agent.errors import CommandFailed, ToolMissing
from agent.host.doors import Completed
from agent.host.fake.faults import FakeDoor, counted

if TYPE_CHECKING:
    from agent.host.fake.machine import Machine


@dataclass(frozen=True)
class Output:
    """How a program ends and what it says."""

    status: int = 0
    stdout: str = ""
    stderr: str = ""


Program = Callable[["Machine", Sequence[str], str | None], Output]


class FakeRun(FakeDoor):
    """`doors.Run` that calls functions; every argv is kept in `machine.commands`."""

    noun = "run"
    failure = CommandFailed

    def __call__(self, argv: Sequence[str], *, timeout_s: float = 60.0, stdin: str | None = None) -> Completed:
        """Run the program of that name."""
        return self.command(shlex.join(argv), tuple(argv), stdin)

    @counted
    def command(self, line: str, argv: tuple[str, ...], stdin: str | None) -> Completed:
        """One counted call."""
        self.machine.commands.append(argv)
        program = self.machine.programs.get(argv[0])
        if program is None:
            raise ToolMissing(f"running {line}", f"{argv[0]} is not installed")
        output = program(self.machine, argv, stdin)
        if output.status:
            raise CommandFailed(f"running {line}", f"exit status {output.status}; stderr: {output.stderr}")
        return Completed(argv, output.stdout, output.stderr, 0.0)


def silent(machine: Machine, argv: Sequence[str], stdin: str | None) -> Output:
    """A program that does nothing, and well."""
    return Output()


def saying(stdout: str) -> Program:
    """A program that prints this."""
    return lambda machine, argv, stdin: Output(stdout=stdout)


def saying_by_line(said: Mapping[str, str]) -> dict[str, Program]:
    """Programs that print what they printed when they were recorded, by the whole command line."""
    return {shlex.split(line)[0]: lambda machine, argv, stdin: Output(stdout=said[shlex.join(argv)]) for line in said}


def failing(status: int = 1, stderr: str = "") -> Program:
    """A program that ends with this status."""
    return lambda machine, argv, stdin: Output(status=status, stderr=stderr)


def systemctl(machine: Machine, argv: Sequence[str], stdin: str | None) -> Output:
    """Takes the orders that end a boot; all else is fine."""
    machine.power_orders.extend({"reboot": "reboot", "poweroff": "power off"}[word] for word in argv if word in ENDINGS)
    return Output()


FILESYSTEM_BYTES = 64 * 1024


def mkfs_vfat(machine: Machine, argv: Sequence[str], stdin: str | None) -> Output:
    """An image that begins with its label, so that a test finds it on the disk. It is small, whatever was asked for."""
    label = b"vfat " + argv[argv.index("-n") + 1].encode()
    machine.tree.put(argv[-1], label.ljust(FILESYSTEM_BYTES, b"\0"))
    return Output()


def mcopy(machine: Machine, argv: Sequence[str], stdin: str | None) -> Output:
    """Puts the path and what comes by stdin, or is in a file, into the image, behind what is there."""
    image, source, target = argv[argv.index("-i") + 1], argv[-2], argv[-1]
    before = machine.tree.entries.get(image)
    told = (None if stdin is None else stdin.encode()) if source == "-" else machine.tree.entries.get(source)
    if not isinstance(before, bytes) or not isinstance(told, bytes):
        return Output(status=1, stderr="no such file")
    content = before.rstrip(b"\0") + b"\0" + f"{target}=".encode() + told
    machine.tree.put(image, content.ljust(FILESYSTEM_BYTES, b"\0"))
    return Output()


def mke2fs(machine: Machine, argv: Sequence[str], stdin: str | None) -> Output:
    """As much of a superblock on a disk as says what it is called; it is flushed, as mke2fs leaves it."""
    options = dict(each.partition("=")[::2] for each in argv[argv.index("-E") + 1].split(","))
    disk = machine.disk(argv[-2])
    if disk is None:
        return Output(status=1, stderr="no such file")
    block = bytearray(1024)
    struct.pack_into("<I", block, 0x4, int(argv[-1].removesuffix("k")))
    block[0x38:0x3A] = b"\x53\xef"
    block[0x68:0x78] = UUID(argv[argv.index("-U") + 1]).bytes
    label = argv[argv.index("-L") + 1].encode()
    block[0x78 : 0x78 + len(label)] = label
    disk.write(int(options["offset"]), bytes(1024) + bytes(block) + bytes(2048))
    disk.flush()
    return Output()


def mkswap(machine: Machine, argv: Sequence[str], stdin: str | None) -> Output:
    """The header, in a file."""
    before = machine.tree.entries.get(argv[-1])
    if not isinstance(before, bytes) or len(before) < SWAP_PAGE_BYTES:
        return Output(status=1, stderr="no such file, or too small")
    label = argv[argv.index("-L") + 1].encode().ljust(16, b"\0")
    head = struct.pack("<III", 1, len(before) // SWAP_PAGE_BYTES - 1, 0)
    page = bytes(1024) + head + UUID(argv[argv.index("-U") + 1]).bytes + label
    machine.tree.put(argv[-1], page.ljust(SWAP_PAGE_BYTES - 10, b"\0") + b"SWAPSPACE2" + before[SWAP_PAGE_BYTES:])
    return Output()


def swapoff(machine: Machine, argv: Sequence[str], stdin: str | None) -> Output:
    """The kernel swaps there no more."""
    counts = machine.record.counts
    if argv[-1] not in counts.swaps:
        return Output(status=255, stderr="swapoff failed: Invalid argument")
    swaps = tuple(node for node in counts.swaps if node != argv[-1])
    machine.record = machine.record.model_copy(update={"counts": counts.model_copy(update={"swaps": swaps})})
    return Output()


ENDINGS = ("reboot", "poweroff")
SWAP_PAGE_BYTES = 4096

PROGRAMS: Mapping[str, Program] = {
    "env": silent,
    "mcopy": mcopy,
    "mke2fs": mke2fs,
    "mkfs.vfat": mkfs_vfat,
    "mkswap": mkswap,
    "mmd": silent,
    "modprobe": silent,
    "networkctl": silent,
    "swapoff": swapoff,
    "systemctl": systemctl,
    "systemd-run": silent,
    "udevadm": silent,
    "wipefs": saying('{"signatures": []}'),
}
