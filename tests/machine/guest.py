# SPDX-License-Identifier: Apache-2.0
"""A virtual machine for one boot, from a disk or from a kernel that is given; its serial console can be typed into.

It needs no lab around it: its NIC reaches this machine's loopback as 10.0.2.2, by QEMU's own network. It runs under
software emulation and ends with its power-off.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lab.firmware import Firmware, ovmf
from lab.machine import PATIENT

HOST = "10.0.2.2"
POLL_S = 0.2
TAIL = 4000


class Guest:
    """A machine that runs."""

    def __init__(self, folder: Path, process: subprocess.Popen[bytes]) -> None:
        self._folder = folder
        self._process = process
        self._read = 0

    @property
    def console(self) -> str:
        """All that it said."""
        return (self._folder / "console.log").read_text(errors="replace").replace("\r", "")

    def wait_for(self, text: str, timeout_s: float) -> str:
        """Until it says that, again; what it said up to there."""
        end = time.monotonic() + timeout_s
        while (place := self.console.find(text, self._read)) < 0:
            assert time.monotonic() < end, f"no {text!r} within {timeout_s} s: {self.console[-TAIL:]}"
            assert self._process.poll() is None, f"it ended before {text!r}: {self.console[-TAIL:]}"
            time.sleep(POLL_S)
        said, self._read = self.console[self._read : place], place + len(text)
        return said

    def type(self, text: str) -> None:
        """At the console, whoever reads there."""
        assert self._process.stdin is not None
        self._process.stdin.write(text.encode())
        self._process.stdin.flush()

    def do(self, command: str, timeout_s: float = 60) -> str:
        """A command at the shell on the console; what it printed. It must end well."""
        self.type(f"echo beg''in; {command}; ended=$?; echo; echo en''d $ended.\n")
        self.wait_for("begin\n", timeout_s)
        said = self.wait_for("\nend ", timeout_s)
        assert self.wait_for(".", timeout_s) == "0", said
        return said

    def wait_for_end(self, timeout_s: float) -> str:
        """Until its power is off; all that it said."""
        try:
            assert self._process.wait(timeout_s) == 0, self.console[-TAIL:]
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {timeout_s} s: {self.console[-TAIL:]}") from None
        return self.console


@contextmanager
def booted(folder: Path, disk: Path, *extra: str, firmware: Firmware = Firmware.BIOS) -> Iterator[Guest]:
    """It runs as long as the block, unless it switches itself off before. `extra`: what else QEMU is told."""
    folder.mkdir()
    words = [*argv(disk), *firmware_argv(folder, firmware), *patient(extra)]
    with (folder / "console.log").open("wb") as console, (folder / "qemu.log").open("wb") as log:
        process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=console, stderr=log)
    try:
        yield Guest(folder, process)
    finally:
        process.kill()
        process.communicate()


def patient(extra: Sequence[str]) -> list[str]:
    """The same, and the kernel that is given, if one is, does not panic at a late tick."""
    before = [None, *extra]
    return [f"{word} {PATIENT}" if before[place] == "-append" else word for place, word in enumerate(extra)]


def argv(disk: Path) -> list[str]:
    """QEMU's command line."""
    return [
        "qemu-system-x86_64", "-machine", "q35,graphics=off", "-accel", "tcg,thread=single", "-cpu", "max", "-smp", "1",
        "-m", "1024", "-nodefaults", "-display", "none", "-no-reboot", "-device", "virtio-rng-pci",
        "-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console",
        "-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net,romfile=",
        "-drive", f"if=none,id=disk,format=raw,file={disk},cache=unsafe,discard=unmap",
        "-device", "virtio-blk-pci,drive=disk,serial=S1,bootindex=1",
    ]  # fmt: skip


def firmware_argv(folder: Path, firmware: Firmware) -> list[str]:
    """Fresh variables: firmware that has never seen the disk."""
    if firmware is Firmware.BIOS:
        return []
    code, variables = ovmf()
    (folder / "variables.fd").write_bytes(variables.read_bytes())
    return [
        "-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={code}",
        "-drive", f"if=pflash,unit=1,format=raw,file={folder}/variables.fd",
    ]  # fmt: skip
