# SPDX-License-Identifier: Apache-2.0
"""Recorded machines: they answer what they answered, refuse all else, and are read without trust."""

from __future__ import annotations

import random
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.diagnose.capture import capture
from agent.errors import AgentError, DecodeError, DeviceError, HostError, InputError, RecordedMachine
from agent.host import device_doors
from agent.host.doors import Host
from agent.host.fake import FakeHost, Machine, Tree, Unreadable
from agent.host.fake.machine import FILES, Record
from agent.host.fake.recorded import LOOKS, opened, packed, recorded
from agent.host.fake.tree import LARGEST_FILE_BYTES, parse, render
from agent.host.notes import DRIVES
from agent.inventory import take
from agent.inventory.hardware import take_in_full
from agent.model.network import Bandwidth
from agent.model.network.step import DeleteLink
from tests.inventory import equipped
from tests.machines import planted

KEY = b"of a test"
CHANGES: dict[str, Callable[[Host], object]] = {
    "a file": lambda host: host.files.write("/run/x", b"x"),
    "a file's end": lambda host: host.files.append("/run/x", b"x"),
    "a file of the kernel's": lambda host: host.files.tell("/sys/block/sda/ro", "0"),
    "a file that goes": lambda host: host.files.remove("/proc/cpuinfo"),
    "a name": lambda host: host.files.rename("/proc/cpuinfo", "/x"),
    "a file in pieces": lambda host: host.files.save("-", [b"x"]),
    "a disk": lambda host: host.block.open_exclusive("/dev/sdb").__enter__(),
    "a disk's image": lambda host: host.block.open_file("/x").__enter__(),
    "a link": lambda host: host.netlink.change([DeleteLink(name="eno1")]),
    "rules": lambda host: host.nftables("flush ruleset"),
    "a limit": lambda host: host.traffic.limit("eno1", Bandwidth()),
    "the firmware": lambda host: host.efi.write("Boot0001", b""),
    "a boot entry": lambda host: host.efi.remove("Boot0003"),
    "the power": lambda host: host.power.reboot(),
    "a command": lambda host: host.run(["wipefs", "--all", "/dev/sda"]),
    "an eraser": lambda host: host.erasers.discard("/dev/sdb", 0, 512),
    "an upload": lambda host: host.fetch.send("http://images.example/x", []),
    "a question to nobody": lambda host: host.probe.neighbour("eno1", ip_address("10.0.0.1"), 1.0),
    "a partner": lambda host: host.peer.dialled("10.0.0.1", 1, 1, 1.0, Event()).__enter__(),
}


@pytest.fixture(scope="module")
def written() -> dict[str, bytes]:
    """The files of a recording."""
    return capture(planted.host(), "a test", KEY)[0].written()


@pytest.mark.parametrize("what", CHANGES)
def test_nothing_can_be_changed(what: str, written: dict[str, bytes]) -> None:
    """Whatever the door, it says that this is a recording, and the machine is as it was."""
    machine = Machine.read(written, "a test")
    with pytest.raises(RecordedMachine) as caught:
        CHANGES[what](recorded(machine))

    assert caught.value.code == "HOST.RECORDED" and "--plan" in caught.value.hint
    assert machine.written() == written and machine.power_orders == [] and machine.commands == []


def test_looks_are_of_doors_that_there_are() -> None:
    """The table of looks names methods of the fake doors; and every question to a device is in it, and has a name."""
    host: Any = equipped.host()
    drives = {name for name in vars(device_doors.Drives) if not name.startswith("_")}

    for noun, methods in LOOKS.items():
        door = getattr(host, noun)
        assert all(hasattr(door, name) or hasattr(door, f"_{name}") for name in methods - {"read", "read_into"}), noun
    assert drives == LOOKS["drives"] == set(DRIVES)


def test_failures_come_again() -> None:
    """A door call that failed when it was recorded fails with the same words; the others answer."""
    failures = {"drives.nvme_log(/dev/nvme0n1, 2, 512)": "Input/output error"}
    built = equipped.machine()
    built.record = built.record.model_copy(update={"failures": failures})
    host = recorded(built)

    with pytest.raises(DeviceError, match="Input/output error"):
        host.drives.nvme_log("/dev/nvme0n1", 2, 512)
    assert host.drives.nvme_log("/dev/nvme1n1", 2, 512)


def test_no_answer_is_one_only_where_it_was_asked() -> None:
    """A disk that did not know a question does not know it; of one that it was never asked nobody can tell."""
    record = Record(origin="a test", is_partial=True, declined=("drives.scsi_log(/dev/sda, 13)",))
    host = recorded(Machine.of(Tree(), record))

    assert host.drives.scsi_log("/dev/sda", 13) is None
    with pytest.raises(DeviceError, match="not recorded"):
        host.drives.scsi_log("/dev/sda", 47)


def test_a_large_file_is_the_machines_if_it_has_it(tmp_path: Path, written: dict[str, bytes]) -> None:
    """What this machine has under that name is not mixed into it; an image is read from where the operator is."""
    (tmp_path / "image").write_bytes(b"an image")
    host, name = recorded(Machine.read(written, "a test")), "/proc/sys/kernel/hostname"
    read = {}
    for path in (name, str(tmp_path / "image")):
        buffer = bytearray(64)
        with host.files.open_large(path) as file:
            read[path] = bytes(buffer[: file.read_into(0, memoryview(buffer))])

    assert read[name] == host.files.read_bytes(name) != Path(name).read_bytes()
    assert read[str(tmp_path / "image")] == b"an image"


def test_what_was_not_read_of_a_disk_is_not_zero() -> None:
    """Bytes of a recording are those that were read, and an error for all others; a piece that failed fails again."""
    pieces: dict[int, bytes | Unreadable] = {
        0: bytes(512) + b"x" * 512,
        1024: b"y" * 512,
        8192: Unreadable("Input/output error"),
    }
    machine = Machine.of(Tree.of({"/sys/block/sda/size": "2048\n"}), Record(origin="a test", is_partial=True))
    machine.pieces["/dev/sda"] = pieces
    copy = Machine.read(machine.written(), "a test")
    with recorded(copy).block.open_read("/dev/sda") as disk:
        assert disk.read(500, 600) == bytes(12) + b"x" * 512 + b"y" * 76
        for offset, length, why in (
            (1024, 513, "not recorded"),
            (4096, 512, "not recorded"),
            (8192, 1, "Input/output"),
        ):
            with pytest.raises(DeviceError, match=why):
                disk.read(offset, length)


def test_a_recording_is_one_text_again(tmp_path: Path, written: dict[str, bytes]) -> None:
    """Read and written, or packed and unpacked, it is the same byte for byte."""
    machine = Machine.read(written, "a test")
    (tmp_path / "packed.tar.zst").write_bytes(packed(machine))
    host = opened(str(tmp_path / "packed.tar.zst"))

    assert machine.written() == written
    assert take_in_full(host) == take_in_full(recorded(machine))


@pytest.mark.parametrize("name", FILES)
def test_a_truncated_recording_is_told(name: str, written: dict[str, bytes], tmp_path: Path) -> None:
    """Wherever a file ends, the recording is read, or is an error that says which file is wrong; nothing else."""
    content = written[name]
    for at in range(0, len(content), max(1, len(content) // 97)):
        try:
            Machine.read(written | {name: content[:at]}, "a test")
        except DecodeError as error:
            assert "a test" in str(error) or "recorded" in str(error)
    (tmp_path / "tree.txt").write_bytes(written["tree.txt"])

    with pytest.raises(InputError, match=r"machine\.json|No such file") as caught:
        opened(str(tmp_path))
    assert "diagnose capture" in caught.value.hint


def test_a_packed_recording_is_read_without_trust(tmp_path: Path, written: dict[str, bytes]) -> None:
    """Cut off anywhere, or no archive at all, it is an error; a bomb is left packed; no name leads anywhere."""
    whole = packed(Machine.read(written, "a test"))
    path = tmp_path / "packed.tar.zst"
    for content in (b"", b"no archive", whole[: len(whole) // 2], whole[:-3], bytes(4096)):
        path.write_bytes(content)
        with pytest.raises(InputError):
            opened(str(path))
    with pytest.raises(InputError, match="No such file"):
        opened(str(tmp_path / "nothing"))


@given(st.integers(0, 2**32))
def test_a_hostile_recording_is_an_error_or_a_machine(seed: int) -> None:
    """Bytes changed at random give a machine whose inventory can be taken, or a `DecodeError`: nothing else."""
    chance = random.Random(seed)
    files = {name: bytearray(content) for name, content in SMALL.items()}
    for _ in range(chance.randint(1, 6)):
        content = files[chance.choice(FILES)]
        at = chance.randrange(len(content))
        content[at : at + chance.randint(0, 3)] = chance.choice((b"", b"\0", b"/", b"\n", b" -> /", b"9" * 30, b"\xff"))
    try:
        machine = Machine.read({name: bytes(content) for name, content in files.items()}, "a test")
    except DecodeError:
        return
    for look in LOOKED_AT:
        try:
            look(recorded(machine))
        except AgentError as error:
            assert isinstance(error, HostError)


def first_sector(host: Host) -> bytes:
    """Of its disk."""
    with host.block.open_read("/dev/sda") as disk:
        return disk.read(0, 512)


LOOKED_AT: tuple[Callable[[Host], object], ...] = (take, first_sector, lambda host: host.netlink.tables())
SMALL = capture(FakeHost.of(planted.small()), "a test", KEY)[0].written()


@pytest.mark.parametrize(
    "text",
    [
        f"/x 0x\n\t0*{LARGEST_FILE_BYTES + 1}",
        "/x 0x\n\t0*-1",
        "/x 0x\n" + f"\t0*{LARGEST_FILE_BYTES // 2}\n" * 9,
        "/x 0x\n\tzz",
        "/x " + "[" * 100_000,
        '/x {"a": 1}',
        "/x ?? y",
        "x = y",
    ],
    ids=range(8),
)
def test_a_tree_that_is_none(text: str) -> None:
    """Bombs of zeroes, towers of brackets, and what is no entry: a `DecodeError`, before it takes memory."""
    with pytest.raises(DecodeError, match="line 1"):
        parse(text)


@given(st.lists(st.tuples(st.integers(1, 200), st.booleans()), max_size=6))
def test_bytes_come_back(runs: list[tuple[int, bool]]) -> None:
    """Whatever runs of zeroes and others a file has, the text gives it back; long zeroes are one line."""
    content = b"\xff" + b"".join((b"\0" if zero else b"\xab") * length for length, zero in runs)
    text = render(Tree.of({"/x": content + bytes(4096)}))

    assert parse(text).entries["/x"] == content + bytes(4096)
    assert len(text) < 3 * len(content) + 100
