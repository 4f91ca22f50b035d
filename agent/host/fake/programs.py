# SPDX-License-Identifier: Apache-2.0
"""Programs of a fake machine: functions in place of commands, by name.

`PROGRAMS` are the commands that the agent uses, doing what matters of them; a test replaces one by assigning to
`machine.programs[name]`. A command that is not there is `ToolMissing`, as on a real machine.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

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
    """Puts the path and what comes by stdin into the image, behind what is there."""
    image, target = argv[argv.index("-i") + 1], argv[-1]
    before = machine.tree.entries.get(image)
    if not isinstance(before, bytes) or stdin is None or argv[-2] != "-":
        return Output(status=1, stderr="no such file")
    content = before.rstrip(b"\0") + b"\0" + f"{target}={stdin}".encode()
    machine.tree.put(image, content.ljust(FILESYSTEM_BYTES, b"\0"))
    return Output()


ENDINGS = ("reboot", "poweroff")

PROGRAMS: Mapping[str, Program] = {
    "env": silent,
    "mcopy": mcopy,
    "mkfs.vfat": mkfs_vfat,
    "mmd": silent,
    "modprobe": silent,
    "networkctl": silent,
    "systemctl": systemctl,
    "systemd-run": silent,
    "udevadm": silent,
    "wipefs": saying('{"signatures": []}'),
}
