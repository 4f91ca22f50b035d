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
from threading import Event
from typing import Protocol

from agent.host.device_doors import Drives, Efi, Erasers, Ethtool, Ipmi, Tpm
from agent.host.load_doors import Peer, Processors
from agent.host.network_doors import Datagrams, Lldp, Netlink, Probe, Watch
from agent.host.packet_doors import Nftables, Traffic
from agent.model.generalise import Look
from agent.model.image import OPEN, Access, Trusted
from agent.model.space import Space


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


class LargeFile(Protocol):
    """A file, or a stream, open for reading. `read_into` at an offset may be called by several threads."""

    @property
    def size_bytes(self) -> int | None:
        """None for a stream, which is then read from offset 0 on, forward, without gaps."""
        ...

    def read_into(self, offset_bytes: int, view: memoryview) -> int:
        """Fill the view; less only at the file's end."""
        ...

    def data_extents(self) -> Iterator[tuple[int, int]]:
        """(offset, length) of what is not a hole (lseek(2), SEEK_DATA)."""
        ...


class Tree(Look, Protocol):
    """A directory of somebody else, mounted: no link leads out of it, and only regular files are opened. Raises
    `HostError`.
    """

    def write(self, path: str, data: bytes) -> None:
        """In place, so that owner, mode and labels stay; what is no file yet comes to be with mode 0644."""
        ...

    def make_folder(self, path: str, mode: int | None) -> None:
        """A directory and those above it, where they are not yet; `mode` is of the last, if it is made."""
        ...

    def dress(self, path: str, mode: int | None, owner: int | None, group: int | None) -> None:
        """Mode, owner and group of a regular file; `None` is as it is."""
        ...

    def remove(self, path: str) -> int:
        """A file, a link itself, or a directory with all that is in it; how many files that were."""
        ...

    def sweep(self, path: str, spare: tuple[str, ...]) -> int:
        """Remove every file below a directory but those to be spared; how many went. Directories stay."""
        ...

    def extents(self, path: str) -> tuple[tuple[int, int, int], ...]:
        """(offset in a regular file, offset on its filesystem's device, length). Raises where it shares a place."""
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

    def tell(self, path: str, text: str) -> None:
        """Write to a file of the kernel's, below /proc or /sys, in one write(2)."""
        ...

    def append(self, path: str, data: bytes, *, durable: bool = True) -> None:
        """Append all or nothing, and fsync before returning if `durable`. Makes parents; a new file has mode 0600."""
        ...

    def truncate(self, path: str, size_bytes: int) -> None:
        """Cut a file to this size, and fsync."""
        ...

    def remove(self, path: str) -> None:
        """Remove a file; one that is not there is fine."""
        ...

    def open_large(self, path: str) -> AbstractContextManager[LargeFile]:
        """A file that is read in pieces. "-" is the standard input, which is read once, forward."""
        ...

    def save(self, path: str, pieces: Iterable[bytes | memoryview]) -> int:
        """Replace the file by these pieces, one after another, atomically as `write` does; its length. If `pieces`
        raises, nothing is left. "-" is the standard output.
        """
        ...

    def rename(self, path: str, to: str) -> None:
        """Give a file this name, durably; a file that has it already is replaced, what is no file is not."""
        ...

    def space(self, path: str) -> Space | None:
        """What the filesystem has left that this directory is on, or would be; None if nobody knows."""
        ...

    def below(self, root: str) -> Tree:
        """What is mounted there, as its own system would see it."""
        ...


class Udev(Protocol):
    """The udev database."""

    def block_devices(self) -> Mapping[str, Mapping[str, str]]:
        """Kernel name → properties (ID_SERIAL, ID_WWN, ID_BUS, ID_FS_TYPE, DEVTYPE …), of disks and partitions."""
        ...

    def devices(self, subsystem: str) -> Mapping[str, Mapping[str, str]]:
        """The same of another subsystem's: pci, usb."""
        ...

    def settle(self, timeout_s: float = 30.0) -> None:
        """Wait until udev has handled every event so far."""
        ...

    def watching(self) -> AbstractContextManager[Watch]:
        """Hears from now on of disks and NICs that come and go."""
        ...


class BlockDevice(Protocol):
    """One block device opened for reading, or for writing with nobody else in it. Threads may use it side by side."""

    @property
    def size_bytes(self) -> int: ...
    @property
    def logical_sector_bytes(self) -> int: ...
    def read(self, offset_bytes: int, length_bytes: int) -> bytes:
        """Exactly that many bytes, from the medium, not from the page cache."""
        ...

    def read_into(self, offset_bytes: int, view: memoryview) -> None:
        """Fill the view from the medium. Without a copy where offset, length and memory are aligned to 4 KiB
        (`agent.host.memory.aligned`).
        """
        ...

    def write(self, offset_bytes: int, data: bytes | bytearray | memoryview) -> None:
        """All of it; whole sectors only. Without a copy where the memory is aligned, as above. Raises `DeviceError`."""
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

    def open_read(self, path: str, *, exclusive: bool = False) -> AbstractContextManager[BlockDevice]:
        """For reading; exclusively, nobody can mount it meanwhile, and `DiskInUse` is raised as above."""
        ...

    def open_file(self, path: str) -> AbstractContextManager[BlockDevice]:
        """A new sparse file that is written as if it were a disk without end; it gets its length from what is written
        or zeroed farthest. Left by an error, the file is removed. Raises `DeviceError` if it is there already.
        """
        ...

    def lend(self, device: BlockDevice) -> int:
        """The descriptor of one that is open by this door, to be passed to another process; not to be closed."""
        ...

    def borrow(self, descriptor: int, path: str) -> AbstractContextManager[BlockDevice]:
        """What another process has opened, and lent; the descriptor is closed at the end. As long as anybody has one
        that was opened exclusively, nobody else gets the disk so."""
        ...


class Lock(Protocol):
    """Advisory locks (flock(2)): they end with their process, however it ends."""

    def __call__(self, path: str, *, wait_s: float = 0.0) -> AbstractContextManager[None]:
        """For as long as the block. Raises `ChangeUnderWay` if somebody else has it all that time."""
        ...


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

    @property
    def total_bytes(self) -> int | None:
        """What the server said the whole file's length is."""
        ...

    def fill(self, view: memoryview) -> int:
        """The next bytes: the whole view, or less only at the body's end. Raises `ImageTruncated` if the body ends
        before `length_bytes`, `LinkError` on a break; `done_bytes` tells how much of the body came in all.
        """
        ...

    @property
    def done_bytes(self) -> int: ...


class Fetch(Protocol):
    """HTTP. One attempt each; connections are kept alive, and no two threads ever share one."""

    def __call__(
        self,
        url: str,
        *,
        offset_bytes: int = 0,
        length_bytes: int | None = None,
        validator: str | None = None,
        access: Access = OPEN,
        accept: str | None = None,
    ) -> AbstractContextManager[Body]:
        """GET, all of it, or a range. `validator`: what the file had when it was first seen (sent as If-Range where it
        is a strong ETag). Raises `LinkError` where another try may help, `AccessDenied` on 401 and 403 (it has the
        server's challenge), `ImageTruncated` if the file ends before the range, `ImageUnavailable` where nothing
        helps.
        """
        ...

    def trusting(self, ca_pem: str | None, *, insecure: bool = False) -> Fetch:
        """The same door where these authorities and no others are trusted for all that brings none of its own; or
        where every server's certificate is good.
        """
        ...

    @property
    def trusted(self) -> Trusted:
        """Whom it trusts, where an image says nothing of that."""
        ...

    def send(self, url: str, pieces: Iterable[bytes | memoryview], *, access: Access = OPEN) -> None:
        """PUT these pieces, one after another. Raises as a GET does; also what `pieces` raises."""
        ...


class Power(Protocol):
    """The end of this boot. Both return once the order is given."""

    def reboot(self) -> None: ...
    def power_off(self) -> None: ...


class Clock(Protocol):
    """Time. `wait` is the only way to sleep, so that every wait can be stopped."""

    def now(self) -> datetime: ...
    def set(self, now: datetime) -> None:
        """Let it be that time of day from now on. Raises `HostError`."""
        ...

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
    probe: Probe
    datagrams: Datagrams
    lock: Lock
    nftables: Nftables
    traffic: Traffic
    fetch: Fetch
    power: Power
    clock: Clock
    counters: Counters
    efi: Efi
    ipmi: Ipmi
    lldp: Lldp
    drives: Drives
    erasers: Erasers
    ethtool: Ethtool
    processors: Processors
    peer: Peer
    tpm: Tpm
