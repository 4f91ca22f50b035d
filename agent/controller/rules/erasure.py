# SPDX-License-Identifier: Apache-2.0
"""Whether a certificate shows what a report claims: that nothing of a tenant is left on a node."""

from __future__ import annotations

from collections.abc import Iterable

from agent.controller.records.erasure import QuarantinedDisk
from agent.controller.records.node import Boot
from agent.model.disk import Disk, DiskIdentity
from agent.model.erasing import Erasure
from agent.model.erasing.certificate import Certificate
from agent.model.fact import Unknown, known
from agent.model.fault import Fault
from agent.model.flavor import local_disks

UNPROVEN, UNATTESTED = "BMS.ERASE_UNPROVEN", "BMS.ERASE_UNATTESTED"
OF_NAMESPACES = ("eui.", "nvme.", "uuid.")
HINT = "See bmsctl node erasure NODE: take the disk out, or clean the node again."


def doubt(certificate: Certificate | None, disks: tuple[DiskIdentity, ...], *, quarantine: bool) -> Fault | None:
    """What speaks against calling the node clean. `disks` are those that it had when it came up, or when this was
    ordered; each must be erased and proven so, or have a name by which it can be in quarantine, where that is the
    policy.
    """
    if certificate is None:
        return fault("the node says that it is erased, and brings no certificate that is its own")
    gone = missing(certificate, disks)
    nameless = [disk for disk in gone if not (disk.serial or disk.wwn)]
    if nameless or (gone and not quarantine):
        return fault(f"the certificate says nothing of {', '.join(map(label, nameless or gone))}")
    bad = [one for one in certificate.disks if not one.is_proven]
    untold = [one for one in bad if not is_told(one, certificate)]
    if untold or (bad and not quarantine):
        return fault("; ".join(map(str, untold or bad)))
    if gone and not certificate.disks:
        return fault(f"no disk was erased: gone are {', '.join(map(label, gone))}")
    return None


def unattested(boot: Boot) -> Fault | None:
    """What speaks against an erasure where who says it must be known."""
    if boot is Boot.ATTESTED:
        return None
    return Fault(
        code=UNATTESTED,
        message=f"erasing the node's disks: its ramdisk says that it is done, and its boot is not attested ({boot})",
        hint="Give the node a BMC that can boot it from the network (bmsctl node bmc), then clean it.",
    )


def is_told(one: Erasure, certificate: Certificate) -> bool:
    """Whether a disk that failed is in quarantine by a name that no other disk of the machine has."""
    return bool({one.serial, one.wwn} & {*certificate.quarantined}) and not one.is_confusable(certificate.disks)


def missing(certificate: Certificate, disks: tuple[DiskIdentity, ...]) -> tuple[DiskIdentity, ...]:
    """Those of which nothing is certified: they vanished meanwhile. An erasure speaks for one disk: of two that have
    one name, and of which one was erased, the other is missing.
    """
    left = sorted(certificate.disks, key=lambda one: one.size_bytes)
    gone = []
    for disk in sorted(disks, key=lambda disk: disk.size_bytes, reverse=True):
        one = next((one for one in left if is_of(one, disk)), None)
        if one is None:
            gone.append(disk)
        else:
            left.remove(one)
    return tuple(disk for disk in disks if disk in gone)


def expected(disks: tuple[Disk, ...] | Unknown, ordered: tuple[DiskIdentity, ...] | None) -> tuple[DiskIdentity, ...]:
    """Disks that a new server would see, and those that were to be erased: an agent that starts again in the middle
    lists anew what is left. Of disks that could not be listed nothing can be held against anybody.
    """
    listed = () if isinstance(disks, Unknown) else tuple(disk.identity for disk in local_disks(disks))
    return listed + tuple(one for one in ordered or () if not any(one.may_be(disk) for disk in listed))


def is_of(one: Erasure, disk: DiskIdentity) -> bool:
    """By WWN and serial; a disk that has neither by its node and its size. What was erased of a disk that has shrunk
    since it was listed is a part of it.
    """
    names = (disk.wwn, disk.serial)
    if any(names):
        return (one.wwn, one.serial) == names and one.size_bytes >= disk.size_bytes
    return (one.path, one.size_bytes) == (disk.path, disk.size_bytes)


def label(disk: DiskIdentity) -> str:
    """How a disk is called in a message."""
    name = disk.path.removeprefix("/dev/")
    return f"{name} (serial {disk.serial})" if disk.serial else name


def fault(why: str) -> Fault:
    """With what to do."""
    return Fault(code=UNPROVEN, message=f"erasing the node's disks: {why}", hint=HINT)


def quarantined(disk: Disk, kept: Iterable[QuarantinedDisk], node_id: str | None = None) -> QuarantinedDisk | None:
    """The entry of this disk, if it has one, from whichever node; of several that of `node_id`, accepted before not.
    NVMe's WWNs are of namespaces, which come and go with others, while the serial is the drive's: that decides, too.
    """
    serial, wwn = known(disk.serial), known(disk.wwn)
    name = called(serial, wwn, disk.size_bytes)
    is_nvme = wwn is not None and wwn.startswith(OF_NAMESPACES)
    found = [one for one in kept if is_named(one, name, wwn) or (is_nvme and serial is not None and one.disk == serial)]
    return min(found, key=lambda one: (one.node_id != node_id, one.accepted_by is None), default=None)


def called(serial: str | None, wwn: str | None, size_bytes: int) -> str:
    """By which word a disk is set apart. One without any name is as good as every other such of its size."""
    return serial or wwn or f"nameless, {size_bytes} bytes"


def is_named(entry: QuarantinedDisk, name: str, wwn: str | None) -> bool:
    """Whether it is of that disk. Where WWNs are known they decide: a serial is its maker's own."""
    if entry.wwn and wwn:
        return entry.wwn == wwn
    return entry.disk in {name, wwn}


def is_freed(entry: QuarantinedDisk, one: Erasure, certificate: Certificate, node_id: str) -> bool:
    """Whether that erasure is of the disk that was set apart, and not of another with its name. By its WWN it is;
    without, in the node where that was, if no other disk there had the name, or all that have it are there now.
    """
    name = called(one.serial, one.wwn, one.size_bytes)
    if not is_named(entry, name, one.wwn):
        return False
    if one.wwn is not None and one.wwn in (entry.wwn, entry.disk):
        return True
    return entry.node_id == node_id and (not entry.shared or is_shared(name, certificate, ()))


def is_shared(name: str, certificate: Certificate, gone: Iterable[DiskIdentity]) -> bool:
    """Whether several of a node's disks have that name: those of a certificate, and those that it says nothing of."""
    disks: tuple[Erasure | DiskIdentity, ...] = (*certificate.disks, *gone)
    return sum(called(one.serial, one.wwn, one.size_bytes) == name for one in disks) > 1


def of_node(
    node_id: str, disks: tuple[Disk, ...] | Unknown, kept: Iterable[QuarantinedDisk]
) -> tuple[QuarantinedDisk, ...]:
    """Those that are of this node, or of disks that are in it by now."""
    entries, there = tuple(kept), () if isinstance(disks, Unknown) else disks
    came = [entry for disk in there if (entry := quarantined(disk, entries, node_id)) is not None]
    return tuple(entry for entry in entries if entry.node_id == node_id or entry in came)


def firmware_changes(before: Certificate, after: Certificate) -> tuple[str, ...]:
    """Versions that are others than at the erasure before: an update, or a tenant's. What is new is not told."""
    return tuple(
        f"{part}: {before.firmware[part]} before, {now} now"
        for part, now in sorted(after.firmware.items())
        if part in before.firmware and before.firmware[part] != now
    )
