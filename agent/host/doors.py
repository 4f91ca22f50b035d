# SPDX-License-Identifier: Apache-2.0
"""The doors of a host, as protocols: everything through which the agent touches a machine.

`Host` bundles them and is the first argument of whatever acts. `agent.host.real.host()` opens the real ones;
`agent.host.fake.FakeHost` is a recorded machine with a fault plan. Every door raises only errors of `agent.errors`
(`HostError` and below, `LinkError` for fetch), naming what was being done.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Address, IPv4Interface
from threading import Event
from typing import Protocol


@dataclass(frozen=True)
class Completed:
    """A command that ended with status 0."""

    argv: tuple[str, ...]
    stdout: str
    stderr: str
    duration_s: float


class Run(Protocol):
    """Commands."""

    def __call__(self, argv: Sequence[str], *, timeout_s: float = 60.0, stdin: str | None = None) -> Completed:
        """Run to the end without a shell, in a clean environment with LANG=C.UTF-8.

        Raises `ToolMissing`, or `CommandFailed` on a non-zero status, a signal or the timeout.
        """
        ...


class Files(Protocol):
    """Files below a root (`/`, or a recorded tree). Paths are absolute, as on the machine."""

    def read_text(self, path: str) -> str: ...
    def read_bytes(self, path: str) -> bytes: ...
    def exists(self, path: str) -> bool: ...
    def names(self, directory: str) -> tuple[str, ...]:
        """Names in a directory, sorted; empty if the directory is not there."""
        ...

    def resolve(self, path: str) -> str:
        """The path with every symbolic link followed."""
        ...

    def real_path(self, path: str) -> str:
        """The path as this process must open it (below the root prefix), for tools that are given file names."""
        ...

    def write(self, path: str, data: bytes, *, mode: int = 0o644) -> None:
        """Replace the file atomically: temporary name, fsync, rename, fsync of the directory. Makes parents."""
        ...

    def append(self, path: str, data: bytes) -> None:
        """Append all or nothing, and fsync before returning. Makes parents; a new file has mode 0600."""
        ...

    def truncate(self, path: str, size_bytes: int) -> None:
        """Cut a file to this size, and fsync."""
        ...

    def remove(self, path: str) -> None:
        """Remove a file; one that is not there is fine."""
        ...


class Udev(Protocol):
    """The udev database."""

    def block_devices(self) -> Mapping[str, Mapping[str, str]]:
        """Kernel name → properties (ID_SERIAL, ID_WWN, ID_BUS, ID_FS_TYPE, DEVTYPE …), of disks and partitions."""
        ...

    def settle(self, timeout_s: float = 30.0) -> None:
        """Wait until udev has handled every event so far."""
        ...


class BlockDevice(Protocol):
    """One block device opened for reading, or for writing with nobody else in it."""

    @property
    def size_bytes(self) -> int: ...
    @property
    def logical_sector_bytes(self) -> int: ...
    def read(self, offset_bytes: int, length_bytes: int) -> bytes:
        """Exactly that many bytes, from the medium, not from the page cache."""
        ...

    def write(self, offset_bytes: int, data: bytes | bytearray | memoryview) -> None:
        """All of it; whole sectors only. Raises `DeviceError`."""
        ...

    def zero(self, offset_bytes: int, length_bytes: int) -> None:
        """Make whole sectors read as zeroes, by the device's own means where it guarantees them, else by writing."""
        ...

    def flush(self) -> None:
        """Everything written is on the medium when this returns; any error since the open is raised."""
        ...

    def reread_table(self) -> None:
        """Let the kernel read the partition table again."""
        ...


class Block(Protocol):
    """Block devices by node, such as /dev/sda."""

    def open_exclusive(self, path: str) -> AbstractContextManager[BlockDevice]:
        """For writing, with O_EXCL: raises `DiskInUse` if it is mounted or held, `DiskReadOnly`, `DeviceError`."""
        ...

    def open_read(self, path: str) -> AbstractContextManager[BlockDevice]: ...


@dataclass(frozen=True)
class Link:
    """A network interface as netlink tells it."""

    index: int
    name: str
    current_mac: str
    permanent_mac: str | None
    up: bool
    carrier: bool
    mtu: int
    kind: str | None
    addresses: tuple[IPv4Interface, ...]
    gateway: IPv4Address | None


class Netlink(Protocol):
    """Links, addresses and routes of the main table. Setting what is already so is no error."""

    def links(self) -> tuple[Link, ...]: ...
    def set_link(self, index: int, *, up: bool = True, mtu: int | None = None) -> None: ...
    def add_address(self, index: int, address: IPv4Interface) -> None: ...
    def remove_address(self, index: int, address: IPv4Interface) -> None: ...
    def set_default_route(self, index: int, gateway: IPv4Address) -> None: ...


class Body(Protocol):
    """The body of an HTTP answer, read from beginning to end."""

    @property
    def offset_bytes(self) -> int:
        """Where in the file it begins: 0 if the server does not do ranges."""
        ...

    @property
    def validator(self) -> str | None:
        """What changes when the file does (ETag, else Last-Modified)."""
        ...

    @property
    def length_bytes(self) -> int | None:
        """What the server said the body's length is."""
        ...

    def chunks(self, size_bytes: int) -> Iterator[bytes]:
        """The bytes as they come. Raises `ImageTruncated` if they end before `length_bytes`, `LinkError` on a break."""
        ...


class Fetch(Protocol):
    """HTTP GET, one attempt. Raises `LinkError` where another may help, `ImageUnavailable` where not."""

    def __call__(self, url: str, *, offset_bytes: int = 0) -> AbstractContextManager[Body]: ...


class Power(Protocol):
    """The end of this boot. Both return once the order is given."""

    def reboot(self) -> None: ...
    def power_off(self) -> None: ...


class Clock(Protocol):
    """Time. `wait` is the only way to sleep, so that every wait can be stopped."""

    def now(self) -> datetime: ...
    def monotonic_s(self) -> float: ...
    def wait(self, stop: Event, timeout_s: float) -> bool:
        """Wait until `stop` is set (True) or the time is over (False)."""
        ...


class Counters(Protocol):
    """Counts of the kernel, by psutil."""

    def memory_total_bytes(self) -> int: ...
    def threads(self) -> int:
        """Logical processors."""
        ...

    def cores(self) -> int | None: ...
    def mounts(self) -> Iterable[tuple[str, str]]:
        """(device node, mount point) of every mounted block device."""
        ...

    def swaps(self) -> Iterable[str]:
        """Device nodes that are swapped to."""
        ...


@dataclass(frozen=True)
class Host:
    """All the doors of one machine."""

    run: Run
    files: Files
    udev: Udev
    block: Block
    netlink: Netlink
    fetch: Fetch
    power: Power
    clock: Clock
    counters: Counters
