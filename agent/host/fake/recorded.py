# SPDX-License-Identifier: Apache-2.0
"""A recorded machine that is looked at and never changed: `bms-agent --machine`.

In: the machine. Out: a `Host` that answers as the machine did, failures included. Whatever was not asked when it was
recorded, and whatever would change anything, is refused: a recording must not look as if it had been written to.
"""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import TypeVar

import zstandard

from agent.errors import AgentError, DecodeError, InputError, RecordedMachine
from agent.host.doors import Host, LargeFile
from agent.host.fake import FakeHost
from agent.host.fake.answers import NOT_RECORDED
from agent.host.fake.faults import FaultPlan
from agent.host.fake.files import FakeFiles
from agent.host.fake.machine import FILES, Machine
from agent.host.fake.programs import saying_by_line
from agent.host.files import RealFiles

R = TypeVar("R")
LARGEST_BYTES = 64 * 1024 * 1024
PACKED_LEVEL = 10
LOOKS: Mapping[str, frozenset[str]] = {
    "files": frozenset({"read_text", "read_bytes", "exists", "names", "resolve", "opened", "read_into"}),
    "udev": frozenset({"block_devices", "devices", "settle"}),
    "block": frozenset({"opened", "read"}),
    "netlink": frozenset({"tables"}),
    "nftables": frozenset({"chains", "sets"}),
    "traffic": frozenset({"shapers"}),
    "counters": frozenset({"memory_total_bytes", "threads", "cores", "mounts", "swaps"}),
    "efi": frozenset({"is_there", "names", "read"}),
    "ipmi": frozenset({"is_there", "ask"}),
    "drives": frozenset(
        {
            "nvme_identify",
            "nvme_log",
            "nvme_boot_log",
            "ata_identify",
            "ata_smart",
            "ata_sanitize_status",
            "ata_capacity",
            "scsi_log",
            "scsi_supports",
            "scsi_sense",
        }
    ),
    "ethtool": frozenset({"ask"}),
    "tpm": frozenset({"is_there", "ask"}),
    "processors": frozenset({"numbers"}),
}
"""The door calls that only look, by door: these are recorded, and answered by a recording; a new door has none."""

GIVE = "Give the directory, or the file, that `bms-agent diagnose capture --to` made."

DECLINING = frozenset({"drives", "ethtool"})
"""Doors where no answer is one: the device does not know that question."""


class Recording(FaultPlan):
    """Lets looks through, failing as they failed, and nothing else."""

    def __init__(self, machine: Machine) -> None:
        super().__init__()
        self._record = machine.record
        self._declined = frozenset(machine.record.declined)

    def through(self, call: str, failure: type[AgentError], act: Callable[[], R]) -> R:
        """Look, or refuse."""
        noun, _, rest = call.partition(".")
        method, _, told = rest.partition("(")
        if call in self._record.failures:
            raise failure(call, self._record.failures[call])
        if method in LOOKS.get(noun, ()) or (noun == "run" and told.removesuffix(")") in self._record.said):
            answer = act()
            if answer is None and self._record.is_partial and noun in DECLINING and call not in self._declined:
                raise failure(call, NOT_RECORDED)
            return answer
        raise RecordedMachine(call, f"{NOT_RECORDED}, and a recording cannot be changed")


class OperatorsFiles(FakeFiles):
    """The machine's files; but what it has not and is to be read in pieces is an image, which is the operator's."""

    def open_large(self, path: str) -> AbstractContextManager[LargeFile]:
        """From the machine, or from where the operator is."""
        if self.machine.tree.resolve(path) in self.machine.tree.entries:
            return super().open_large(path)
        return RealFiles().open_large(path)


def opened(where: str) -> Host:
    """The doors of a machine that was recorded in this directory, or packed into this file. Raises `InputError`."""
    try:
        return recorded(Machine.load(Path(where)) if Path(where).is_dir() else Machine.read(unpacked(where), where))
    except OSError as error:
        raise InputError(f"reading the machine recorded in {where}", error.strerror or "", hint=GIVE) from error
    except DecodeError as error:
        raise DecodeError(error.doing, error.evidence, hint=GIVE) from error.__cause__


def unpacked(where: str) -> dict[str, bytes]:
    """The files of a packed recording; it is read no further than a recording can be long. Raises `DecodeError`."""
    doing = f"unpacking {where}"
    try:
        with Path(where).open("rb") as file, zstandard.ZstdDecompressor().stream_reader(file) as stream:
            plain = stream.read(LARGEST_BYTES + 1)
        if len(plain) > LARGEST_BYTES:
            raise DecodeError(doing, f"it has more than {LARGEST_BYTES} bytes")
        with tarfile.open(fileobj=BytesIO(plain), mode="r:") as tar:
            members = {Path(one.name).name: tar.extractfile(one) for one in tar if one.isreg()}
            return {name: file.read() for name, file in members.items() if file is not None and name in FILES}
    except (zstandard.ZstdError, tarfile.TarError, EOFError) as error:
        raise DecodeError(doing, "it is no recorded machine, or a part of it is missing") from error


def packed(machine: Machine) -> bytes:
    """The same in one file, which is the same for the same machine."""
    out = BytesIO()
    with tarfile.open(fileobj=out, mode="w:", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in sorted(machine.written().items()):
            head = tarfile.TarInfo(name)
            head.size = len(content)
            tar.addfile(head, BytesIO(content))
    return zstandard.ZstdCompressor(level=PACKED_LEVEL).compress(out.getvalue())


def recorded(machine: Machine) -> Host:
    """The doors of a recorded machine, for looking."""
    plan = Recording(machine)
    machine.programs = saying_by_line(machine.record.said)
    return replace(FakeHost.of(machine, plan), files=OperatorsFiles(machine, plan))
