# SPDX-License-Identifier: Apache-2.0
"""What crashed kernels left goes, or the step fails."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from agent.apply.pstore import CRASH_GUID, MOUNTED, PLACE, erase_pstore
from agent.errors import DeviceError, HostError
from agent.host.fake import FakeHost, Machine
from agent.host.fake.programs import Output
from agent.host.fake.tree import Tree
from tests.apply.disks import MIB, machine

MOUNT = f"pstore {PLACE} pstore rw,nosuid 0 0\n"
RECORDS = {f"{PLACE}/dmesg-efi-1": b"panic", f"{PLACE}/dmesg-efi-2": b"panic"}


def having(records: dict[str, bytes], mounts: str = MOUNT) -> Machine:
    """A machine with these records."""
    made = machine(MIB)
    made.tree.put(MOUNTED, mounts.encode())
    for path, content in records.items():
        made.tree.put(path, content)
    return made


def test_records_go() -> None:
    """All of them, and they are counted."""
    made = having(RECORDS)

    assert erase_pstore(FakeHost.of(made)) == {"pstore records erased": 2}
    assert not made.tree.directories[PLACE]


def test_nothing_there() -> None:
    """No record, and no such memory, are no failures; the second is told as what it is."""
    empty = having({})
    empty.tree.make_directory(PLACE)

    assert erase_pstore(FakeHost.of(empty)) == {"pstore records erased": 0}
    assert "keeps nothing" in str(erase_pstore(FakeHost.of(having({}, mounts="")))["pstore"])


def test_what_the_kernel_does_not_show() -> None:
    """Without a driver for UEFI's variables, or behind another backend, the directory is empty and the crash is there
    all the same: it goes; no other variable does.
    """
    folder = "/sys/firmware/efi/efivars"
    crash = f"{folder}/dump-type0-1-1-1700000000-C-{CRASH_GUID}"
    kept = f"{folder}/BootOrder-8be4df61-93ca-11d2-aa0d-00e098032b8c"
    made = having({crash: b"panic", kept: b"order"})
    made.tree.make_directory(PLACE)
    assert erase_pstore(FakeHost.of(made)) == {"crash variables erased": 1, "pstore records erased": 0}
    assert crash not in made.tree.entries and kept in made.tree.entries

    without = having({crash: b"panic"}, mounts="")
    assert erase_pstore(FakeHost.of(without)) == {"crash variables erased": 1}


def test_it_is_mounted_where_it_belongs() -> None:
    """A ramdisk that has not mounted it yet would find an empty directory, and call that erased."""
    made = having({}, mounts="proc /proc proc rw 0 0\n")
    made.tree.make_directory(PLACE)

    def mount(machine: Machine, argv: object, stdin: str | None) -> Output:
        for path, content in RECORDS.items():
            machine.tree.put(path, content)
        return Output()

    made.programs["mount"] = mount
    assert erase_pstore(FakeHost.of(made)) == {"pstore records erased": 2}


@dataclass
class Firmware:
    """Gives a record at a time: the next one appears once the first is gone, for so many; then none, or for ever."""

    left: int
    machine: Machine = field(default_factory=lambda: having({f"{PLACE}/dmesg-erst-1": b"panic"}))

    def __post_init__(self) -> None:
        drop = self.machine.tree.drop

        def dropping(path: str) -> None:
            drop(path)
            if path.startswith(PLACE) and self.left:
                self.left -= 1
                self.machine.tree.put(f"{PLACE}/dmesg-erst-{self.left + 2}", b"panic")

        vars(self.machine.tree)["drop"] = dropping


def test_records_that_follow() -> None:
    """ERST hands out one after the other."""
    assert erase_pstore(FakeHost.of(Firmware(3).machine)) == {"pstore records erased": 4}


def test_records_that_stay() -> None:
    """They are named, and it is no success: the next tenant's kernel would show them."""
    with pytest.raises(DeviceError, match="still holds dmesg-erst-"):
        erase_pstore(FakeHost.of(Firmware(10_000).machine))


def test_a_record_that_is_refused() -> None:
    """The firmware says no each time: the error keeps its reason."""
    made = having(RECORDS)

    made.tree = Refusing.of_tree(made.tree)
    with pytest.raises(DeviceError, match="dmesg-efi-1, dmesg-efi-2") as caught:
        erase_pstore(FakeHost.of(made))

    assert "Invalid argument" in str(caught.value.__cause__)


class Refusing(Tree):
    """A tree in which nothing can be removed."""

    @classmethod
    def of_tree(cls, tree: Tree) -> Refusing:
        """With the same content."""
        made = cls()
        made.entries, made.directories = tree.entries, tree.directories
        return made

    def drop(self, path: str) -> None:
        """EINVAL, as some firmware says."""
        raise HostError(f"removing {path}", "Invalid argument")
