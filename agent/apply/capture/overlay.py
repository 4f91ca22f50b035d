# SPDX-License-Identifier: Apache-2.0
"""A copy-on-write device over a disk: what is written to it is in memory, and gone with it; the disk is only read.

The device mapper's snapshot target opens its origin for reading (drivers/md/dm-snap.c, snapshot_ctr) and keeps changed
blocks in a file in memory, behind a loop device. While it is there, the disk is held, and nobody else can write to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from agent.errors import CommandFailed, HostError, ToolMissing
from agent.host.doors import Host
from agent.model.disk import MIB, DiskIdentity
from agent.model.filesystem.survey import Part

NAME = "bms-capture"
STORE = "/var/lib/bms-agent/capture.store"
SECTOR_BYTES = 512  # the device mapper's unit, whatever the disk's sectors are
CHUNK_SECTORS = 8
"""What is copied when one byte of it changes: a filesystem's block, and no less than any disk's sector."""
SMALLEST_STORE_BYTES = 64 * MIB
ELSEWHERE = "Capture it as it is (--no-generalise), or from a ramdisk built by images/ramdisk."
QUIETLY = ("--noudevrules", "--noudevsync")
"""Nobody is to look into these devices, and nobody is waited for."""


@contextmanager
def overlay(host: Host, disk: DiskIdentity) -> Iterator[str]:
    """The device's node. Raises `HostError`."""
    must_be_in_memory(host)
    remove_devices(host)
    try:
        lay(host, disk)
        yield node(host, NAME)
        must_be_valid(host, disk)
    except BaseException:
        with suppress(HostError):  # the next capture tries again
            remove_devices(host)
        raise
    remove_devices(host)


def must_be_in_memory(host: Host) -> None:
    """Raises `HostError` outside of a ramdisk: a stranger's filesystems are mounted here and nowhere else."""
    rows = [line.split() for line in host.files.read_text("/proc/self/mountinfo").splitlines()]
    roots = [row[row.index("-") + 1] for row in rows if len(row) > 4 and row[4] == "/" and "-" in row]
    if not roots or roots[-1] not in ("rootfs", "tmpfs", "ramfs"):
        told = "this system runs from a disk; a captured system is changed in a ramdisk only"
        raise HostError("generalising the captured system", told, hint=ELSEWHERE)


def lay(host: Host, disk: DiskIdentity) -> None:
    """Store, loop device, snapshot. The store's name goes at once, and the loop device with its last user."""
    size = max(host.counters.memory_total_bytes() // 2 // MIB * MIB, SMALLEST_STORE_BYTES)
    try:
        host.files.write(STORE, b"", mode=0o600)
        host.files.truncate(STORE, size)
        store = host.run(["losetup", "--find", "--show", host.files.real_path(STORE)]).stdout.strip()
        try:
            host.run(snapshot_argv(disk, store))
        finally:
            host.run(["losetup", "--detach", store])
    except (CommandFailed, ToolMissing) as error:
        raise HostError(f"laying a copy in memory over {disk.path}", "this kernel has none", hint=ELSEWHERE) from error
    finally:
        host.files.remove(STORE)


def snapshot_argv(disk: DiskIdentity, store: str) -> list[str]:
    """Documentation/admin-guide/device-mapper/snapshot.rst; N: nothing of it survives a reboot."""
    table = f"0 {disk.size_bytes // SECTOR_BYTES} snapshot {disk.path} {store} N {CHUNK_SECTORS}"
    return ["dmsetup", "create", NAME, *QUIETLY, "--table", table]


def node(host: Host, name: str) -> str:
    """Of a mapped device, as the kernel calls it: without udev nobody makes one in /dev/mapper."""
    return f"/dev/{host.run(['dmsetup', 'info', '--columns', '--noheadings', '-o', 'blkdevname', name]).stdout.strip()}"


def add_partition(host: Host, part: Part) -> str:
    """A device for one partition; its node."""
    whole = node(host, NAME)
    if not part.number:
        return whole
    name = f"{NAME}-p{part.number}"
    first, sectors = part.offset_bytes // SECTOR_BYTES, part.size_bytes // SECTOR_BYTES
    host.run(["dmsetup", "create", name, *QUIETLY, "--table", f"0 {sectors} linear {whole} {first}"])
    return node(host, name)


def must_be_valid(host: Host, disk: DiskIdentity) -> None:
    """Raises `HostError` if the store was too small: the kernel gives up such a device (Invalid), errors and all."""
    status = host.run(["dmsetup", "status", NAME]).stdout
    if "Invalid" in status or "Overflow" in status:
        told = "more was changed than half of the memory holds"
        raise HostError(f"generalising a copy of {disk.path} in memory", told, hint="Keep more of it (--keep).")


def remove_partitions(host: Host) -> None:
    """All of them."""
    for name in devices(host):
        if name != NAME:
            host.run(["dmsetup", "remove", *QUIETLY, "--retry", name])


def remove_devices(host: Host) -> None:
    """Whatever is there, also of an agent that died. A kernel without the device mapper has nothing."""
    try:
        for name in devices(host):
            host.run(["dmsetup", "remove", *QUIETLY, "--retry", name])
    except ToolMissing:
        return


def devices(host: Host) -> list[str]:
    """Ours: partitions first, since they stand on the other."""
    try:
        listed = host.run(["dmsetup", "ls"]).stdout
    except CommandFailed:
        return []
    names = [line.split()[0] for line in listed.splitlines() if line.startswith(NAME)]
    return sorted(names, key=len, reverse=True)
