# SPDX-License-Identifier: Apache-2.0
"""The fake machine: faults, death, power cuts, and the promises of the doors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path
from threading import Event

import pytest
from pydantic import SecretStr

from agent.errors import (
    AccessDenied,
    CommandFailed,
    DeviceError,
    DiskInUse,
    DiskReadOnly,
    HostError,
    ImageTruncated,
    ImageUnavailable,
    LinkError,
    ToolMissing,
)
from agent.host.fake import (
    Counts,
    Died,
    Effect,
    FakeHost,
    FaultPlan,
    Machine,
    Output,
    Page,
    Record,
    Tree,
    failing,
    saying,
)
from agent.model.image import OPEN, Access
from agent.model.network import DEFAULT_V4, Route
from agent.model.network.step import AddAddress, RemoveAddress, SetLink, SetRoute
from tests.bodies import pieces, whole
from tests.hardware import link

URL = "http://images.example/disk.raw"
LINK = link()
UP = SetLink(name="eno1", up=True)
ADDRESS = IPv4Interface("192.0.2.10/24")
GATEWAY = IPv4Address("192.0.2.1")
A, B, C, ZERO = (letter * 512 for letter in (b"a", b"b", b"c", b"\0"))
DISK = {"/sys/block/vda/size": "2048\n", "/sys/block/vda/queue/logical_block_size": "512\n", "/sys/block/vda/ro": "0"}


def a_machine(**counts: tuple[tuple[str, str], ...] | tuple[str, ...]) -> Machine:
    """A disk of 1 MiB, a link, a page."""
    record = Record(origin="synthetic: for a test", links=(LINK,), counts=Counts.model_validate(counts))
    machine = Machine.of(Tree.of(DISK | {"/etc/name": "one"}), record)
    machine.web[URL] = Page(b"0123456789")
    return machine


def work(host: FakeHost) -> None:
    """Some of every door."""
    host.files.append("/log", b"x")
    with host.block.open_exclusive("/dev/vda") as disk:
        disk.write(0, A)
        disk.flush()
    with host.fetch(URL) as body:
        assert whole(body, 4) == b"0123456789"
    host.run(["udevadm", "settle"])
    host.netlink.change((UP,))
    host.power.reboot()


def test_calls_are_counted() -> None:
    """Every door call is counted and named, down to each fill from a body."""
    host = FakeHost.of(a_machine())
    work(host)

    assert host.faults.calls == [
        "files.append(/log)",
        "block.opened_exclusively(/dev/vda)",
        "block.write(0)",
        "block.flush()",
        f"fetch.get({URL}, 0)",
        f"fetch.fill({URL}, 0)",
        f"fetch.fill({URL}, 4)",
        f"fetch.fill({URL}, 8)",
        "run.command(udevadm settle)",
        "netlink.one()",
        "power.reboot()",
    ]


@pytest.mark.parametrize(
    ("at", "error"),
    [(1, HostError), (3, DeviceError), (5, LinkError), (6, LinkError), (9, CommandFailed), (11, HostError)],
)
def test_call_fails_with_its_doors_error(at: int, error: type[Exception]) -> None:
    """The planned call fails with the error of its door, and the calls before it have been done."""
    host = FakeHost.of(a_machine(), FaultPlan(at=at))
    with pytest.raises(error, match=f"failure planned for call {at}"):
        work(host)

    assert len(host.faults.calls) == at
    assert (host.machine.tree.entries.get("/log") == b"x") is (at > 1)


@pytest.mark.parametrize(("effect", "done"), [(Effect.DIE_BEFORE, False), (Effect.DIE_AFTER, True)])
def test_death(effect: Effect, done: bool) -> None:
    """Death comes before or after the deed; it is no Exception, and whoever is dead does nothing more."""
    host = FakeHost.of(a_machine(), FaultPlan(at=1, effect=effect))
    with pytest.raises(Died):
        host.files.append("/log", b"x")
    with pytest.raises(Died):
        host.files.append("/other", b"x")

    assert ("/log" in host.machine.tree.entries) is done
    assert "/other" not in host.machine.tree.entries
    assert not issubclass(Died, Exception)


def test_next_process() -> None:
    """The next process finds the machine as it was left, with the disk free again and the faults its own."""
    dead = FakeHost.of(a_machine(), FaultPlan(at=3, effect=Effect.DIE_BEFORE))
    with pytest.raises(Died):
        work(dead)
    host = dead.restarted()

    work(host)
    assert host.files.read_bytes("/log") == b"xx"


def test_power_cut_loses_what_was_not_flushed() -> None:
    """After a power cut a disk has what was flushed, and of the rest any part that the test chooses."""
    for survivors, expected in (((), A + ZERO + ZERO), ((1,), A + ZERO + C), ((0, 1), A + B + C)):
        host = FakeHost.of(a_machine())
        with host.block.open_exclusive("/dev/vda") as disk:
            disk.write(0, A)
            disk.flush()
            disk.write(512, B)
            disk.write(1024, C)
        host.machine.cut_power(survives=survivors.__contains__)
        with host.block.open_read("/dev/vda") as disk:
            assert disk.read(0, 1536) == expected


def test_power_cut_empties_a_ramdisk() -> None:
    """A ramdisk forgets its files and its network; an installed system forgets /run and its network."""
    for keep, left in ((False, b"one"), (True, b"two")):
        host = FakeHost.of(a_machine())
        host.files.write("/etc/name", b"two")
        host.files.write("/run/state", b"x")
        host.netlink.change((UP,))
        host.machine.cut_power(keep_files=keep)

        assert host.files.read_bytes("/etc/name") == left
        assert not host.files.exists("/run/state")
        assert host.netlink.tables().links == (LINK,)


def test_disk() -> None:
    """A disk has the size and the sectors that sysfs tells, reads zeroes where nothing was written, and has an end."""
    host = FakeHost.of(a_machine())
    with host.block.open_exclusive("/dev/vda") as disk:
        assert (disk.size_bytes, disk.logical_sector_bytes) == (2**20, 512)
        disk.write(65536 - 512, A + B)
        assert disk.read(65536 - 513, 1026) == b"\0" + A + B + b"\0"
        disk.zero(65536, 512)
        assert disk.read(65536 - 1, 1024) == b"a" + ZERO + ZERO[1:]
        with pytest.raises(DeviceError, match="past the end"):
            disk.write(2**20 - 512, A + B)
        with pytest.raises(DeviceError, match="no whole sectors"):
            disk.write(0, b"a")
        disk.reread_table()
    assert host.machine.disks["/dev/vda"].table_rereads == 1
    with pytest.raises(DeviceError, match="No such file"), host.block.open_read("/dev/vdb"):
        pass
    with host.block.open_read("/dev/vda") as disk, pytest.raises(DeviceError, match="reading only"):
        disk.write(0, A)


@pytest.mark.parametrize(
    ("machine", "why"),
    [
        (lambda: a_machine(mounts=(("/dev/vda", "/"),)), "mounted on /"),
        (lambda: a_machine(swaps=("/dev/vda",)), "/dev/vda is swapped to"),
    ],
)
def test_disk_in_use(machine: Callable[[], Machine], why: str) -> None:
    """A disk that is mounted or swapped to cannot be opened for writing."""
    with pytest.raises(DiskInUse, match=why), FakeHost.of(machine()).block.open_exclusive("/dev/vda"):
        pass


def test_disk_is_opened_once() -> None:
    """Nobody else gets in while a disk is open for writing; a read-only disk is never opened so."""
    host = FakeHost.of(a_machine())
    with host.block.open_exclusive("/dev/vda"), pytest.raises(DiskInUse), host.block.open_exclusive("/dev/vda"):
        pass
    host.machine.disks["/dev/vda"].read_only = True
    with pytest.raises(DiskReadOnly), host.block.open_exclusive("/dev/vda"):
        pass


def test_network_changes_as_it_is_set() -> None:
    """Links, addresses and the route are told back as set; twice is no error; a route needs its network."""
    host = FakeHost.of(a_machine())
    route = Route(destination=DEFAULT_V4, link="eno1", gateway=GATEWAY)
    steps = (
        SetLink(name="eno1", up=True, mtu=9000),
        AddAddress(name="eno1", address=ADDRESS),
        SetRoute(route=route),
    )
    host.netlink.change((UP,))
    with pytest.raises(HostError, match="Network is unreachable"):
        host.netlink.change((SetRoute(route=route),))
    for _ in range(2):
        host.netlink.change(steps)
    tables = host.netlink.tables()
    assert [(one.up, one.mtu, one.addresses) for one in tables.links] == [(True, 9000, (ADDRESS,))]
    assert tables.routes == (route,)

    for _ in range(2):
        host.netlink.change((RemoveAddress(name="eno1", address=ADDRESS),))
    assert host.netlink.tables().links[0].addresses == () and host.netlink.tables().routes == ()
    with pytest.raises(HostError, match="no link of that name"):
        host.netlink.change((SetLink(name="eno7", up=True),))


def test_web_faults() -> None:
    """A refusal and a break are over when tried again; a body that ends early is told from a whole one."""
    host = FakeHost.of(a_machine())
    page = host.machine.web[URL] = Page(b"0123456789", refusals=1, breaks_at=[6])
    got = b""
    with pytest.raises(LinkError, match="connection refused"), host.fetch(URL):
        pass
    with pytest.raises(LinkError, match="reset after byte 6"), host.fetch(URL) as body:
        for piece in pieces(body, 4):
            got += piece
    assert (got, body.done_bytes) == (b"0123", 6)
    with host.fetch(URL, offset_bytes=4) as body:
        assert body.length_bytes == 6
        got += whole(body, 4)
    assert (got, page.opened_at) == (b"0123456789", [0, 4])

    page.ends_at = 3
    with pytest.raises(ImageTruncated, match="3 of 10 bytes"), host.fetch(URL) as body:
        whole(body, 4)
    with pytest.raises(ImageUnavailable, match="404"), host.fetch(URL + "x"):
        pass


def test_web_ranges() -> None:
    """Ranges, a file that became another one, a server that does no ranges, and one that gives wrong ones."""
    host = FakeHost.of(a_machine())
    page = host.machine.web[URL] = Page(b"0123456789", validator='"1"', wrong_ranges=1)
    with pytest.raises(LinkError, match="bytes 3-5/10"), host.fetch(URL, offset_bytes=2, length_bytes=4):
        pass
    with host.fetch(URL, offset_bytes=2, length_bytes=4, validator='"1"') as body:
        assert (body.offset_bytes, body.total_bytes, whole(body)) == (2, 10, b"2345")
    with host.fetch(URL, offset_bytes=8, length_bytes=4) as body:
        assert (body.length_bytes, whole(body)) == (2, b"89")
    with host.fetch(URL, offset_bytes=2, validator='"0"') as body:
        assert (body.offset_bytes, body.validator) == (0, '"1"')
    with pytest.raises(ImageTruncated, match="only 10 bytes"), host.fetch(URL, offset_bytes=10):
        pass
    page.does_ranges = False
    with host.fetch(URL, offset_bytes=2) as body:
        assert (body.offset_bytes, whole(body)) == (0, b"0123456789")


def test_web_access() -> None:
    """A page with access lets in who has it, by the URL or beside it, and tells the others its challenge."""
    host = FakeHost.of(a_machine())
    mine = Access(username="u", password=SecretStr("p"))
    host.machine.web[URL] = Page(b"x", access=mine, challenge="Basic")
    with pytest.raises(AccessDenied) as caught, host.fetch(URL):
        pass
    assert caught.value.challenge == "Basic"
    for url, access in ((URL, mine), (URL.replace("//", "//u:p@"), OPEN)):
        with host.fetch(url, access=access) as body:
            assert whole(body) == b"x"


def test_web_send() -> None:
    """What was sent is there, whole or not at all."""
    host = FakeHost.of(a_machine())
    new = "http://images.example/new"
    host.fetch.send(new, [b"01", memoryview(b"23")])
    assert host.machine.web[new].body == b"0123"

    def broken() -> Iterator[bytes]:
        yield b"x"
        raise HostError("reading", "EIO")

    for url in (new, new + "er"):
        with pytest.raises(HostError):
            host.fetch.send(url, broken())
    assert host.machine.web[new].body == b"0123" and new + "er" not in host.machine.web


def test_programs() -> None:
    """Commands are functions: what they print and how they end is the test's choice, and every argv is kept."""
    host = FakeHost.of(a_machine())
    host.machine.programs |= {
        "hello": saying("hi"),
        "broken": failing(3, "why"),
        "echo": lambda machine, argv, stdin: Output(stdout=f"{argv[1]} {stdin}"),
    }
    assert host.run(["hello"]).stdout == "hi"
    assert host.run(["echo", "a"], stdin="b").stdout == "a b"
    with pytest.raises(CommandFailed, match="exit status 3; stderr: why"):
        host.run(["broken"])
    with pytest.raises(ToolMissing):
        host.run(["nothing"])
    assert host.machine.commands == [("hello",), ("echo", "a"), ("broken",), ("nothing",)]


def test_time_passes_at_once() -> None:
    """A wait is over at once, and the time has passed; a stop that is set takes no time."""
    host, stop = FakeHost.of(a_machine()), Event()
    before = host.clock.now()
    assert host.clock.wait(stop, 60.0) is False
    stop.set()
    assert host.clock.wait(stop, 60.0) is True

    assert (host.clock.now() - before).total_seconds() == 60.0
    assert host.clock.monotonic_s() == 160.0


def test_recording_and_loading(tmp_path: Path) -> None:
    """A machine that was saved is the same when loaded."""
    machine = a_machine(mounts=(("/dev/vda", "/"),))
    machine.save(tmp_path)
    loaded = Machine.load(tmp_path)

    assert loaded.tree.entries == machine.tree.entries
    assert loaded.record == machine.record
    assert loaded.links == machine.links
