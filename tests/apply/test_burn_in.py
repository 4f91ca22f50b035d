# SPDX-License-Identifier: Apache-2.0
"""Hardware under load: what is wrong is found and named, what was not tested does not pass, no loop is done twice."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Thread

import pytest

from agent.apply.burn_in import burn_in
from agent.apply.burn_in.course import MOST_BEGINNINGS, Course
from agent.apply.burn_in.cpu import KNOWN, burn_cpu, material, one_round
from agent.apply.burn_in.memory import Tally, exercise
from agent.errors import BurnInFailed, Recalled
from agent.host.clock import RealClock
from agent.host.doors import Host
from agent.host.fake import Died, Effect, FakeDisk, FakeHost, FaultPlan, Machine
from agent.host.fake.programs import Output
from agent.host.memory import aligned
from agent.host.peer import RealPeer
from agent.model.burn_in import BurnIn, CpuLoad, DiskLoad, GpuLoad, Load, MemoryLoad, NetworkLoad
from agent.model.disk import DiskIdentity
from agent.model.job import Result
from agent.operations import Operations
from tests.apply.disks import MIB, disk_of, machine
from tests.apply.real import host
from tests.loops import loop

SIZE = 12 * MIB + 512
RECORD = "/var/lib/bms-agent/spool/r.burn-in"
MEMINFO = "MemTotal: 400000 kB\nMemAvailable: 160000 kB\n"
EDAC = "/sys/devices/system/edac/mc/mc0"


def made(disks: int = 1) -> Machine:
    """A machine with disks and some memory."""
    has = machine(*[SIZE] * disks)
    has.tree.put("/proc/meminfo", MEMINFO.encode())
    return has


def identity(number: int = 0) -> DiskIdentity:
    """Of a disk."""
    path = f"/dev/sd{'abc'[number]}"
    return DiskIdentity(path=path, wwn=None, serial=f"S{number}", size_bytes=SIZE, logical_sector_bytes=512)


def timed(fake: Host) -> Host:
    """On which a second takes a second: threads are at work meanwhile."""
    return replace(fake, clock=RealClock())


def burnt(
    has: Machine, *loads: Load, disks: int = 0, output: str | None = None, faults: FaultPlan | None = None
) -> Result:
    """What came of them."""
    step = BurnIn(loads=loads, disks=tuple(map(identity, range(disks))), record_path=RECORD, output=output)
    return burn_in(timed(FakeHost.of(has, faults)), step, lambda *_: None)


def test_a_round_has_a_known_result() -> None:
    """Else every processor would be found faulty, or none."""
    assert one_round(material()) == KNOWN


def test_processors() -> None:
    """Rounds on each, and nothing is left of the record."""
    has = made()
    result = burnt(has, CpuLoad(seconds=2, workers=2))

    assert (result["cpu"], result["cpu threads"]) == ("passed", 2)
    assert int(result["cpu rounds"]) >= 2 and int(result["cpu seconds"]) >= 2
    assert RECORD not in has.tree.entries


def test_a_processor_that_is_wrong() -> None:
    """It is named, by its number, and others are not."""
    has = made()
    fake = FakeHost.of(has)
    course = Course(fake, RECORD, lambda *_: None)
    course.begin()
    turns = iter(["wrong"])
    with pytest.raises(BurnInFailed, match=r"1 of [0-9]+ rounds gave a wrong result, on [0-9]$"):
        burn_cpu(fake, CpuLoad(seconds=2, workers=2), course, lambda: next(turns, KNOWN))


def test_memory() -> None:
    """As much as was asked for is compared, whole passes of it; never all that there is."""
    result = burnt(made(), MemoryLoad(seconds=1, workers=2, percent=None, size_bytes=8 * MIB))

    assert result["memory"] == "passed" and int(result["memory MiB"]) == 8 and int(result["memory passes"]) >= 1
    all_of_it = burnt(made(), MemoryLoad(seconds=1, workers=1, percent=100))
    assert int(all_of_it["memory MiB"]) == (160000 * 1024 - 128 * MIB) // MIB


def test_memory_that_forgets() -> None:
    """The first byte that reads as another is named."""
    memory = aligned(4 * MIB)

    class Spoiling:
        """An event that spoils a byte once all is written, and ends it later."""

        calls = 0

        def is_set(self) -> bool:
            """Asked before each block is written, and after each pass."""
            self.calls += 1
            if self.calls == 4:
                memory[5000] = memory[5000] ^ 1
            return False

    with pytest.raises(BurnInFailed, match=r"byte 5000 of a region.* reads"):
        exercise(memory, 0, Tally(), Spoiling())  # type: ignore[arg-type]


def test_too_little_memory() -> None:
    """It is said, and is no success."""
    has = made()
    has.tree.put("/proc/meminfo", b"MemAvailable: 1000 kB\n")
    with pytest.raises(BurnInFailed, match="only 0 MiB are available"):
        burnt(has, MemoryLoad(seconds=1))


@dataclass
class Weak(FakeDisk):
    """A byte of what is read is wrong."""

    at: int = 9 * MIB

    def read(self, offset: int, length: int) -> bytes:
        """As it was written, but for that."""
        found = bytearray(super().read(offset, length))
        if offset <= self.at < offset + length:
            found[self.at - offset] ^= 0x10
        return bytes(found)


def test_disks() -> None:
    """Each in whole loops, to the last sector; nothing boots from what is left."""
    has = made(2)
    result = burnt(has, DiskLoad(loops=2), disks=2)

    assert result["disk"] == "passed" and str(result["disk S0"]).startswith("2 loops, 0.03 GB")
    for path in ("/dev/sda", "/dev/sdb"):
        assert any(disk_of(has, path).durable.read(SIZE - 512, 512))
        assert disk_of(has, path).durable.read(510, 2) == bytes(2)


def test_a_disk_that_is_wrong_hides_nothing_of_the_others() -> None:
    """The error has its byte, and what came of the good one."""
    has = made(2)
    has.disks["/dev/sda"] = Weak(SIZE)
    with pytest.raises(BurnInFailed, match=rf"byte {9 * MIB} is not what was written.*S1 1 loops"):
        burnt(has, DiskLoad(loops=1), disks=2)


def test_another_disk_under_that_name() -> None:
    """One of another size is not written to."""
    has = made()
    has.disks["/dev/sda"] = FakeDisk(SIZE * 2)
    with pytest.raises(BurnInFailed, match="now it has"):
        burnt(has, DiskLoad(loops=1), disks=1)
    assert disk_of(has).durable.blank


def test_disks_are_looked_at_again_before_they_are_written() -> None:
    """Another load may have taken a day: what is another disk by now fails, and stays as it is."""
    has = made()
    before = identity().model_copy(update={"serial": "before"})
    step = BurnIn(loads=(DiskLoad(loops=1),), disks=(before,), record_path=RECORD)
    with pytest.raises(BurnInFailed, match=r"looking at /dev/sda \(serial before.* again: now it is"):
        Operations(timed(FakeHost.of(has)), None, "/spool").do(step, lambda *_: None)

    assert disk_of(has).content.blank


@pytest.mark.root
def test_a_real_disk(tmp_path: Path) -> None:
    """Through the real doors, past the page cache, for a time; sizes that are no multiple of a block."""
    with loop(tmp_path, 24 * MIB + 4096) as node:
        disk = identity().model_copy(update={"path": node, "size_bytes": 24 * MIB + 4096})
        step = BurnIn(loads=(DiskLoad(seconds=1),), disks=(disk,), record_path=str(tmp_path / "record"))
        result = burn_in(host(), step, lambda *_: None)

        assert result["disk"] == "passed" and "GB compared" in str(result["disk S0"])
        assert any((tmp_path / "disk").read_bytes()[-4096:])
        assert not (tmp_path / "record").exists()


def test_nothing_tested_is_no_success() -> None:
    """A machine whose disks are all to be skipped has not been burnt in."""
    with pytest.raises(BurnInFailed, match="disk skipped"):
        burnt(made(), DiskLoad())


def test_all_findings_are_told() -> None:
    """One part that fails keeps no other from being tested; the file has a line for each."""
    has = made()
    with pytest.raises(BurnInFailed, match=r"gpu failed .*gpu_burn.*memory passed"):
        burnt(has, GpuLoad(), MemoryLoad(seconds=1, workers=1, percent=None, size_bytes=MIB), output="/tmp/findings")

    content = has.tree.entries["/tmp/findings"]
    assert isinstance(content, bytes)
    assert [json.loads(line)["state"] for line in content.splitlines()] == ["failed", "passed"]


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("GPU 0: OK\n\tGPU 1: OK", None),
        ("GPU 0: OK\n\tGPU 1: FAULTY", "GPU 1 is FAULTY"),
        ("GPU 0: OK", "it judged 1 of 2 GPUs"),
        ("errors: 0 - 0  (DIED!)\n\tGPU 0: OK\n\tGPU 1: OK", "a GPU stopped"),
    ],
)
def test_gpus_by_what_is_said_of_them(said: str, told: str | None) -> None:
    """gpu-burn ends well whatever it has found."""
    has = made()
    has.tree.put("/opt/gpu-burn/gpu_burn", b"")
    words = {"-l": "ID 0: A\nID 1: A\n", "60": f"Tested 2 GPUs:\n\t{said}\n"}
    has.programs["env"] = lambda _, argv, __: Output(stdout=words[argv[-1]])
    if told is None:
        assert burnt(has, GpuLoad(seconds=60))["gpu"] == "passed"
    else:
        with pytest.raises(BurnInFailed, match=told):
            burnt(has, GpuLoad(seconds=60))


@pytest.mark.parametrize(("counter", "state"), [("ce_count", "degraded"), ("ue_count", None)])
def test_what_the_hardware_counts(counter: str, state: str | None) -> None:
    """Corrected memory errors degrade what passed by itself, others fail it."""
    has = made()
    has.tree.put(f"{EDAC}/{counter}", b"3\n")
    load = MemoryLoad(seconds=1, workers=1, percent=None, size_bytes=MIB)
    watching = Counting(lambda: has.tree.put(f"{EDAC}/{counter}", b"5\n"))
    step = BurnIn(loads=(load,), record_path=RECORD)
    if state is None:
        with pytest.raises(BurnInFailed, match="2 uncorrected memory errors"):
            burn_in(timed(FakeHost.of(has)), step, watching)
    else:
        assert burn_in(timed(FakeHost.of(has)), step, watching)["memory"] == "degraded (2 corrected memory errors)"


@dataclass
class Counting:
    """Does something when progress is told."""

    act: Callable[[], None]

    def __call__(self, done: int, total: int | None, limited_by: str | None = None, /) -> None:
        """The progress."""
        self.act()


def test_called_off() -> None:
    """It ends at once, and that is no finding."""

    def advance(*_: object) -> None:
        raise Recalled("burning in", "called off")

    step = BurnIn(loads=(MemoryLoad(seconds=86400, workers=2, percent=None, size_bytes=4 * MIB),), record_path=RECORD)
    with pytest.raises(Recalled):
        burn_in(FakeHost.of(made()), step, advance)


def test_going_on() -> None:
    """A process that follows does what is left, tests nothing twice, and says that it was interrupted."""
    has = made()
    first = FakeHost.of(has)
    course = Course(first, RECORD, lambda *_: None)
    course.begin()
    course.mark("/dev/sda", 3)
    result = burnt(has, DiskLoad(loops=4), disks=1)

    assert result["interrupted"] == 1 and str(result["disk S0"]).startswith("4 loops, 0.01 GB")


def test_what_kills_its_agent_ends() -> None:
    """A machine that dies under load again and again is not loaded for ever."""
    has = made()
    for _ in range(MOST_BEGINNINGS):
        Course(FakeHost.of(has), RECORD, lambda *_: None).begin()
    with pytest.raises(BurnInFailed, match="ended 4 times"):
        burnt(has, CpuLoad(seconds=1))


@pytest.mark.parametrize("at", range(1, 12, 2))
def test_any_death(at: int) -> None:
    """Whenever it dies, the next process comes to an end, with all loops done."""
    has = made()
    try:
        burnt(has, DiskLoad(loops=2), disks=1, faults=FaultPlan(at=at, effect=Effect.DIE_AFTER))
    except Died:
        assert burnt(has, DiskLoad(loops=2), disks=1)["disk"] == "passed"


def free_port() -> int:
    """Of which nobody makes use at this moment."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def paired() -> dict[str, Result | BurnInFailed]:
    """Two machines under load with each other's data."""
    port = free_port()
    found: dict[str, Result | BurnInFailed] = {}

    def side(role: str) -> None:
        load = NetworkLoad.model_validate(
            {"role": role, "partner": "127.0.0.1", "seconds": 1, "port": port, "streams": 2, "patience_s": 20}
        )
        step = BurnIn(loads=(load,), record_path=f"{RECORD}-{role}")
        one = replace(timed(FakeHost.of(made())), peer=RealPeer())
        try:
            found[role] = burn_in(one, step, lambda *_: None)
        except BurnInFailed as error:
            found[role] = error

    threads = [Thread(target=side, args=(role,)) for role in ("writer", "reader")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    return found


def test_two_machines() -> None:
    """Data goes both ways over real connections, and each side has its figures."""
    found = paired()

    for role in ("writer", "reader"):
        result = found[role]
        assert isinstance(result, dict) and result["network"] == "passed", result
        assert int(result["network Mbit/s sent"]) > 0 and int(result["network Mbit/s received"]) > 0


def test_a_partner_that_does_not_come() -> None:
    """It is waited for, and then it is a failure that names it."""
    load = NetworkLoad(role="reader", partner="192.0.2.1", patience_s=5)
    step = BurnIn(loads=(load,), record_path=RECORD)
    with pytest.raises(BurnInFailed, match=r"192\.0\.2\.1"):
        burn_in(FakeHost.of(made()), step, lambda *_: None)


def test_waiting_is_called_off() -> None:
    """Nobody waits an hour for a partner that nobody wants any more."""
    calls: list[object] = []

    def advance(*_: object) -> None:
        calls.append(_)
        if len(calls) > 1:
            raise Recalled("burning in", "called off")

    load = NetworkLoad(role="writer", partner="192.0.2.1", patience_s=3600, port=free_port())
    one = replace(timed(FakeHost.of(made())), peer=RealPeer())
    began_s = one.clock.monotonic_s()
    with pytest.raises(Recalled):
        burn_in(one, BurnIn(loads=(load,), record_path=RECORD), advance)
    assert one.clock.monotonic_s() - began_s < 30
