# SPDX-License-Identifier: Apache-2.0
"""The fake doors that are small: udev, block, power, clock, counters.

Each keeps the promises of `agent.host.doors` over a `Machine`. Every call is counted and can fail or be the last.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from threading import Event
from weakref import finalize

from agent.errors import ChangeUnderWay, DeviceError, DiskInUse, DiskReadOnly
from agent.host.doors import BlockDevice
from agent.host.fake.disk import FakeDisk
from agent.host.fake.faults import Died, FakeDoor, FaultPlan, counted
from agent.host.fake.machine import Machine
from agent.host.fake.watch import FakeWatch

LARGEST_FILE_BYTES = 1 << 62
PATH_BYTES = 4096
WRITABLE, READABLE = "writable", "readable"


class FakeUdev(FakeDoor):
    """`doors.Udev` from the record."""

    noun = "udev"

    @counted
    def block_devices(self) -> Mapping[str, Mapping[str, str]]:
        """The properties as recorded."""
        return {name: dict(properties) for name, properties in self.machine.record.udev.items()}

    @counted
    def devices(self, subsystem: str) -> Mapping[str, Mapping[str, str]]:
        """As `machine.described` has them; blocks are in the record."""
        found = self.machine.record.udev if subsystem == "block" else self.machine.described.get(subsystem, {})
        return {name: dict(properties) for name, properties in found.items()}

    @counted
    def settle(self, timeout_s: float = 30.0) -> None:
        """There is nothing to wait for."""

    @contextmanager
    def watching(self) -> Iterator[FakeWatch]:
        """Of what `machine.hardware_changes` counts."""
        self._listen()
        yield FakeWatch(lambda: self.machine.hardware_changes)

    @counted
    def _listen(self) -> None:
        """Or not."""


class FakeBlock(FakeDoor):
    """`doors.Block` over the disks of the machine."""

    noun = "block"
    failure = DeviceError

    @contextmanager
    def open_exclusive(self, path: str) -> Iterator[BlockDevice]:
        """For writing; refused while anything is in the disk."""
        disk = self._opened_exclusively(path)
        try:
            yield FakeBlockDevice(self.machine, self.faults, path, disk, writable=True)
        finally:
            disk.opened_exclusively = False

    @contextmanager
    def open_read(self, path: str, *, exclusive: bool = False) -> Iterator[BlockDevice]:
        """For reading."""
        disk = self._opened(path)
        if exclusive and (users := self.machine.users(path)):
            raise DiskInUse(f"opening {path}", ", ".join(users))
        yield FakeBlockDevice(self.machine, self.faults, path, disk, writable=False)

    @counted
    def lend(self, device: BlockDevice) -> int:
        """A file in memory that says which disk that is, and whether it may be written to."""
        assert isinstance(device, FakeBlockDevice), "it was opened by this door"
        return device.descriptor()

    @contextmanager
    def borrow(self, descriptor: int, path: str) -> Iterator[BlockDevice]:
        """The disk that it is of, as long as it is lent."""
        try:
            disk, is_writable = self._borrowed(descriptor, path)
        finally:
            os.close(descriptor)
        disk.lent += is_writable
        try:
            yield FakeBlockDevice(self.machine, self.faults, path, disk, writable=is_writable)
        finally:
            disk.lent -= is_writable

    @counted
    def _borrowed(self, descriptor: int, path: str) -> tuple[FakeDisk, bool]:
        lent, _, how = os.pread(descriptor, PATH_BYTES, 0).decode().rpartition(" ")
        if lent != path:
            raise DeviceError(f"borrowing {path}", f"what was lent is {lent}")
        return self._disk(path), how == WRITABLE

    @contextmanager
    def open_file(self, path: str) -> Iterator[BlockDevice]:
        """A new file, which is in the tree when it is left in peace."""
        file = FakeNewFile(self.machine, self.faults, self._created(path))
        yield file
        self._kept(path, file.content)

    @counted
    def _created(self, path: str) -> str:
        found = self.machine.tree.resolve(path)
        if found in self.machine.tree.entries or found in self.machine.tree.directories:
            raise DeviceError(f"opening {path}", "File exists")
        return path

    @counted
    def _kept(self, path: str, content: bytes) -> None:
        self.machine.tree.put(self.machine.tree.resolve(path), content)

    @counted
    def _opened_exclusively(self, path: str) -> FakeDisk:
        disk = self._disk(path)
        is_held = disk.opened_exclusively or disk.lent > 0
        users = self.machine.users(path) + (("opened exclusively",) if is_held else ())
        if users:
            raise DiskInUse(f"opening {path} for writing", ", ".join(users))
        if disk.read_only:
            raise DiskReadOnly(f"opening {path} for writing", "the kernel says it is read-only")
        disk.opened_exclusively = True
        return disk

    @counted
    def _opened(self, path: str) -> FakeDisk:
        return self._disk(path)

    def _disk(self, path: str) -> FakeDisk:
        disk = self.machine.disk(path)
        if disk is None:
            raise DeviceError(f"opening {path}", "No such file or directory")
        return disk


class FakeBlockDevice(FakeDoor):
    """`doors.BlockDevice` over one disk."""

    noun = "block"
    failure = DeviceError

    def __init__(self, machine: Machine, faults: FaultPlan, path: str, disk: FakeDisk, *, writable: bool) -> None:
        super().__init__(machine, faults)
        self._path = path
        self._disk = disk
        self._writable = writable
        self._lent: int | None = None

    def descriptor(self) -> int:
        """See `FakeBlock.lend`; it goes with this."""
        if self._lent is None:
            self._lent = os.memfd_create("lent")
            os.write(self._lent, f"{self._path} {WRITABLE if self._writable else READABLE}".encode())
            finalize(self, os.close, self._lent)
        return self._lent

    @property
    def size_bytes(self) -> int:
        """The disk's size."""
        return self._disk.size_bytes

    @property
    def logical_sector_bytes(self) -> int:
        """The disk's sectors."""
        return self._disk.logical_sector_bytes

    @counted
    def read(self, offset_bytes: int, length_bytes: int) -> bytes:
        """Exactly that many bytes."""
        self._check("reading", offset_bytes, length_bytes)
        return self._disk.read(offset_bytes, length_bytes)

    def read_into(self, offset_bytes: int, view: memoryview) -> None:
        """Fill the view."""
        view[:] = self.read(offset_bytes, len(view))

    @counted
    def write(self, offset_bytes: int, data: bytes | bytearray | memoryview) -> None:
        """All of it, into the disk's cache."""
        self._check("writing", offset_bytes, len(data))
        self._disk.write(offset_bytes, bytes(data))

    @counted
    def zero(self, offset_bytes: int, length_bytes: int) -> None:
        """Zero the range, in the disk's cache."""
        self._check("zeroing", offset_bytes, length_bytes)
        self._disk.zero(offset_bytes, length_bytes)

    @counted
    def flush(self) -> None:
        """The cache goes to the medium."""
        self._disk.flush()

    @counted
    def reread_table(self) -> None:
        """Counted in `table_rereads`; the partitions turn up in sysfs."""
        self._disk.table_rereads += 1
        self.machine.see_partitions(self._path, self._disk)

    def _check(self, doing: str, offset: int, length: int) -> None:
        where = f"bytes {offset} to {offset + length} of {self._disk.size_bytes}"
        if offset < 0 or length < 0 or offset + length > self._disk.size_bytes:
            raise DeviceError(f"{doing} {self._path}", f"past the end of the device: {where}")
        if doing == "reading":
            if (why := self._disk.unknown(offset, length)) is not None:
                raise DeviceError(f"reading {self._path}", f"{why}: {where}")
            return
        if not self._writable:
            raise DeviceError(f"{doing} {self._path}", "opened for reading only")
        if offset % self._disk.logical_sector_bytes or length % self._disk.logical_sector_bytes:
            raise DeviceError(f"{doing} {self._path}", f"no whole sectors: {where}")


class FakeNewFile(FakeBlockDevice):
    """`doors.BlockDevice` over a new file, which has no end."""

    def __init__(self, machine: Machine, faults: FaultPlan, path: str) -> None:
        super().__init__(machine, faults, path, FakeDisk(LARGEST_FILE_BYTES), writable=True)
        self._end_bytes = 0

    @property
    def content(self) -> bytes:
        """As far as it was written or zeroed."""
        return self._disk.read(0, self._end_bytes)

    def write(self, offset_bytes: int, data: bytes | bytearray | memoryview) -> None:
        """All of it."""
        super().write(offset_bytes, data)
        self._end_bytes = max(self._end_bytes, offset_bytes + len(data))

    def zero(self, offset_bytes: int, length_bytes: int) -> None:
        """It reaches as far, too."""
        super().zero(offset_bytes, length_bytes)
        self._end_bytes = max(self._end_bytes, offset_bytes + length_bytes)


class FakePower(FakeDoor):
    """`doors.Power` that writes the orders down in `machine.power_orders`."""

    noun = "power"

    @counted
    def reboot(self) -> None:
        """Ordered."""
        self.machine.power_orders.append("reboot")

    @counted
    def power_off(self) -> None:
        """Ordered."""
        self.machine.power_orders.append("power off")


class FakeClock:
    """`doors.Clock` that stands still but for `wait`, which is over at once. It cannot fail, so it is not counted."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def now(self) -> datetime:
        """The machine's time."""
        return self._machine.now

    def set(self, now: datetime) -> None:
        """The machine has another time."""
        self._machine.now = now

    def monotonic_s(self) -> float:
        """The machine's time since it was switched on."""
        return self._machine.uptime_s

    def wait(self, stop: Event, timeout_s: float) -> bool:
        """Let the time pass, unless `stop` is set."""
        if not stop.is_set():
            self._machine.now += timedelta(seconds=timeout_s)
            self._machine.uptime_s += timeout_s
        return stop.is_set()


class FakeLock:
    """`doors.Lock`: locks end with their process. Waiting for one is not counted: nothing can fail in it."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    @contextmanager
    def __call__(self, path: str, *, wait_s: float = 0.0) -> Iterator[None]:
        """For as long as the block; death releases it, when the next process begins."""
        if path in self._machine.locks:
            raise ChangeUnderWay(f"taking {path}", "another process has it")
        self._machine.locks.add(path)
        try:
            yield
        except Died:
            raise
        except BaseException:
            self._machine.locks.discard(path)
            raise
        self._machine.locks.discard(path)


class FakeCounters(FakeDoor):
    """`doors.Counters` from the record."""

    noun = "counters"

    @counted
    def memory_total_bytes(self) -> int:
        """As recorded."""
        return self.machine.record.counts.memory_total_bytes

    @counted
    def threads(self) -> int:
        """As recorded."""
        return self.machine.record.counts.threads

    @counted
    def cores(self) -> int | None:
        """As recorded."""
        return self.machine.record.counts.cores

    @counted
    def mounts(self) -> Iterable[tuple[str, str]]:
        """As recorded."""
        return self.machine.record.counts.mounts

    @counted
    def swaps(self) -> Iterable[str]:
        """As recorded."""
        return self.machine.record.counts.swaps
